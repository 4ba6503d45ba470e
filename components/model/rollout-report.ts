import type { Certificate } from "./certificate.ts";
import {
  type EndedStep,
  endedSteps,
  iso,
  type Probed,
  type ProbeTarget,
  type StateStep,
} from "./ended-steps.ts";
import { type Component, components } from "./layout/rows.ts";
import { type Phase, phases, stepName } from "./plan.ts";
import { type Records, recordsOf, type stepRecords } from "./records.ts";

/** An update as the backend's history has it. Times are ISO 8601. */
export interface Update {
  /** counted from the oldest one; undefined for one that is not in the history */
  readonly number?: number;
  readonly started?: string;
  readonly ended?: string;
  /** "succeeded", "failed", "unfinished" without a history, or what it was where it was no update */
  readonly result: string;
  /** of resources, by operation */
  readonly changes: Readonly<Record<string, number>>;
}

/** A state at the end of an update, or the present one. */
export interface KeptState {
  readonly update: Update;
  readonly steps: readonly StateStep[];
  /** by resource name, such as `etcd-ca` and `master-1-etcd-server` */
  readonly certificates: Readonly<Record<string, Pick<Certificate, "fingerprint" | "notAfter">>>;
  readonly rotation: string | undefined;
  readonly cluster: string | undefined;
  /** of the last update that ended well */
  readonly rollout: number | undefined;
  /** names of the resources that were at work when the engine was killed, in this run or an earlier one */
  readonly pending: readonly string[];
}

/** A certificate by its SHA-256 and, in ISO 8601, its end. */
interface Known {
  readonly fingerprint: string;
  readonly notAfter: string;
}

export interface ReportedCertificate {
  /** a master, or "stack" for an authority */
  readonly place: string;
  readonly role: string;
  /** after the last rollout that ended well; undefined where the history does not have it */
  readonly before: Known | undefined;
  readonly after: Known;
  readonly change: "renewed" | "same" | "unknown";
  /** verify of this rollout has seen it in use, of an authority on every master; else it is only in the state */
  readonly isSeen: boolean;
}

/** The record of one rollout; public data only. */
export interface RolloutReport extends Pick<KeptState, "cluster" | "rotation" | "update"> {
  readonly stack: string;
  readonly rollout: number;
  readonly attempt: string;
  /** "unfinished": it still runs, or the engine was killed */
  readonly result: "succeeded" | "held" | "failed" | "unfinished";
  /** the last rollout before it that ended well, which `before` of the certificates is about */
  readonly before: { readonly rollout: number; readonly ended: string | undefined } | undefined;
  readonly masters: readonly string[];
  /** in the order of their ends */
  readonly steps: readonly EndedStep[];
  /** how often, by master */
  readonly restarts: Readonly<Record<string, Readonly<Partial<Record<Component, number>>>>>;
  /** by master, over all its steps; a master without one has had no probe */
  readonly probes: Readonly<Record<string, Readonly<Partial<Record<ProbeTarget, Probed>>>>>;
  readonly leadershipMoves: readonly { readonly from: string; readonly to: string; readonly phase: Phase }[];
  /** names of the steps that were at work when the engine was killed */
  readonly pending: readonly string[];
  /** names of the steps that have not ended, of a rollout that has not come to its end */
  readonly remaining: readonly string[];
  readonly certificates: readonly ReportedCertificate[];
  /** how many earlier client leaves each master was seen to refuse */
  readonly refused: readonly { readonly master: string; readonly leaves: number }[];
  /** who may still hold an earlier certificate of a Kubernetes authority, and what to run */
  readonly carriers: readonly string[];
  /** updates after it in which no step has ended */
  readonly later: readonly Update[];
}

/**
 * The rollouts of which the states have a step, the oldest first.
 * @param states the oldest first; the present one last, which counts where the history does not have its steps
 */
