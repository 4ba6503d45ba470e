import { type Certificate, certificatesIn } from "./certificate.ts";
import { certificatesAt, type FoundMaster, isSameAuthority, type SavedFile } from "./found.ts";
import type { CrossCertificates } from "./handover.ts";
import type { KubernetesRow, Row } from "./layout/rows.ts";
import type { Phase, RolloutPlan } from "./plan.ts";
import type { RenewalPlan } from "./renewals.ts";
import { notIn, textOf, unique } from "./trust.ts";
import { type WantedPems, wantedPem } from "./wanted.ts";

/** What a step does: a phase, or all of them at once on a master that is still to join, since nothing reads the files there. */
export type Work = Phase | "joining";

/** Which files hold the wanted content after it: the whole of trust before issue before retire. In trust they hold others too. */
const wantedKinds: Readonly<Record<Work, readonly Row["kind"][]>> = {
  backup: [],
  trust: [],
  issue: ["cert", "key"],
  settle: [],
  retire: ["trust"],
  verify: ["trust", "cert", "key"],
  joining: ["trust", "cert", "key"],
};

/**
 * Which files a phase writes on a master, and what.
 * @param cross stands behind each leaf from issue to verify, and trust need not be widened
 */
export function contentsFor(
  phase: Work,
  master: string,
  rows: readonly Row[],
  plan: RolloutPlan,
  pems: WantedPems,
  cross?: CrossCertificates,
): Record<string, string> {
  const wantedOf = (row: Row) => wantedPem(pems, master, row, plan.kept);
  if (phase === "trust") {
    return cross === undefined ? trustContents(master, rows, plan, wantedOf) : {};
  }
  const behind = (row: Row) =>
    phase === "issue" && row.kind === "cert" ? (cross?.[row.authority] ?? "") : "";
  return Object.fromEntries(wantedRows(phase, rows).map((row) => [row.id, `${wantedOf(row)}${behind(row)}`]));
}

/**
 * What trust writes on a master when a backup is restored, and what the other phases write behind the backup's own bytes, which never
 * leave the master.
 */
export function restoredContents(
  phase: Work,
  master: string,
  rows: readonly Row[],
  plan: RolloutPlan,
  saved: Readonly<Record<string, SavedFile>>,
): Record<string, string> {
  const pemOf = (row: Row) => textOf(saved[row.id]?.certificates ?? []);
  const behind = (row: Row) => textOf(notIn(saved[row.id]?.certificates ?? [], plan.kept[master]?.[row.id]));
  return phase === "trust"
    ? trustContents(master, rows, plan, (row) => `${pemOf(row)}${behind(row)}`)
    : Object.fromEntries(
        wantedRows(phase, rows).flatMap((row) =>
          row.kind === "trust" && behind(row) !== "" ? [[row.id, behind(row)]] : [],
        ),
      );
}

/** The rows that hold the wanted content after a phase, written by it or checked. */
export function wantedRows(phase: Work, rows: readonly Row[]): Row[] {
  return rows.filter((row) => wantedKinds[phase].includes(row.kind));
}

function trustContents(
  master: string,
  rows: readonly Row[],
  plan: RolloutPlan,
  wantedOf: (row: Row) => string,
): Record<string, string> {
  return Object.fromEntries(
    rows
      .filter((row) => row.kind === "trust")
      .map((row) => [row.id, union(wantedOf(row), plan.trusted[master]?.[row.id] ?? [])]),
  );
}

/** The certificates of Kubernetes' authorities that retire brings to a master, by row id. */
export function authorityContents(
  master: FoundMaster,
  rows: readonly KubernetesRow[],
  plans: RenewalPlan["authorities"],
  signed: Readonly<Partial<Record<string, string>>>,
): Record<string, string> {
  return Object.fromEntries(
    rows.flatMap((row): [string, string][] => {
      if (row.kind !== "authority") {
        return [];
      }
      const plan = plans[row.signer];
      const [next] = certificatesIn(
        (plan.kind === "copy" ? plan.pem : plan.kind === "sign" ? signed[row.signer] : undefined) ?? "",
      );
      const present = certificatesAt(master, row);
      // the same key as before, or whoever holds the present certificate would be refused; others in the file stay trusted
      const isEarlier = (each: Certificate) => next !== undefined && isSameAuthority(each, next);
      const isAsked = present.some(
        (each) => isEarlier(each) && (plan.kind === "sign" || each.fingerprint !== next?.fingerprint),
      );
      return isAsked
        ? [[row.id, textOf(unique(present.map((each) => (isEarlier(each) ? (next ?? each) : each))))]]
        : [];
    }),
  );
}

/** The wanted authority first, then what stays trusted until retire. */
function union(wanted: string, trusted: readonly Certificate[]): string {
  return `${wanted}${textOf(notIn(certificatesIn(wanted), trusted))}`;
}
