import { type Certificate, hasIssued } from "./certificate.ts";
import { certificatesAt, type Found, type FoundMaster, leafAt, placeOf } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import { type Component, components, type KubernetesRow, type Leaf, type Row } from "./layout/rows.ts";
import { brokenIn, type Outages } from "./outages.ts";
import { type ForeignPolicy, keptAuthorities, type Trusted, trustedBy, unique } from "./trust.ts";

export const phases = ["backup", "trust", "issue", "settle", "retire", "verify"] as const;
export type Phase = (typeof phases)[number];

/** `rolling` keeps quorum throughout; `recovery` starts what is out: on all masters together when there is no quorum to keep. */
export type Mode = "rolling" | "recovery";

/** What one phase does next on which master, as far as the survey decides it. */
export interface RolloutPlan extends Outages {
  readonly mode: Mode;
  /** master names; a phase missing here runs on all masters side by side */
  readonly order: Readonly<Record<"trust" | "issue" | "retire", readonly string[]>>;
  /** the master whose member gives the snapshot; undefined when none answers */
  readonly snapshotFrom: string | undefined;
  /** the authorities that stay trusted until retire */
  readonly trusted: Trusted;
  /** somebody else's, which stay trusted after it */
  readonly kept: Trusted;
}

/**
 * @param kubernetes Kubernetes' own files that are looked after
 * @param now milliseconds since 1970
 */
export function planRollout(
  found: Found,
  rows: readonly Row[],
  kubernetes: readonly KubernetesRow[],
  now: number,
  foreignAuthorities?: ForeignPolicy,
): RolloutPlan {
  const { causes, out } = brokenIn(found, rows, kubernetes, now);
  const trust = orderOf(found, out);
  const source =
    found.masters.find(({ etcd }) => etcd === "healthy") ??
    found.masters.find(({ name, doesAnswer }) => doesAnswer && !isOut({ out }, name));
  return {
    mode: causes.length === 0 ? "rolling" : "recovery",
    causes,
    out,
    // after trust the first master leads (see heirs), so it comes last in retire
    order: { trust, issue: trust, retire: [...trust.slice(1), ...trust.slice(0, 1)] },
    snapshotFrom: source?.name,
    trusted: Object.fromEntries(found.masters.map((master) => [master.name, trustedOn(master, found, rows)])),
    kept: keptAuthorities(found, rows, foreignAuthorities),
  };
}

/**
 * Members that are out come first, then those that are ill: they have nothing to lose, and the others could not be restarted without
 * them. One that is out may answer, and the others be ill because of it.
 * Otherwise the stack file's order: one that followed the leader would change the graph from run to run,
 * and with it what `--target` means.
 */
function orderOf({ masters }: Found, out: RolloutPlan["out"]): string[] {
  const rank = ({ name, etcd }: FoundMaster) => (isOut({ out }, name) ? 0 : 2) + (etcd === "healthy" ? 1 : 0);
  return masters.toSorted((a, b) => rank(a) - rank(b)).map(({ name }) => name);
}

/** For each trust file by itself: what it holds, and whoever issued a leaf that is checked against it in any of its uses, on any master. */
function trustedOn(master: FoundMaster, found: Found, rows: readonly Row[]): Record<string, Certificate[]> {
  const trust = rows.filter((row) => row.kind === "trust");
  const known = trustedBy(found.masters, rows);
  return Object.fromEntries(
    trust.map((row) => {
      const uses = trust.filter((other) => placeOf(master, other) === placeOf(master, row));
      const checked = found.masters.flatMap((each) =>
        uses.flatMap((use) => leavesCheckedBy(use, each, rows)),
      );
      const issuers = known.filter((authority) => checked.some((leaf) => hasIssued(authority, leaf)));
      return [row.id, unique([...certificatesAt(master, row), ...issuers])];
    }),
  );
}

/** The leaves on disk and as served that a trust row's reader has to accept. */
function leavesCheckedBy(trust: Row, master: FoundMaster, rows: readonly Row[]): Certificate[] {
  const accepts: readonly (Leaf | undefined)[] = trust.accepts ?? [];
  const onDisk = rows.filter((row) => accepts.includes(row.leaf)).flatMap((row) => leafAt(master, row) ?? []);
  const served = Object.entries(servedLeaves).flatMap(([port, leaf]) =>
    accepts.includes(leaf) ? (master.served[Number(port)] ?? []) : [],
  );
  return [...onDisk, ...served];
}