export function rolloutsIn(stack: string, states: readonly KeptState[]): RolloutReport[] {
  const reports: RolloutReport[] = [];
  const seen = new Set<string>();
  const known = states.map((state) => ({ state, steps: endedSteps(state.steps, state.update.started) }));
  for (const [index, { state, steps }] of known.entries()) {
    const attempt = steps.at(-1)?.attempt ?? "";
    // an import brings back the steps of an earlier update, or of somebody else's
    const isRun = attempt !== "" && ["succeeded", "failed", "unfinished"].includes(state.update.result);
    const last = reports.at(-1);
    // an update that only had to make up for the rest of what the one before had begun takes its place
    const isContinued = last?.attempt === attempt && stepsOf(attempt, steps).length > last.steps.length;
    if (isRun && (isContinued || !seen.has(attempt))) {
      if (isContinued) {
        reports.pop();
      }
      const rest = known.slice(index + 1);
      const end = rest.findIndex((each) => each.steps.at(-1)?.attempt !== attempt);
      const later = rest.slice(0, end === -1 ? rest.length : end).map((each) => each.state.update);
      reports.push({
        ...reportOf(stack, state, steps, reports),
        later: later.filter(({ number }) => number !== undefined),
      });
    }
    seen.add(attempt);
  }
  return reports;
}

function reportOf(
  stack: string,
  state: KeptState,
  all: readonly EndedStep[],
  earlier: readonly RolloutReport[],
): Omit<RolloutReport, "later"> {
  const { update, cluster, rotation, pending } = state;
  const attempt = all.at(-1)?.attempt ?? "";
  const steps = stepsOf(attempt, all);
  const { served, refused, carrier, held } = recordsOf(
    state.steps.map(({ stdout }) => stdout),
    attempt,
  );
  const masters = mastersOf(all, steps);
  const before = earlier.findLast(({ result }) => result === "succeeded");
  const isEnded = update.result === "succeeded";
  // of one of several clusters the state has it encrypted
  const number = (isEnded ? state.rollout : undefined) ?? toldIn(steps);
  const other = update.result === "unfinished" ? "unfinished" : "failed";
  const remaining = isEnded ? [] : remainingOf(masters, steps);
  const [next = ""] = remaining[0]?.split("-") ?? [];
  return {
    stack,
    cluster,
    rotation,
    rollout: number ?? (earlier.at(-1)?.rollout ?? 0) + 1,
    attempt,
    result: !isEnded ? other : held.length > 0 ? "held" : "succeeded",
    update,
    before: before && { rollout: before.rollout, ended: before.update.ended },
    masters,
    steps,
    restarts: Object.fromEntries(masters.map((master) => [master, restartsOf(master, steps)])),
    probes: Object.fromEntries(masters.flatMap((master) => probedOn(master, steps))),
    leadershipMoves: steps.flatMap(({ master: from, phase, words }) =>
      words.flatMap((line) => {
        const [, to] = /^leadership handed to (.+)$/.exec(line) ?? [];
        return to === undefined ? [] : { from, to, phase };
      }),
    ),
    remaining,
    // the engine keeps those of earlier runs that were killed
    pending: pending.filter((name) => remaining.includes(name) && name.startsWith(`${next}-`)),
    certificates: certificatesOf(state, masters, served, before?.certificates ?? []),
    refused,
    carriers: carrier.map(({ words }) => words),
  };
}

function stepsOf(attempt: string, all: readonly EndedStep[]): EndedStep[] {
  return all.filter((step) => step.attempt === attempt);
}

function restartsOf(master: string, steps: readonly EndedStep[]): Partial<Record<Component, number>> {
  const own = steps.filter((step) => step.master === master).flatMap(({ restarts }) => restarts);
  const counted = components.map((each) => [each, own.filter((component) => component === each).length]);
  return Object.fromEntries(counted.filter(([, count]) => count !== 0));
}

