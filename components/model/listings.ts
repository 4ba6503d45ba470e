import type { Decision, Given } from "./decision.ts";
import { authorityOn, type Found, type FoundMaster, isSameAuthority, leafAt, placeOf } from "./found.ts";
import type { KubernetesRow, Row } from "./layout/rows.ts";
import type { Records, stepRecords } from "./records.ts";
import { originalOf, ownCertificates } from "./strangers.ts";

/** A certificate that the official page's check lists, as verify saw it. */
export type Listing = Records<typeof stepRecords>["listing"][number];

/** What was known when the rollout began. */
export interface Before extends Pick<Decision, "rows" | "kubernetes">, Pick<Given, "renewals"> {
  readonly found: Found;
}

interface Verdict {
  readonly verdict: string;
  /** the check would hold it against the rollout, and there is no reason to give */
  readonly isOpen: boolean;
}

/** Whether a listed certificate was renewed, and if not, why. */
export function judge(listing: Listing, before: Before): Verdict {
  const master = [...before.found.masters, ...(before.found.joining ?? [])].find(
    ({ name }) => name === listing.master,
  );
  const row =
    master &&
    [...before.rows, ...before.kubernetes].find((each) => placeOf(master, each) === listing.realPath);
  if (master === undefined || row === undefined) {
    return judgeStranger(listing, master, before);
  }
  const isSame = leafAt(master, row)?.fingerprint === listing.fingerprint;
  return { verdict: isSame ? whyKept(row, master, before) : "renewed", isOpen: false };
}

/** verify has compared etcd's files with the wanted ones. */
function whyKept(row: Row | KubernetesRow, master: FoundMaster, { kubernetes, renewals }: Before): string {
  if (!("signer" in row)) {
    return "is the wanted one already";
  }
  const certificate = leafAt(master, row);
  const authority = authorityOn(master, row.signer, kubernetes);
  if (
    row.kind === "authority" &&
    certificate !== undefined &&
    authority !== undefined &&
    !isSameAuthority(certificate, authority)
  ) {
    return "somebody else's authority, kept";
  }
  return renewals.kept.find((each) => each.master === master.name && each.file === row.id)?.why ?? "not due";
}

function judgeStranger(
  { realPath, fingerprint }: Listing,
  master: FoundMaster | undefined,
  { found, rows, kubernetes }: Before,
): Verdict {
  const stranger = master?.strangers.find(
    ({ path, certificate }) => path === realPath && certificate.fingerprint === fingerprint,
  );
  const original = stranger && originalOf(stranger.certificate, found.masters, [...rows, ...kubernetes]);
  if (original !== undefined && original.master !== master?.name) {
    return { verdict: `a copy of ${original.id} of ${original.master}, from before`, isOpen: false };
  }
  if (stranger === undefined || ownCertificates(found.masters, rows, kubernetes)(stranger.certificate)) {
    return { verdict: "not managed", isOpen: true };
  }
  return { verdict: "of an authority that is not managed", isOpen: false };
}
