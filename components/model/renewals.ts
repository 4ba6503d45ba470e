import type { Certificate } from "./certificate.ts";
import { authorityOn, type Found, type FoundMaster, isIssuedHere, leafAt, placesOf } from "./found.ts";
import type { KubernetesAuthority, KubernetesRow } from "./layout/rows.ts";
import { recordsOf } from "./records.ts";
import { day } from "./text.ts";

/** auto: near their end, and with every new etcd authority; never: only when `rotation` asks */
export const renewModes = ["auto", "never"] as const;

/** When Kubernetes' own certificates are renewed, and how; durations in seconds. */
export interface RenewalPolicy {
  readonly renew: (typeof renewModes)[number];
  /** asks for a renewal when it changes */
  readonly rotation: string | undefined;
  readonly keepKeys: boolean;
  readonly validity: number;
  readonly renewBefore: number;
}

export interface Renewal {
  readonly group: string;
  readonly reason: string;
}

/** How all masters come to the same certificate of an authority: nothing to do, one signs it anew, or who has not the newest gets a copy. */
type AuthorityPlan =
  | { readonly kind: "keep" }
  | { readonly kind: "sign"; readonly on: string }
  /** `to`: the masters that ask for a rollout because of it */
  | { readonly kind: "copy"; readonly pem: string; readonly to: readonly string[] };

/** What is renewed on which master, and what cannot be. */
export interface RenewalPlan {
  /** by master: leaves and kubeconfigs */
  readonly leaves: Readonly<Record<string, readonly Renewal[]>>;
  readonly authorities: Readonly<Record<KubernetesAuthority, AuthorityPlan>>;
  /** what stays as it is, until when, and why; no difference, since a rollout cannot change it */
  readonly notices: readonly string[];
  /** the same, as far as it is about one file */
  readonly kept: readonly Kept[];
  /** what the receipt notes for each renewed group */
  readonly purpose: string;
}

/** A file that stays as it is. */
export interface Kept {
  readonly master: string;
  /** id of its row */
  readonly file: string;
  readonly why: string;
}

/** The rows that this policy looks after: none when nothing ever asks for a renewal. */
export function renewedRows(
  table: readonly KubernetesRow[],
  policy: RenewalPolicy,
): readonly KubernetesRow[] {
  return policy.renew === "never" && policy.rotation === undefined ? [] : table;
}

/**
 * Decides what of the Kubernetes certificates is renewed.
 * @param etcdAuthority fingerprint of the wanted one; undefined while a rotation is being previewed, when it is new in any case
 * @param order masters, the first of which that can signs an authority
 * @param now milliseconds since 1970
 */
export function planRenewals(
  found: Found,
  rows: readonly KubernetesRow[],
  policy: RenewalPolicy,
  etcdAuthority: string | undefined,
  order: readonly string[],
  now: number,
): RenewalPlan {
  const purpose = `${(etcdAuthority ?? "").slice(0, 16)}/${policy.rotation ?? ""}`;
  const question = { rows, policy, etcdAuthority, purpose, now };
  const judged = found.masters.map((master) => ({ master, leaves: leavesOn(master, question) }));
  const leaves = Object.fromEntries(
    judged.map(({ master, leaves: own }) => [master.name, own.flatMap(({ renewal }) => renewal ?? [])]),
  );
  const isDue = (authority: KubernetesAuthority) =>
    rows.some(
      (row) =>
        row.signer === authority &&
        Object.values(leaves).some((own) => own.some(({ group }) => group === row.group)),
    );
  const kept = [
    ...judged.flatMap(({ leaves: own }) => own.flatMap((each) => each.kept ?? [])),
    ...keptAuthorities(found, question),
  ];
  const plan = (authority: KubernetesAuthority) =>
    planAuthority(authority, found, question, order, isDue(authority));
  return {
    leaves,
    authorities: { "cluster-ca": plan("cluster-ca"), "front-proxy-ca": plan("front-proxy-ca") },
    notices: kept.map(({ master, file, why }) => `${master}: ${file} ${why}`),
    kept,
    purpose,
  };
}