function probedOn(
  master: string,
  steps: readonly EndedStep[],
): (readonly [string, RolloutReport["probes"][string]])[] {
  const seen = steps.flatMap((step) => (step.master === master ? step.probe : []));
  const targets = (["etcd", "kube-apiserver"] as const).flatMap((target) => {
    const own = seen.filter((each) => each.target === target);
    const last = own.at(-1);
    const most = (value: (each: Probed) => number) => Math.max(...own.map(value));
    const sum = (value: (each: Probed) => number) => own.reduce((total, each) => total + value(each), 0);
    if (last === undefined) {
      return [];
    }
    const probed: Probed = {
      // once it has answered, it says so to the end
      state: last.state,
      tries: sum(({ tries }) => tries),
      failures: sum(({ failures }) => failures),
      longestGapMilliseconds: most(({ longestGapMilliseconds }) => longestGapMilliseconds),
      slowestMilliseconds: most(({ slowestMilliseconds }) => slowestMilliseconds),
    };
    return [[target, probed] as const];
  });
  return targets.length === 0 ? [] : [[master, Object.fromEntries(targets)]];
}

/** The number in the name of the backup that backup has made, or found there. */
function toldIn(steps: readonly EndedStep[]): number | undefined {
  const words = steps.flatMap((step) => step.words);
  const told = words.flatMap((line) => /^backup .*\/rollout-(\d+)(?: exists)?$/.exec(line)?.[1] ?? []);
  return told[0] === undefined ? undefined : Number(told[0]);
}

/** Until backup has ended on all of them, those of the rollout before, too. */
function mastersOf(all: readonly EndedStep[], steps: readonly EndedStep[]): string[] {
  const known = steps.some(({ phase }) => phase !== "backup") ? steps : all;
  return [...new Set(known.map(({ master }) => master))].toSorted();
}

/** Without those of a machine that is to join: it has issue alone. */
function remainingOf(masters: readonly string[], steps: readonly EndedStep[]): string[] {
  const ended = steps.map(stepName);
  const isPastBackup = steps.some(({ phase }) => phase !== "backup");
  const members = masters.filter((master) => !isPastBackup || ended.includes(`backup-${master}`));
  const all = phases.flatMap((phase) => members.map((master) => stepName({ phase, master })));
  return all.filter((name) => !ended.includes(name));
}

/** What verify has seen in use; where it has not run, what the state has. */
function certificatesOf(
  { certificates }: KeptState,
  masters: readonly string[],
  served: Records<typeof stepRecords>["served"],
  before: readonly ReportedCertificate[],
): ReportedCertificate[] {
  const longest = masters.toSorted((a, b) => b.length - a.length);
  const made = Object.entries(certificates).map(([name, { fingerprint, notAfter }]) => {
    const place = longest.find((master) => name.startsWith(`${master}-`)) ?? "stack";
    const role = place === "stack" ? name : name.slice(place.length + 1);
    // an authority is the stack's: as every master has it
    const isSeen = masters.every((master) =>
      served.some((each) => each.master === master && each.fingerprint === fingerprint),
    );
    return { place, role, after: { fingerprint, notAfter: iso(notAfter) }, isSeen };
  });
  const seen = served.map(({ master: place, role, fingerprint, end }) => {
    return { place, role, after: { fingerprint, notAfter: iso(Date.parse(end)) }, isSeen: true };
  });
  // the stack's authorities first
  const key = ({ place, role }: { readonly place: string; readonly role: string }) =>
    `${place === "stack" ? 0 : 1} ${place} ${role}`;
  const rows = new Map([...made, ...seen].map((each) => [key(each), each]));
  const earlier = new Map(before.map((each) => [key(each), each.after]));
  return [...rows.keys()].toSorted().flatMap((own) => {
    const [row, was] = [rows.get(own), earlier.get(own)];
    const isKept = was?.fingerprint === row?.after.fingerprint;
    const change = was === undefined ? "unknown" : isKept ? "same" : "renewed";
    return row === undefined ? [] : [{ ...row, before: was, change }];
  });
}
