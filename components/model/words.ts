import { type Certificate, commonNameOf } from "./certificate.ts";
import { type Client, clientCommands, clientNotices } from "./clients.ts";
import { type Difference, differences, isTrusted } from "./differences.ts";
import { certificatesAt, type Found } from "./found.ts";
import type { Handover, Signer, UnionReason } from "./handover.ts";
import { asReadBy, type KubernetesRow, minorOf, type Row } from "./layout/rows.ts";
import { ackSurroundings } from "./layout/tables.ts";
import { type Hold, obstaclesOf } from "./missing.ts";
import { isOut, isTogether, phases, type RolloutPlan } from "./plan.ts";
import type { RenewalPlan } from "./renewals.ts";
import { carrierNotices } from "./report.ts";
import { oldKeyNotices, strangerNotices } from "./strangers.ts";
import { day, linesOf, printable } from "./text.ts";
import { type ForeignPolicy, ownerOf, recordedAuthorities, trustNotices } from "./trust.ts";
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
  readonly foreignAuthorities: ForeignPolicy | undefined;
  /** whose backup is wanted, instead of the state's certificates */
  readonly restore: number | undefined;
  /** why an update may not begin now: its window is shut */
  readonly shut: string | undefined;
  readonly pauseSeconds: number;
  /** how long snapshots of system disks are kept; undefined without any */
  readonly diskSnapshotDays?: number | undefined;
  /** this phase and what follows wait */
  readonly heldBefore: Hold | undefined;
  readonly handover: Handover;
  /** of etcd, besides Kubernetes */
  readonly clients: readonly Client[];
  /** addresses of the masters and of clients that are ignored, to tell foreign etcd clients apart */
  readonly addresses: readonly string[];
}

/** The plan for a person: why, which master, in which order, which restarts, what expires when. */
export function describePlan(input: WordsInput): string[] {
  if (isNothingToDo(input)) {
    if (
      input.heldBefore !== undefined &&
      input.found.masters.some(({ receipt }) => receipt?.isComplete === false)
    ) {
      return [describeHold(input), ...clientCommands(input.clients), ...stays(input), ...notices(input)];
    }
    return linesOf(
      "Nothing to do: every master serves the wanted certificates.",
      restoring(input),
      ...expiries(input),
      ...stays(input),
      ...absences(input),
    );
  }
  return linesOf(
    `Rollout ${input.rollout} (rotation "${input.rotation}", ${input.plan.mode}):`,
    input.shut !== undefined && `  CAUTION: ${input.shut}`,
    ...olderState(input),
    restoring(input),
    ...reasonsFor(input).map((reason) => `  because ${reason}`),
    describeHandover(input),
    diskSnapshots(input),
    ...steps(input),
    ...expiries(input),
    ...stays(input),
    ...notices(input),
  );
}

/** What holds on the masters while a rollout waits. */
const heldStates: Readonly<Record<Hold, string>> = {
  issue: "every master that could be reached trusts the wanted authorities and the earlier ones too",
  retire: "every master serves the wanted certificates, and trusts the earlier authorities too",
};

/** What is said of a rollout that waits, at the end of its update and in every preview until it goes on. */
export function describeHold({
  found,
  heldBefore = "retire",
  clients,
}: Pick<WordsInput, "found" | "heldBefore" | "clients">): string {
  const obstacles = obstaclesOf(found, heldBefore, clients);
  const goOn =
    obstacles.length === 0
      ? "To go on, remove holdBefore and run pulumi up."
      : `Run pulumi up again when ${obstacles.join(", and ")}.`;
  return `Held before ${heldBefore}: ${heldStates[heldBefore]}. ${goOn}`;
}

/** No master will be changed. */
export function isNothingToDo(input: WordsInput): boolean {
  return input.wanted !== undefined && differencesIn(input).length === 0;
}

function differencesIn({ found, wanted, rows, renewals }: WordsInput): Difference[] {
  return differences(found, wanted, rows, renewals);
}

/** Why there is a rollout. */
export function reasonsFor(input: WordsInput): string[] {
  return linesOf(
    ...input.plan.causes,
    input.wanted === undefined && "new certificates will be issued",
    ...differencesIn(input).map(({ master, what }) => `${master}: ${what}`),
  );
}

