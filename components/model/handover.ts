import { type Certificate, certificatesIn, hasIssued, mayBeAbove } from "./certificate.ts";
import { certificateFaults } from "./faults.ts";
import { certificatesAt, type Found, type FoundMaster, leafAt } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import { type Authority, authorities, byAuthority, type Row } from "./layout/rows.ts";
import type { RolloutPlan } from "./plan.ts";
import { ownerOf, unique } from "./trust.ts";
import type { WantedPems } from "./wanted.ts";

/** Whether authorities in use sign the new ones: the stack file's crossCertificates. */
export const crossPolicies = ["auto", "never"] as const;
export type CrossPolicy = (typeof crossPolicies)[number];

/** An authority in use whose key is at hand: in the state, or in a file on a master, where it stays. */
export interface Signer {
  readonly certificate: Certificate;
  readonly key: "state" | { readonly master: string; readonly path: string };
}

/** Who signs the wanted authorities; public. */
type Signers = Readonly<Record<Authority, Signer>>;

/** The wanted authorities' subjects and keys in certificates that the signers have signed, as PEM texts; public. */
export type CrossCertificates = Readonly<Record<Authority, string>>;

/**
 * How trust passes from the authorities in use to the wanted ones.
 * `cross`: with one restart. A cross-certificate stands behind each leaf until all have retired: who trusts the old authority alone
 * accepts the leaf, and so does who trusts the new one alone, so no trust file changes before retire.
 * `union`: with two. Both are trusted from trust to retire.
 */
export type Handover =
  | { readonly kind: "cross"; readonly signers: Signers }
  | { readonly kind: "union"; readonly reason: UnionReason; readonly authority?: Certificate | undefined };

/**
 * Why no cross-certificate is used. `trusted`: the wanted authorities are trusted everywhere already. `never`: the stack file says so.
 * `no-key`: an authority in use has no key at hand. `constrained`: what it signs may not sign whatever it has to. `ends`: it ends too
 * soon. `mixed`: not all masters are well and accept each other by the files that they have.
 */
export type UnionReason =
  | "trusted"
  | "never"
  | "recovery"
  | "restore"
  | "held"
  | "incomplete"
  | "no-key"
  | "constrained"
  | "ends"
  | "mixed";

export interface HandoverQuestion {
  readonly rows: readonly Row[];
  readonly mode: RolloutPlan["mode"];
  /** the authorities whose keys the state has; undefined where it has none */
  readonly inState: Readonly<Record<Authority, Certificate>> | undefined;
  /** fingerprints; undefined while they are not known */
  readonly wanted: Readonly<Record<Authority, string>> | undefined;
  readonly policy: CrossPolicy | undefined;
  readonly isRestoring: boolean;
  readonly isHeld: boolean;
  /** milliseconds since 1970; `end`: when the rollout is done at the latest */
  readonly now: number;
  readonly end: number;
}

/**
 * A cross-certificate is for a cluster in which nothing else is the matter: every trust file holds the signer, or the wanted authority
 * where an earlier run came to retire, and every leaf is served, and accepted by every master.
 */
export function decideHandover(found: Found, question: HandoverQuestion): Handover {
  const { rows, now, end } = question;
  const reason = reasonNotToCross(found, question);
  if (reason !== undefined) {
    return { kind: "union", reason };
  }
  const owner = ownerOf(found.masters, rows);
  const isInUse = (authority: Certificate) => owner(authority) === "in-use";
  const { etcd, "etcd-peer": peer } = byAuthority((role) => signerOf(role, found, question, isInUse));
  if (etcd === undefined || peer === undefined) {
    const authority = keylessIn(etcd === undefined ? "etcd" : "etcd-peer", found, question, isInUse);
    return { kind: "union", reason: "no-key", authority };
  }
  for (const { certificate: authority } of [etcd, peer]) {
    if (!mayBeAbove(authority)) {
      return { kind: "union", reason: "constrained", authority };
    }
    // a rollout that was cut may stay so for days, and until retire nothing else is trusted
    if (authority.notAfter <= end + marginMilliseconds) {
      return { kind: "union", reason: "ends", authority };
    }
  }
  const isUniform = found.masters.every(
    (master) => isWell(master) && certificateFaults(master, found.masters, rows, now).length === 0,
  );
  return isUniform
    ? { kind: "cross", signers: { etcd, "etcd-peer": peer } }
    : { kind: "union", reason: "mixed" };
}

const marginMilliseconds = 7 * 86_400_000;

/**
 * The first authority in use whose key is at hand and which all trust files of the role hold, or have the wanted one in its place.
 * Where all have that, the state's signs too, although this role does not need it any more.
 */
