import { day } from "./day.ts";
import { differences, isTrusted } from "./differences.ts";
import type { Found } from "./found.ts";
import type { KubernetesRow, Row } from "./layout.ts";
import type { RolloutPlan } from "./plan.ts";
import type { RenewalPlan } from "./renewals.ts";
import type { Wanted } from "./wanted.ts";

/** What the words need besides the survey. */
export interface WordsInput {
  readonly found: Found;
  /** undefined while a rotation is being previewed */
  readonly wanted: Wanted | undefined;
  readonly rows: readonly Row[];
  readonly kubernetes: readonly KubernetesRow[];
  readonly plan: RolloutPlan;
  readonly renewals: RenewalPlan;
  readonly rollout: number;
  readonly rotation: string;
  /** of the state that this run begins with; undefined before the first update */
  readonly lastRotation: string | undefined;
  /** whose backup is wanted, instead of the state's certificates */
  readonly restore: number | undefined;
  /** why an update may not begin now: its window is shut */
  readonly shut: string | undefined;
  readonly pauseSeconds: number;
  /** retire and verify wait for holdBefore to be removed */
  readonly isHeld: boolean;
  /** addresses of the masters, to tell foreign etcd clients apart */
  readonly addresses: readonly string[];
}

/** The plan for a person: why, which master, in which order, which restarts, what expires when. */
export function describePlan(input: WordsInput): string[] {
  const found = differences(input.found, input.wanted, input.rows, input.renewals);
  if (input.wanted !== undefined && found.length === 0) {
    if (input.wanted.isHeld && input.found.masters.some(({ receipt }) => receipt?.isComplete === false)) {
      return [
        "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too. To go on, remove holdBefore.",
        ...notices(input),
      ];
    }
    return ["Nothing to do: every master serves the wanted certificates.", ...restoring(input), ...expiries(input), ...stays(input)];
  }
  return [
    `Rollout ${input.rollout} (rotation "${input.rotation}", ${input.plan.mode}):`,
    ...(input.shut === undefined ? [] : [`  CAUTION: ${input.shut}`]),
    ...olderState(input),
    ...restoring(input),
    ...reasons(
      input,
      found.map(({ master, what }) => `${master}: ${what}`),
    ),
    ...steps(input),
    ...expiries(input),
    ...stays(input),
    ...notices(input),
  ];
}

function reasons({ plan, wanted }: WordsInput, found: readonly string[]): string[] {
  const first = wanted === undefined ? ["new certificates will be issued"] : [];
  return [...plan.causes, ...first, ...found].map((reason) => `  because ${reason}`);
}

function steps(input: WordsInput): string[] {
  const names = namesIn(input);
  const middle = input.plan.mode === "recovery" ? recoverySteps(input) : rollingSteps(input);
  return input.isHeld
    ? [...middle.slice(0, -1), "  retire, verify: held until holdBefore is removed; until then old and new authorities are trusted"]
    : [...middle, `  verify: ${names}: what is served and accepted; no restart`];
}

/** All but verify; retire comes last. */
function recoverySteps(input: WordsInput): string[] {
  const { plan } = input;
  const names = namesIn(input);
  const snapshot =
    plan.snapshotFrom === undefined
      ? "no etcd snapshot, since no member is healthy: a copy of the data of each that is stopped"
      : `etcd snapshot from ${plan.snapshotFrom}`;
  return [
    "  This is a recovery: etcd and the API servers are started on all masters together, and are down until then; containers keep running.",
    `  backup: ${names}, side by side: files of each, ${snapshot}`,
    `  trust, issue: ${names}, side by side: files only${isRenewing(input) ? "; Kubernetes certificates are renewed" : ""}`,
    `  settle: ${names}, together: etcd where it does not answer or has new files, then kube-apiserver${isRenewing(input) ? ", the kubelet, controller manager and scheduler" : ""}`,
    `  retire: ${plan.order.retire.join(", then ")}: only the wanted authorities; etcd, then kube-apiserver restart on each, one master at a time`,
  ];
}