/** The masters on which an authority's certificate is going to be replaced. */
export function mastersOf(plan: AuthorityPlan, found: Found): readonly string[] {
  switch (plan.kind) {
    case "keep":
      return [];
    case "sign":
      return found.masters.map((master) => master.name);
    case "copy":
      return plan.to;
    default:
      return plan satisfies never;
  }
}

/** The certificates that a `backup` step of this attempt has signed, by authority, from its standard output. */
export function signedAuthorities(
  stdouts: readonly string[],
  attempt: string,
): Readonly<Partial<Record<string, string>>> {
  const signed: Record<string, string> = {};
  for (const { group, line } of recordsOf(stdouts, attempt).authority) {
    signed[group] = `${signed[group] ?? ""}${line}\n`;
  }
  return signed;
}

/** What every judgement needs. */
interface Question {
  readonly rows: readonly KubernetesRow[];
  readonly policy: RenewalPolicy;
  readonly etcdAuthority: string | undefined;
  readonly purpose: string;
  readonly now: number;
}

function keptAuthorities(found: Found, { rows, purpose }: Question): Kept[] {
  return found.masters.flatMap((master) =>
    rows.flatMap((row) => {
      const certificate = authorityOn(master, row.signer, rows);
      if (row.kind !== "authority" || certificate === undefined || !isKept(master, row.group, purpose)) {
        return [];
      }
      const why = `stays until ${day(certificate.notAfter)}: openssl could not make one like it; renew it by hand`;
      return [{ master: master.name, file: row.id, why }];
    }),
  );
}

interface Judged {
  readonly renewal?: Renewal;
  readonly kept?: Kept;
}

function leavesOn(master: FoundMaster, question: Question): Judged[] {
  const { rows } = question;
  return rows.flatMap((row): Judged[] => {
    const leaf = leafAt(master, row);
    if (
      (row.kind !== "cert" && row.kind !== "kubeconfig") ||
      leaf === undefined ||
      !isOurs(row, leaf, master, rows)
    ) {
      return [];
    }
    const reason = reasonFor(row, leaf, master, question);
    const kept = (why: string) => [
      { kept: { master: master.name, file: row.id, why: `stays until ${day(leaf.notAfter)}: ${why}` } },
    ];
    if (reason === undefined) {
      return [];
    }
    if (isKept(master, row.group, question.purpose)) {
      return kept("it has something that cannot be copied into a new one; renew it by hand");
    }
    const problem = signerProblem(row.signer, master, rows);
    return problem === undefined ? [{ renewal: { group: row.group, reason } }] : kept(problem);
  });
}

/** It was tried for this very purpose, and could not be made. */
function isKept(master: FoundMaster, group: string, purpose: string): boolean {
  return master.receipt?.renewed[group] === `${purpose} kept`;
}

/** In use on this master, and issued by the authority that lives there. */
function isOurs(
  row: KubernetesRow,
  leaf: Certificate,
  master: FoundMaster,
  rows: readonly KubernetesRow[],
): boolean {
  const isServed =
    row.port === undefined ||
    master.served[row.port] === undefined ||
    master.served[row.port]?.fingerprint === leaf.fingerprint;
  // a copy of admin.conf, told by its user: the bytes differ as soon as one of the two is renewed
  const isCopy =
    row.id !== "root-kubeconfig" ||
    leafAt(master, { id: "admin.conf" })?.subject.join() === leaf.subject.join();
  return isIssuedHere(row, leaf, master, rows) && isServed && isCopy;
}

