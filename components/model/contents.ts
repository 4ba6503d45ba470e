import { certificatesIn } from "./certificate.ts";
import type { FoundMaster } from "./found.ts";
import type { KubernetesRow, Row } from "./layout.ts";
import type { Phase, RolloutPlan } from "./plan.ts";
import type { RenewalPlan } from "./renewals.ts";
import { type WantedPems, wantedPem } from "./wanted.ts";

/** Which files a phase writes on a master, and what: the whole of trust before issue before retire. */
export function contentsFor(phase: Phase, master: string, rows: readonly Row[], plan: RolloutPlan, pems: WantedPems): Record<string, string> {
  const all = (kinds: readonly Row["kind"][]) =>
    rows.filter((row) => kinds.includes(row.kind)).map((row): [string, string] => [row.id, wantedPem(pems, master, row)]);
  switch (phase) {
    case "trust":
      return Object.fromEntries(rows.filter((row) => row.kind === "trust").map((row) => [row.id, union(row, master, plan, pems)]));
    case "issue":
      return Object.fromEntries(all(["cert", "key"]));
    case "retire":
      return Object.fromEntries(all(["trust"]));
    case "verify":
      return Object.fromEntries(all(["trust", "cert", "key"]));
    case "backup":
    case "settle":
      return {};
    default:
      return phase satisfies never;
  }
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
      const pem = plan.kind === "copy" && plan.to.includes(master.name) ? plan.pem : plan.kind === "sign" ? signed[row.signer] : undefined;
      const [next] = certificatesIn(pem ?? "");
      const [present, ...others] = master.files[row.id]?.certificates ?? [];
      // the same key as before, or whoever holds the present certificate would be refused; others in the file stay trusted
      return next !== undefined && next.publicKey === present?.publicKey ? [[row.id, [next, ...others].map((each) => each.pem).join("")]] : [];
    }),
  );
}

/** The wanted authority first, then what stays trusted until retire. */
function union(row: Row, master: string, plan: RolloutPlan, pems: WantedPems): string {
  const wanted = pems.authorities[row.authority];
  const fingerprints = new Set(certificatesIn(wanted).map((certificate) => certificate.fingerprint));
  const others = (plan.trusted[master]?.[row.id] ?? []).filter((certificate) => !fingerprints.has(certificate.fingerprint));
  return [wanted, ...others.map((certificate) => certificate.pem)].join("");
}