/** All but verify; retire comes last. */
function rollingSteps(input: WordsInput): string[] {
  const { plan, wanted, found, rows, pauseSeconds } = input;
  const names = namesIn(input);
  const isTrustDone =
    wanted !== undefined &&
    found.masters.every((master) =>
      rows.filter((row) => row.kind === "trust").every((row) => isTrusted(master.files[row.id], wanted.files[master.name]?.[row.id])),
    );
  const renewing = isRenewing(input)
    ? "; Kubernetes certificates are renewed, and the kubelet, controller manager and scheduler restart (containers keep running)"
    : "";
  const restarts = `etcd, then kube-apiserver restart on each, one master at a time, ${pauseSeconds} s apart`;
  return [
    `  backup: ${names}: files of each, etcd snapshot from ${plan.snapshotFrom ?? "none"}; no restart`,
    `  trust:  ${plan.order.trust.join(", then ")}: ${isTrustDone ? "already trusted; restarts only where a process is stale" : `old and new authorities; ${restarts}`}`,
    `  issue:  ${plan.order.issue.join(", then ")}: new leaves and keys; no restart`,
    `  settle: ${names}: checks; no restart`,
    `  retire: ${plan.order.retire.join(", then ")}: only the wanted authorities; ${isTrustDone ? "restarts only where a trust file changes" : restarts}${renewing}`,
  ];
}

function namesIn({ found }: WordsInput): string {
  return found.masters.map((master) => master.name).join(", ");
}

function isRenewing({ renewals }: WordsInput): boolean {
  return Object.values(renewals.leaves).some((own) => own.length > 0);
}

/** The state was put back, and the stack file was not: what is planned is neither the older set nor the newer one. */
function olderState({ found, wanted, rotation, lastRotation }: WordsInput): string[] {
  const isBehind = wanted === undefined && lastRotation !== undefined && lastRotation !== rotation;
  // a run that has failed leaves an incomplete receipt, and keys that are known
  return isBehind && found.masters.some(({ receipt }) => receipt?.isComplete === true && receipt.rotation === rotation)
    ? [
        `  CAUTION: the masters have rotation "${rotation}" already, and this state is an older one, of rotation "${lastRotation}": up makes a third set of authorities.`,
        `  To go back to the certificates of this state: pulumi config set rotation ${lastRotation}`,
      ]
    : [];
}

function restoring({ restore }: WordsInput): string[] {
  return restore === undefined
    ? []
    : [
        `  restore: the files that the masters kept from before rollout ${restore}, Kubernetes' own among them, byte for byte; to go forward to the certificates of this stack, remove restore`,
      ];
}

/** What a rollout cannot change. */
function stays({ renewals }: WordsInput): string[] {
  return renewals.notices.map((notice) => `  notice: ${notice}`);
}

function expiries({ found, rows, kubernetes }: WordsInput): string[] {
  return found.masters.map((master) => {
    const ends = [...rows, ...kubernetes].flatMap((row) =>
      row.kind === "key" ? [] : (master.files[row.id]?.certificates ?? []).map((certificate): [string, number] => [row.id, certificate.notAfter]),
    );
    const first = ends.toSorted((a, b) => a[1] - b[1])[0];
    return first === undefined ? `  ${master.name}: no certificate could be read` : `  ${master.name}: first to expire is ${first[0]}, on ${day(first[1])}`;
  });
}

function notices({ found, addresses }: WordsInput): string[] {
  const foreign = [...new Set(found.masters.flatMap((master) => master.clients))].filter(
    (address) => !addresses.includes(address) && address !== "127.0.0.1" && address !== "::1",
  );
  const held = found.masters.flatMap((master) => [
    ...(master.claim === undefined ? [] : [`  notice: ${master.name} is being worked on by ${master.claim}`]),
    ...(master.lock === undefined ? [] : [`  notice: ${master.name} is locked by ${master.lock}`]),
  ]);
  return [
    ...(foreign.length === 0 ? [] : [`  notice: other clients of etcd, which must trust the new authority before retire: ${foreign.join(", ")}`]),
    ...held,
  ];
}