function diskSnapshots({ diskSnapshotDays: days, found }: WordsInput): string | undefined {
  return days === undefined
    ? undefined
    : `  first:  a snapshot of the system disk of ${namesIn({ found })}, kept for ${days} ${days === 1 ? "day" : "days"}`;
}

/** How often etcd and kube-apiserver restart, and why; undefined where a recovery starts them, or nothing has to be handed over. */
function describeHandover({ handover }: Pick<WordsInput, "handover">): string | undefined {
  if (handover.kind === "cross") {
    const signers = [...new Set(Object.values(handover.signers).map(signerWords))];
    return `  restarts: once on each master, since ${signers.join(" and ")} ${signers.length === 1 ? "signs" : "sign"} the new ones`;
  }
  const why = whyTwice[handover.reason](
    handover.authority === undefined ? "the authority in use" : `"${nameOf(handover.authority)}"`,
  );
  return why === undefined ? undefined : `  restarts: twice on each master, since ${why}`;
}

function signerWords({ certificate, key }: Signer): string {
  return `"${nameOf(certificate)}"${key === "state" ? "" : ` (its key is ${printable(key.path)} on ${key.master})`}`;
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

function nameOf({ subject }: Certificate): string {
  return printable(commonNameOf(subject) ?? subject.join(", "));
}

function steps(input: WordsInput): string[] {
  const { heldBefore } = input;
  const middle = isTogether(input.plan) ? recoverySteps(input) : [...partial(input), ...rollingSteps(input)];
  if (heldBefore === undefined) {
    const first = input.handover.kind === "cross" ? "leaves without the cross-certificate, " : "";
    return [...middle, `  verify: ${namesIn(input)}: ${first}what is served and accepted; no restart`];
  }
  const obstacles = obstaclesOf(input.found, heldBefore, input.clients).join(", and ");
  return [
    ...middle.slice(0, heldBefore === "retire" ? -1 : phases.indexOf(heldBefore)),
    `  ${phases.slice(phases.indexOf(heldBefore)).join(", ")}: held until ${obstacles || "holdBefore is removed"}; until then old and new authorities are trusted`,
  ];
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
    `  retire: ${plan.order.retire.join(", then ")}: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time`,
  ];
}