function reasonFor(
  row: KubernetesRow,
  leaf: Certificate,
  master: FoundMaster,
  question: Question,
): string | undefined {
  const { rows, policy, etcdAuthority, purpose, now } = question;
  const [record = ""] = recordOf(row.group, master, purpose)?.split(" ") ?? [];
  const [authority, rotation = ""] = record.split("/");
  if (policy.renew === "auto" && (etcdAuthority === undefined || authority !== etcdAuthority.slice(0, 16))) {
    return "the etcd authority is new";
  }
  if (policy.rotation !== undefined && rotation !== policy.rotation) {
    return `kubernetes.rotation is "${policy.rotation}"`;
  }
  const isNear = leaf.notAfter < now + policy.renewBefore * 1000;
  // renewing would not help when the authority itself ends then and cannot be renewed
  const authorityEnd = isKept(master, row.signer, purpose)
    ? (authorityOn(master, row.signer, rows)?.notAfter ?? 0)
    : now + policy.validity * 1000;
  return policy.renew === "auto" && isNear && authorityEnd > leaf.notAfter
    ? `it ends on ${day(leaf.notAfter)}`
    : undefined;
}

/** What a group was renewed for; one that a whole rollout for this purpose has not known counts as renewed with the others, and is left until its end is near. */
function recordOf(group: string, { receipt }: FoundMaster, purpose: string): string | undefined {
  const isWhole = receipt?.isComplete === true && Object.values(receipt.renewed).includes(purpose);
  return receipt?.renewed[group] ?? (isWhole ? purpose : undefined);
}

/** Why the authority's key cannot sign on this master; undefined when it can. */
function signerProblem(
  signer: KubernetesAuthority,
  master: FoundMaster,
  rows: readonly KubernetesRow[],
): string | undefined {
  const keyRow = rows.find((row) => row.group === signer && row.kind === "authority-key");
  const key = keyRow && master.files[keyRow.id];
  if (key === undefined || !key.isPresent) {
    return `the key of ${signer} is not on this master`;
  }
  return key.publicKey === authorityOn(master, signer, rows)?.publicKey
    ? undefined
    : `the key of ${signer} (${key.path}) is encrypted, or does not belong to its certificate`;
}

/** Renewed with the same key when leaves are made that would outlive it, or when it is near its end itself. */
function planAuthority(
  signer: KubernetesAuthority,
  found: Found,
  question: Question,
  order: readonly string[],
  isSigning: boolean,
): AuthorityPlan {
  const { rows, policy, purpose, now } = question;
  const held = found.masters.flatMap((master) => placesOf(signer, master, rows));
  const best = held.toSorted((a, b) => b.certificate.notAfter - a.certificate.notAfter)[0];
  if (best === undefined) {
    return { kind: "keep" };
  }
  // one key, one authority: a master with another one is left alone
  const same = held.filter(({ certificate }) => certificate.publicKey === best.certificate.publicKey);
  const validity = policy.validity * 1000;
  // what was renewed just now is long enough for what is signed a moment later, or by a run that goes on
  const isShort = best.certificate.notAfter < now + validity - Math.min(30 * 86_400_000, validity / 10);
  const isNear = ({ notAfter }: Certificate) =>
    policy.renew === "auto" && notAfter < now + policy.renewBefore * 1000;
  const signing = order.find((name) =>
    same.some(
      ({ master }) =>
        master.name === name &&
        !isKept(master, signer, purpose) &&
        signerProblem(signer, master, rows) === undefined,
    ),
  );
  if ((isSigning || isNear(best.certificate)) && isShort && signing !== undefined) {
    return { kind: "sign", on: signing };
  }
  const earlier = same.filter(({ certificate }) => certificate.fingerprint !== best.certificate.fingerprint);
  // under another name it comes along with any rollout, and asks for none before its end is near
  const asking = earlier.filter(({ row, certificate }) => row.group === signer || isNear(certificate));
  return earlier.length === 0
    ? { kind: "keep" }
    : { kind: "copy", pem: best.certificate.pem, to: [...new Set(asking.map(({ master }) => master.name))] };
}