function signerOf(
  role: Authority,
  found: Found,
  { rows, inState, wanted }: HandoverQuestion,
  isInUse: (authority: Certificate) => boolean,
): Signer | undefined {
  const files = trustFiles(found, rows).filter(({ row }) => row.authority === role);
  const own = unique(files.flatMap(({ master, row }) => certificatesAt(master, row))).filter(
    (each) =>
      isInUse(each) &&
      files.every(({ master, row }) => holds(master, row, [each.fingerprint, wanted?.[role]])),
  );
  const isDone = files.every(({ master, row }) => holds(master, row, [wanted?.[role]]));
  const known = inState?.[role];
  return known !== undefined && (isDone || own.some(({ fingerprint }) => fingerprint === known.fingerprint))
    ? { certificate: known, key: "state" }
    : own.flatMap((certificate) => keysOnMasters(certificate, found))[0];
}

function keysOnMasters(certificate: Certificate, { masters }: Found): Signer[] {
  return masters.flatMap(({ name, strangerKeys }) =>
    strangerKeys.flatMap(({ path, key }) =>
      key.hash === certificate.publicKey ? [{ certificate, key: { master: name, path } }] : [],
    ),
  );
}

/** What is trusted in the first file of the role that holds neither the wanted authority nor one whose key is at hand. */
function keylessIn(
  role: Authority,
  found: Found,
  { rows, inState, wanted }: HandoverQuestion,
  isInUse: (authority: Certificate) => boolean,
): Certificate | undefined {
  const hasKey = (each: Certificate) =>
    each.fingerprint === inState?.[role].fingerprint || keysOnMasters(each, found).length > 0;
  const keyless = trustFiles(found, rows)
    .filter(({ master, row }) => row.authority === role && !holds(master, row, [wanted?.[role]]))
    .map(({ master, row }) => certificatesAt(master, row))
    .find((held) => !held.some(hasKey));
  return keyless?.find(isInUse) ?? keyless?.[0];
}

/** Whatever the keys: the first that holds. */
function reasonNotToCross(found: Found, question: HandoverQuestion): UnionReason | undefined {
  const { rows, wanted } = question;
  const isTrusted = trustFiles(found, rows).every(({ master, row }) =>
    holds(master, row, [wanted?.[row.authority]]),
  );
  const reasons: readonly (readonly [UnionReason, boolean])[] = [
    ["trusted", isTrusted],
    ["recovery", question.mode === "recovery"],
    ["never", question.policy === "never"],
    ["restore", question.isRestoring],
    ["held", question.isHeld],
    ["incomplete", [...(found.missing ?? []), ...(found.joining ?? [])].length > 0],
  ];
  return reasons.find(([, isSo]) => isSo)?.[0];
}

function trustFiles({ masters }: Found, rows: readonly Row[]) {
  return masters.flatMap((master) => rows.flatMap((row) => (row.kind === "trust" ? [{ master, row }] : [])));
}

function holds(master: FoundMaster, row: Row, fingerprints: readonly (string | undefined)[]): boolean {
  return certificatesAt(master, row).some(({ fingerprint }) => fingerprints.includes(fingerprint));
}

function isWell(master: FoundMaster): boolean {
  const isServed = Object.entries(servedLeaves).every(
    ([port, id]) => master.served[Number(port)]?.fingerprint === leafAt(master, { id })?.fingerprint,
  );
  return master.etcd === "healthy" && master.isApiReady && isServed;
}

/**
 * The cross-certificates of a rollout that uses them; undefined when it does not, or when one of them does not say what it should:
 * leaves with that behind them would be refused.
 * @param onMasters what `backup` has signed with keys that lie there, by authority
 */
export function crossCertificates(
  handover: Handover,
  wanted: WantedPems["authorities"],
  inState: Readonly<Partial<Record<Authority, string>>>,
  onMasters: Readonly<Partial<Record<string, string>>>,
): CrossCertificates | undefined {
  if (handover.kind === "union") {
    return undefined;
  }
  const { signers } = handover;
  const texts = byAuthority((role) => (signers[role].key === "state" ? inState : onMasters)[role] ?? "");
  return authorities.every((each) => isCross(texts[each], wanted[each], signers[each].certificate))
    ? texts
    : undefined;
}

function isCross(text: string, wantedText: string, signer: Certificate): boolean {
  const [[cross], [wanted]] = [certificatesIn(text), certificatesIn(wantedText)];
  return (
    cross !== undefined &&
    cross.publicKey === wanted?.publicKey &&
    cross.subject.join() === wanted.subject.join() &&
    hasIssued(signer, cross)
  );
}