/** All but verify; retire comes last. */
function rollingSteps(input: WordsInput): string[] {
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
  const isCross = input.handover.kind === "cross";
  const trustRestarts = out.length === 0 ? restarts : `${restarts}, but for what is out`;
  const early = out.filter((name) => (input.renewals.leaves[name] ?? []).length > 0).join(", ");
  return [
    `  backup: ${names}: files of each, etcd snapshot from ${plan.snapshotFrom ?? "none"}; no restart`,
    `  trust:  ${plan.order.trust.join(", then ")}: ${isCross ? "checks; restarts only where a process is stale" : isTrustDone ? "already trusted; restarts only where a process is stale" : `old and new authorities; ${trustRestarts}`}`,
    `  issue:  ${issueOrder(plan)}: new leaves and keys${isCross ? ", with the cross-certificate behind each leaf" : ""}; ${out.length === 0 ? "no restart" : `${outIn(plan)} started; no other restart`}${early === "" ? "" : `; Kubernetes certificates are renewed on ${early}`}`,
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
function partial({ plan, found: { masters } }: WordsInput): string[] {
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

function namesIn({ found }: Pick<WordsInput, "found">): string {
  return found.masters.map((master) => master.name).join(", ");
}

function isRenewing({ renewals }: WordsInput): boolean {
  return Object.values(renewals.leaves).some((own) => own.length > 0);
}

/** The state was put back, and the stack file was not: what is planned is neither the older set nor the newer one. */
function olderState({ found, wanted, rotation, lastRotation }: WordsInput): string[] {
  const isBehind = wanted === undefined && lastRotation !== undefined && lastRotation !== rotation;
  // a run that has failed leaves an incomplete receipt, and keys that are known
  return isBehind &&
    found.masters.some(({ receipt }) => receipt?.isComplete === true && receipt.rotation === rotation)
    ? [
        `  CAUTION: the masters have rotation "${rotation}" already, and this state is an older one, of rotation "${lastRotation}": up makes a third set of authorities.`,
        `  To go back to the certificates of this state: pulumi config set rotation ${lastRotation}`,
      ]
    : [];
}

function restoring({ restore }: WordsInput): string | undefined {
  return restore === undefined
    ? undefined
    : `  restore: the files that the masters kept from before rollout ${restore}, Kubernetes' own among them, byte for byte; to go forward to the certificates of this stack, remove restore`;
}

/** What a rollout cannot change, or drops besides the authorities in use. */
function stays({ wanted, foreignAuthorities, clients, ...input }: WordsInput): string[] {
  const { found, rows } = input;
  const authorities = wanted === undefined ? recordedAuthorities(found) : Object.values(wanted.authorities);
  return [
    ...input.renewals.notices,
    ...carrierNotices(found),
    ...trustNotices(found, rows, authorities, foreignAuthorities),
    ...strangerNotices(found, rows, input.kubernetes),
    ...oldKeyNotices(found, rows),
    ...clientNotices(found, clients),
  ].map((notice) => `  notice: ${notice}`);
}

function expiries(input: WordsInput): string[] {
  return firstToExpire(input).map(({ master, first }) =>
    first === undefined
      ? `  ${master}: no certificate could be read`
      : `  ${master}: first to expire is ${first.certificate}, on ${day(first.notAfter)}`,
  );
}

/** By master, the certificate that ends first and is ours to renew; undefined where none could be read. */
export function firstToExpire({ found, rows, kubernetes }: WordsInput): {
  readonly master: string;
  readonly first: { readonly certificate: string; readonly notAfter: number } | undefined;
}[] {
  const owner = ownerOf(found.masters, rows);
  return found.masters.map((master) => {
    const ends = [...rows, ...kubernetes]
      .filter(({ kind }) => kind !== "key")
      .flatMap((row) =>
        certificatesAt(master, row)
          // what stands behind a leaf of etcd is none of its own
          .filter((_, index) => "signer" in row || row.kind === "trust" || index === 0)
          .filter((certificate) => row.kind !== "trust" || owner(certificate) !== "foreign")
          .map(({ notAfter }) => ({ certificate: row.id, notAfter })),
      );
    const [first] = ends.toSorted((a, b) => a.notAfter - b.notAfter);
    return { master: master.name, first };
  });
}

/** Masters that are no part of the plan; the steps of one that is missing leave the state, which runs nothing. */
function absences({ found }: WordsInput): string[] {
  const joining = (found.joining ?? []).map(
    ({ name }) => `  notice: ${name} is joining: it gets its files in issue, and nothing is started there`,
  );
  const missing = (found.missing ?? []).map(
    ({ name, isAlive }) =>
      `  notice: ${name} cannot be reached over SSH and is left out (skipUnreachable); its etcd ${isAlive ? "serves" : "does not answer"}. Its steps leave the state, which runs nothing there`,
  );
  return [...missing, ...joining];
}

function notices(input: WordsInput): string[] {
  const { found, addresses } = input;
  const foreign = [...new Set(found.masters.flatMap((master) => master.clients))].filter(
    (address) => !addresses.includes(address) && address !== "127.0.0.1" && address !== "::1",
  );
  const held = found.masters.flatMap(({ name, claim, lock }) =>
    linesOf(
      claim !== undefined && `  notice: ${name} is being worked on by ${claim}`,
      lock !== undefined && `  notice: ${name} is locked by ${lock}`,
    ),
  );
  const unknown = found.masters.filter(({ kubernetes }) => minorOf(kubernetes) === undefined);
  return linesOf(
    ...absences(input),
    unknown.length > 0 &&
      `  notice: the version of Kubernetes on ${unknown.map(({ name }) => name).join(", ")} is not known, neither from the image in ${ackSurroundings.apiManifest} nor from /version: kube-apiserver is assumed to read its new certificates without a restart, as it does since 1.19`,
    foreign.length > 0 &&
      `  notice: other clients of etcd, which must trust the new authority before retire: ${foreign.join(", ")}`,
    ...held,
  );
}
