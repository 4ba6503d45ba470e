import { type Certificate, hasIssued } from "./certificate.ts";
import type { Found, FoundMaster } from "./found.ts";
import { type Row, servedLeaves } from "./layout.ts";

export const phases = ["backup", "trust", "issue", "settle", "retire", "verify"] as const;
export type Phase = (typeof phases)[number];

/** `rolling` keeps quorum throughout; `recovery` starts all masters together, because there is none to keep. */
export type Mode = "rolling" | "recovery";

/** What one phase does next on which master, as far as the survey decides it. */
export interface RolloutPlan {
  readonly mode: Mode;
  /** why it is a recovery; empty in rolling mode */
  readonly causes: readonly string[];
  /** master names; a phase missing here runs on all masters side by side */
  readonly order: Readonly<Record<"trust" | "issue" | "retire", readonly string[]>>;
  /** the master whose member gives the snapshot; undefined when none answers */
  readonly snapshotFrom: string | undefined;
  /** by master, then trust row: the authorities that stay trusted until retire */
  readonly trusted: Readonly<Record<string, Readonly<Record<string, readonly Certificate[]>>>>;
}

/** @param now milliseconds since 1970 */
export function planRollout(found: Found, rows: readonly Row[], now: number): RolloutPlan {
  const causes = recoveryCauses(found, rows, now);
  const trust = orderOf(found);
  return {
    mode: causes.length === 0 ? "rolling" : "recovery",
    causes,
    // after trust the first master leads (see heirs), so it comes last in retire
    order: { trust, issue: trust, retire: [...trust.slice(1), ...trust.slice(0, 1)] },
    snapshotFrom: trust.find((name) => found.masters.some((master) => master.name === name && master.etcd === "healthy")),
    trusted: Object.fromEntries(found.masters.map((master) => [master.name, trustedOn(master, found, rows)])),
  };
}

/**
 * Members that are out come first: they have nothing to lose, and the others could not be restarted without them.
 * Otherwise the stack file's order: one that followed the leader would change the graph from run to run,
 * and with it what `--target` means.
 */
function orderOf(found: Found): string[] {
  const names = (isHealthy: boolean) => found.masters.filter((master) => (master.etcd === "healthy") === isHealthy).map((master) => master.name);
  return [...names(false), ...names(true)];
}

/**
 * Quorum that is lost already, or a member that is out because of its certificates: waiting for health would be in vain.
 * Any other ill health (an alarm, a learner, a lagging member) is none: its members serve, and a rollout refuses to begin.
 */
function recoveryCauses(found: Found, rows: readonly Row[], now: number): string[] {
  const out = found.masters.filter((master) => master.etcd !== "healthy");
  const answering = found.masters.filter((master) => master.doesAnswer).length;
  const quorum = Math.floor(found.masters.length / 2) + 1;
  const lost = answering < quorum ? [`etcd has no quorum: ${answering} of ${found.masters.length} members answer`] : [];
  return [...lost, ...out.flatMap((master) => certificateFaults(master, rows, now))];
}

/** What is wrong with the files that etcd and kube-apiserver use on a master. */
function certificateFaults(master: FoundMaster, rows: readonly Row[], now: number): string[] {
  return rows.flatMap((row) => {
    const [leaf] = master.files[row.id]?.certificates ?? [];
    if (row.kind !== "cert" || row.reader === "none" || leaf === undefined) {
      return [];
    }
    const key = rows.find((other) => other.kind === "key" && other.group === row.group);
    const isPair = key === undefined || master.files[key.id]?.publicKey === leaf.publicKey;
    return [
      ...(leaf.notAfter <= now ? [`${master.name}: ${row.id} expired on ${day(leaf.notAfter)}`] : []),
      ...(isPair ? [] : [`${master.name}: ${row.id} does not belong to its key`]),
    ];
  });
}

/** For each trust file by itself: what it holds, and whoever issued a leaf that is checked against it, on any master. */
function trustedOn(master: FoundMaster, found: Found, rows: readonly Row[]): Record<string, Certificate[]> {
  const known = unique(found.masters.flatMap((each) => rows.filter((row) => row.kind === "trust").flatMap((row) => each.files[row.id]?.certificates ?? [])));
  return Object.fromEntries(
    rows
      .filter((row) => row.kind === "trust")
      .map((row) => {
        const checked = found.masters.flatMap((each) => leavesCheckedBy(row, each, rows));
        const issuers = known.filter((authority) => checked.some((leaf) => hasIssued(authority, leaf)));
        return [row.id, unique([...(master.files[row.id]?.certificates ?? []), ...issuers])];
      }),
  );
}

/** The leaves on disk and as served that a trust row's reader has to accept. */
function leavesCheckedBy(trust: Row, master: FoundMaster, rows: readonly Row[]): Certificate[] {
  const onDisk = rows
    .filter((row) => row.kind === "cert" && row.leaf !== undefined && (trust.accepts ?? []).includes(row.leaf))
    .flatMap((row) => master.files[row.id]?.certificates.slice(0, 1) ?? []);
  const served = Object.entries(servedLeaves).flatMap(([port, leaf]) => ((trust.accepts ?? []).includes(leaf) ? (master.served[Number(port)] ?? []) : []));
  return [...onDisk, ...served];
}

function unique(certificates: readonly Certificate[]): Certificate[] {
  return [...new Map(certificates.map((certificate) => [certificate.fingerprint, certificate])).values()];
}

/** `2026-11-23` of a time in milliseconds since 1970, UTC. */
export function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
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

/** All steps in their order; between two phases, and between two masters of a rolling phase, stands a gate. */
export function stepsOf(plan: RolloutPlan, masters: readonly string[]): PlannedStep[] {
  const steps: PlannedStep[] = [];
  for (const phase of phases) {
    const before = steps.filter((step) => step.phase === phases[phases.indexOf(phase) - 1]).map(stepName);
    switch (phase) {
      case "backup":
      case "settle":
      case "verify":
        steps.push(...masters.map((master) => ({ phase, master, after: before, heirs: [] })));
        break;
      case "trust":
      case "issue":
      case "retire":
        plan.order[phase].forEach((master, index, order) => {
          const done = order.slice(0, index);
          steps.push({
            phase,
            master,
            after: [...before, ...done.map((each) => stepName({ phase, master: each }))],
            heirs: [...done, ...order.slice(index + 1).reverse()],
          });
        });
        break;
      default:
        return phase satisfies never;
    }
  }
  return steps;
}
