import { type Certificate, hasIssued } from "./certificate.ts";
import { apiFaults, certificateFaults } from "./faults.ts";
import type { Found, FoundMaster } from "./found.ts";
import { type KubernetesRow, type Row, servedLeaves } from "./layout.ts";

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

/**
 * @param kubernetes Kubernetes' own files that are looked after
 * @param now milliseconds since 1970
 */
export function planRollout(found: Found, rows: readonly Row[], kubernetes: readonly KubernetesRow[], now: number): RolloutPlan {
  const causes = recoveryCauses(found, rows, kubernetes, now);
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
 * Quorum that is lost already, a member that is out because of its certificates, or an API server that everybody refuses because
 * of its own: waiting for health would be in vain.
 * Any other ill health (an alarm, a learner, a lagging member) is none: its members serve, and a rollout refuses to begin.
 */
function recoveryCauses({ masters, missing = [] }: Found, rows: readonly Row[], kubernetes: readonly KubernetesRow[], now: number): string[] {
  // an alarm or a lagging member is no matter of certificates
  const out = masters.filter((master) => !master.doesAnswer || master.etcd.startsWith("no peer handshake"));
  const total = masters.length + missing.length;
  const answering = masters.filter((master) => master.doesAnswer).length + missing.filter((each) => each.isAlive).length;
  const lost = answering < Math.floor(total / 2) + 1 ? [`etcd has no quorum that answers: ${answering} of ${total} members do`] : [];
  // one that serves nothing yet is starting
  const stale = out.filter(
    (master) =>
      master.processes.etcd?.isStale === true && !master.doesAnswer && Object.keys(servedLeaves).some((port) => master.served[Number(port)] !== undefined),
  );
  return [
    ...lost,
    ...out.flatMap((master) => certificateFaults(master, masters, rows, now)),
    ...stale.map((master) => `${master.name}: etcd does not answer, and runs with files that have changed since its start`),
    ...masters.flatMap((master) => apiFaults(master, kubernetes, now)),
  ];
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

/**
 * All steps in their order. One that is still to join gets all its files when the others have their leaves, which accept each other by then.
 * Between two phases, and between two masters of a phase that restarts something, stands a gate.
 */
export function stepsOf(plan: RolloutPlan, masters: readonly string[], joining: readonly string[] = []): PlannedStep[] {
  const steps: PlannedStep[] = [];
  for (const phase of phases) {
    const before = steps.filter((step) => step.phase === phases[phases.indexOf(phase) - 1]).map(stepName);
    const together = masters.map((master) => ({ phase, master, after: before, heirs: [] }));
    steps.push(...(phase === "issue" ? joining.map((master) => ({ phase, master, after: before, heirs: [] })) : []));
    switch (phase) {
      case "backup":
      case "settle":
      case "verify":
        steps.push(...together);
        break;
      case "trust":
      case "issue":
      case "retire":
        // in a recovery both only write files
        if (plan.mode === "recovery" && phase !== "retire") {
          steps.push(...together);
          break;
        }
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
