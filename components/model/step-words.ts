import { shownName } from "./certificate.ts";
import type { Decision, Given } from "./decision.ts";
import { isTrusted } from "./differences.ts";
import type { Found } from "./found.ts";
import type { Signer, UnionReason } from "./handover.ts";
import { asReadBy } from "./layout/rows.ts";
import { obstaclesOf } from "./missing.ts";
import { isOut, isTogether, phases, type RolloutPlan } from "./plan.ts";
import { linesOf, printable } from "./text.ts";
import type { Wanted } from "./wanted.ts";

/** What the words for the phases need. */
export interface StepsInput extends Pick<Decision, "rows" | "kubernetes" | "plan">, Given {
  readonly found: Found;
  /** undefined while a rotation is being previewed */
  readonly wanted: Wanted | undefined;
  readonly pauseSeconds: number;
}

/** How often etcd and kube-apiserver restart, and why; undefined where a recovery starts them, or nothing has to be handed over. */
export function handoverInWords({ handover }: Pick<StepsInput, "handover">): string | undefined {
  if (handover.kind === "cross") {
    const signers = [...new Set(Object.values(handover.signers).map(signerWords))];
    return `  restarts: once on each master, since ${signers.join(" and ")} ${signers.length === 1 ? "signs" : "sign"} the new ones`;
  }
  const why = whyTwice[handover.reason](
    handover.authority === undefined ? "the authority in use" : `"${shownName(handover.authority.subject)}"`,
  );
  return why === undefined ? undefined : `  restarts: twice on each master, since ${why}`;
}

function signerWords({ certificate, key }: Signer): string {
  return `"${shownName(certificate.subject)}"${key === "state" ? "" : ` (its key is ${printable(key.path)} on ${key.master})`}`;
}

const whyTwice: Readonly<Record<UnionReason, (authority: string) => string | undefined>> = {
  trusted: () => undefined,
  recovery: () => undefined,
  never: () => "crossCertificates is never",
  restore: () => "a backup's files come back as they were",
  held: () => "old and new authorities are trusted while the rollout is held",
  incomplete: () => "not every master takes part",
  "no-key": (authority) => `no key of ${authority} is at hand to sign with`,
  constrained: (authority) =>
    `${authority} may not sign any authority (pathlen:0, name constraints, or an issuer above it)`,
  ends: (authority) => `${authority} ends within a week of the rollout`,
  mixed: () => "not every master is well and accepts the certificates of all others",
};

/** What a cross-certificate changes in the phases of a rollout that is rolling. */
const crossWords = {
  cross: {
    trust: "checks",
    issue: ", with the cross-certificate behind each leaf",
    verify: "leaves without the cross-certificate, ",
  },
  union: { trust: undefined, issue: "", verify: "" },
} as const;

/** What each phase does, on which masters, in which order, with which restarts. */
export function stepsInWords(input: StepsInput): string[] {
  const { heldBefore } = input;
  const middle = isTogether(input.plan) ? recoverySteps(input) : [...partial(input), ...rollingSteps(input)];
  if (heldBefore === undefined) {
    return [
      ...middle,
      `  verify: ${namesIn(input)}: ${crossWords[input.handover.kind].verify}what is served and accepted; no restart`,
    ];
  }
  const obstacles = obstaclesOf(input.found, heldBefore, input.clients).join(", and ");
  return [
    ...middle.slice(0, heldBefore === "retire" ? -1 : phases.indexOf(heldBefore)),
    `  ${phases.slice(phases.indexOf(heldBefore)).join(", ")}: held until ${obstacles || "holdBefore is removed"}; until then old and new authorities are trusted`,
  ];
}

/** All but verify; retire comes last. */
function recoverySteps(input: StepsInput): string[] {
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
    `  retire: ${plan.order.retire.join(", then ")}: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time`,
  ];
}

/** All but verify; retire comes last. */
function rollingSteps(input: StepsInput): string[] {
  const { plan, wanted, found, rows, pauseSeconds } = input;
  const names = namesIn(input);
  const isTrustDone =
    wanted !== undefined &&
    found.masters.every((master) =>
      rows
        .filter((row) => row.kind === "trust")
        .every((row) => isTrusted(master.files[row.id], wanted.files[master.name]?.[row.id])),
    );
  const readsOnce = input.kubernetes.some((row) =>
    found.masters.some(({ kubernetes }) => asReadBy(row, kubernetes) !== row),
  );
  const renewing = isRenewing(input)
    ? `; Kubernetes certificates are renewed, and ${readsOnce && isTrustDone ? "kube-apiserver (which is older than 1.19), " : ""}the kubelet, controller manager and scheduler restart (containers keep running)`
    : "";
  const restarts = `etcd and kube-apiserver restart on each, one master at a time, ${pauseSeconds} s apart`;
  const out = Object.keys(plan.out);
  const words = crossWords[input.handover.kind];
  const trustRestarts = out.length === 0 ? restarts : `${restarts}, but for what is out`;
  const ready = words.trust ?? (isTrustDone ? "already trusted" : undefined);
  const trust =
    ready === undefined
      ? `old and new authorities; ${trustRestarts}`
      : `${ready}; restarts only where a process is stale`;
  const early = out.filter((name) => (input.renewals.leaves[name] ?? []).length > 0).join(", ");
  return [
    `  backup: ${names}: files of each, etcd snapshot from ${plan.snapshotFrom ?? "none"}; no restart`,
    `  trust:  ${plan.order.trust.join(", then ")}: ${trust}`,
    `  issue:  ${issueOrder(plan)}: new leaves and keys${words.issue}; ${out.length === 0 ? "no restart" : `${outIn(plan)} started; no other restart`}${early === "" ? "" : `; Kubernetes certificates are renewed on ${early}`}`,
    `  settle: ${names}: checks; no restart`,
    `  retire: ${plan.order.retire.join(", then ")}: only the wanted authorities; ${isTrustDone ? "restarts only where a trust file changes" : restarts}${renewing}`,
  ];
}

function issueOrder({ mode, order: { issue } }: RolloutPlan): string {
  const others = issue.slice(1).join(", ");
  return mode === "recovery" || issue.length < 3
    ? issue.join(", then ")
    : `${issue[0]}, then side by side ${others}`;
}

/** What a recovery with a quorum that answers means. */
function partial({ plan, found: { masters } }: StepsInput): string[] {
  if (plan.mode === "rolling") {
    return [];
  }
  const answering = masters.filter(({ name, doesAnswer }) => doesAnswer && !isOut(plan, name)).length;
  const isShort = answering - 1 < Math.floor(masters.length / 2) + 1;
  return linesOf(
    `  This is a recovery of ${outIn(plan)}: it is started in issue, when the others trust both authorities; everything else keeps serving, and is restarted one master at a time.`,
    isShort &&
      `  CAUTION: ${answering} of ${masters.length} members answer, so each restart of etcd in trust interrupts reads and writes for a second or two; one that does not come back is an outage`,
  );
}

/** As in `master-3 (etcd, kube-apiserver)`. */
function outIn({ out }: RolloutPlan): string {
  return Object.entries(out)
    .map(([name, components]) => `${name} (${components.join(", ")})`)
    .join(", ");
}

export function namesIn({ found }: Pick<StepsInput, "found">): string {
  return found.masters.map((master) => master.name).join(", ");
}

function isRenewing({ renewals }: StepsInput): boolean {
  return Object.values(renewals.leaves).some((own) => own.length > 0);
}