/** No quorum answers that a restart would bring back: nothing is restarted before all files are right. */
export function isTogether(plan: RolloutPlan): boolean {
  return plan.order.trust.every((name) => isOut(plan, name));
}

/** Whether etcd is out on that master. */
export function isOut({ out }: Pick<RolloutPlan, "out">, name: string): boolean {
  return out[name]?.includes("etcd") === true;
}

/**
 * What a step on a master takes to be out, by master: it is not waited for, and what a recovery looks after is started with its new
 * files. On a master that is still to join nothing runs.
 */
export function outIn(
  phase: Phase,
  master: string,
  plan: RolloutPlan,
  joining: readonly string[] = [],
): RolloutPlan["out"] {
  if (joining.includes(master)) {
    return { [master]: ["etcd", "kube-apiserver"] };
  }
  switch (phase) {
    case "backup":
    case "trust":
      return plan.out;
    case "issue":
      // those that were out come first: of them this one is left, or none
      return plan.out[master]?.includes("kube-apiserver") === true ? plan.out : {};
    case "settle":
      // while a quorum answers, issue has started what was out
      return isTogether(plan) ? plan.out : {};
    case "retire":
    case "verify":
      return {};
    default:
      return phase satisfies never;
  }
}

/**
 * What may restart in a phase: others than etcd and kube-apiserver read only what retire changes. Nothing where masters are
 * worked on side by side while they serve.
 */
export function restartsIn(phase: Phase, { mode }: Pick<RolloutPlan, "mode">): readonly Component[] {
  switch (phase) {
    case "retire":
      return components;
    case "verify":
      return [];
    case "issue":
      return mode === "rolling" ? [] : ["etcd", "kube-apiserver"];
    default:
      return ["etcd", "kube-apiserver"];
  }
}

/** One step: a phase on a master, after other steps. */
export interface PlannedStep {
  readonly phase: Phase;
  readonly master: string;
  /** names of the steps that must have passed their gates */
  readonly after: readonly string[];
  /** where leadership goes when this master has it: to one that is done, else to the one that comes last */
  readonly heirs: readonly string[];
}

/** A step's name, as in `trust-master-1`. */
export function stepName(step: { readonly phase: Phase; readonly master: string }): string {
  return `${step.phase}-${step.master}`;
}

/** Seconds after which a rollout is done and checked, were every step to wait for its gate to the end. */
export function longestRollout(masters: number, gateSeconds: number, pauseSeconds: number): number {
  return phases.length * masters * (gateSeconds + pauseSeconds);
}

/**
 * All steps in their order. One that is still to join gets all its files when the others have their leaves, which accept each other by then.
 * Between two phases, and between two masters of a phase that restarts something, stands a gate. New leaves, which nothing
 * restarts for, have to pass one on the first master.
 */
export function stepsOf(
  plan: RolloutPlan,
  masters: readonly string[],
  joining: readonly string[] = [],
): PlannedStep[] {
  const steps: PlannedStep[] = [];
  for (const phase of phases) {
    const before = steps.filter((step) => step.phase === phases[phases.indexOf(phase) - 1]).map(stepName);
    const sideBySide = (names: readonly string[]) =>
      names.map((master) => ({ phase, master, after: before, heirs: [] }));
    if (phase === "issue") {
      steps.push(...sideBySide(joining));
    }
    // where nothing answers trust and issue only write files
    const isWritten = isTogether(plan) && phase !== "retire";
    if (phase === "backup" || phase === "settle" || phase === "verify" || isWritten) {
      steps.push(...sideBySide(masters));
      continue;
    }
    for (const [index, master] of plan.order[phase].entries()) {
      const done = plan.order[phase].slice(0, index);
      const awaited = restartsIn(phase, plan).length > 0 ? done : done.slice(0, 1);
      const heirs = [...done, ...plan.order[phase].slice(index + 1).reverse()];
      steps.push({
        phase,
        master,
        after: [...before, ...awaited.map((each) => stepName({ phase, master: each }))],
        heirs: phase === "retire" ? heirs : heirs.filter((each) => !isOut(plan, each)),
      });
    }
  }
  return steps;
}
