import { type Certificate, hasIssued, isMadeHere } from "./certificate.ts";
import { certificatesAt, type Found, type FoundMaster } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import type { Row } from "./layout/rows.ts";
import { day, printable } from "./text.ts";

/** What becomes of somebody else's authorities in etcd's trust files: the stack file's foreignAuthorities. */
export const foreignPolicies = ["keep", "drop"] as const;
export type ForeignPolicy = (typeof foreignPolicies)[number];

/** By master, then trust row. */
export type Trusted = Readonly<Record<string, Readonly<Record<string, readonly Certificate[]>>>>;

/**
 * Whose an authority in a trust file is. `in-use`: it issued a leaf that lies on a master or is served. `earlier`: it did once, as
 * the backups show, or this program made it. `foreign`: neither.
 */
type Owner = "in-use" | "earlier" | "foreign";

/** Tells the owner of each authority in the masters' trust files. */
export function ownerOf(
  masters: readonly FoundMaster[],
  rows: readonly Row[],
): (authority: Certificate) => Owner {
  const trusted = trustedBy(masters, rows);
  const served = masters.flatMap((master) =>
    Object.keys(servedLeaves).flatMap((port) => master.served[Number(port)] ?? []),
  );
  const inUse = namesOf(
    withIssuers([...masters.flatMap((master) => certificatesOf(master, rows, "cert")), ...served], trusted),
  );
  const before = masters.flatMap(({ earlier, saved }) => [
    ...earlier,
    ...rows.flatMap((row) => (row.kind === "cert" ? (saved[row.id]?.certificates ?? []) : [])),
  ]);
  const past = namesOf(withIssuers([...before, ...trusted.filter(isMadeHere)], trusted));
  return ({ fingerprint }) =>
    inUse.has(fingerprint) ? "in-use" : past.has(fingerprint) ? "earlier" : "foreign";
}

/** These certificates, and every authority above one of them. */
function withIssuers(
  issued: readonly Certificate[],
  authorities: readonly Certificate[],
): readonly Certificate[] {
  const known = unique(issued);
  const above = authorities.filter(
    (authority) => !known.includes(authority) && known.some((each) => hasIssued(authority, each)),
  );
  const all = unique([...known, ...above]);
  return all.length === known.length ? all : withIssuers(all, authorities);
}

/**
 * Whether what stands first in a file is accepted by who trusts these authorities: one has issued it, or has issued an authority behind
 * it that has.
 */
export function isIssuedUnder(
  [leaf, ...behind]: readonly Certificate[],
  authorities: readonly Certificate[],
): boolean {
  if (leaf === undefined) {
    return false;
  }
  const direct = behind.filter((each) => hasIssued(each, leaf));
  return authorities.some(
    (authority) => hasIssued(authority, leaf) || direct.some((each) => hasIssued(authority, each)),
  );
}

/** Somebody else's authorities that a rollout leaves where they are; a master that is still to join gets those of all. */
export function keptAuthorities(
  { masters, joining = [] }: Found,
  rows: readonly Row[],
  policy: ForeignPolicy | undefined,
): Trusted {
  const owner = ownerOf(masters, rows);
  const keptOn = (holders: readonly FoundMaster[], row: Row) =>
    unique(
      holders.flatMap((master) =>
        certificatesAt(master, row).filter((each) => owner(each) === "foreign" && !hasEnded(each, master)),
      ),
    );
  const byRow = (holders: readonly FoundMaster[]) =>
    Object.fromEntries(
      rows.flatMap((row) =>
        row.kind === "trust" && policy !== "drop" ? [[row.id, keptOn(holders, row)]] : [],
      ),
    );
  return Object.fromEntries([
    ...masters.map((master) => [master.name, byRow([master])]),
    ...joining.map(({ name }) => [name, byRow(masters)]),
  ]);
}

/** Nobody accepts it any more, by the clock of the look at that master. */
export function hasEnded({ notAfter }: Certificate, { operatorClock }: FoundMaster): boolean {
  return notAfter <= operatorClock * 1000;
}

/**
 * What becomes of the authorities in trust files that nothing in use hangs on, in words; empty when there are none.
 * @param wanted fingerprints of those whose leaves are still to come
 */
export function trustNotices(
  { masters }: Found,
  rows: readonly Row[],
  wanted: readonly string[],
  policy: ForeignPolicy | undefined,
): string[] {
  const owner = ownerOf(masters, rows);
  return trustedBy(masters, rows).flatMap((authority) => {
    const own = owner(authority);
    if (own === "in-use" || wanted.includes(authority.fingerprint)) {
      return [];
    }
    const fate = masters.some((master) => hasEnded(authority, master))
      ? "which has expired: it goes with the next retire"
      : own === "earlier"
        ? "an earlier authority of this cluster: it goes in retire"
        : foreignFates[policy ?? "undecided"];
    return [
      `${placesOf(authority, masters, rows)} trusts "${printable(authority.subject.join(", "))}" (until ${day(authority.notAfter)}), ${fate}`,
    ];
  });
}

/** The fingerprints that the masters' receipts name as wanted. */
export function recordedAuthorities({ masters }: Found): string[] {
  return masters.flatMap(({ receipt }) => receipt?.authorities.split(",") ?? []);
}

const foreignFates = {
  undecided:
    "which has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted; set foreignAuthorities: keep if that is meant, else drop",
  keep: "which has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted (foreignAuthorities: keep)",
  drop: "which has issued nothing that this cluster uses: it goes in retire, and whoever has a certificate of it is refused from then on (foreignAuthorities: drop)",
} as const;

/** `etcd-ca, apiserver-etcd-ca of master-1, master-2`; a group for each set of masters. */
function placesOf(
  { fingerprint }: Certificate,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
): string {
  const holders = new Map<string, string[]>();
  for (const row of rows.filter(({ kind }) => kind === "trust")) {
    const names = masters
      .filter((master) => certificatesAt(master, row).some((each) => each.fingerprint === fingerprint))
      .map(({ name }) => name);
    holders.set(names.join(", "), [...(holders.get(names.join(", ")) ?? []), row.id]);
  }
  return [...holders]
    .flatMap(([names, ids]) => (names === "" ? [] : `${ids.join(", ")} of ${names}`))
    .join(" and ");
}

/** Of its files of that kind, as its layout has them. */
export function certificatesOf(
  master: FoundMaster,
  rows: readonly Row[],
  kind: "trust" | "cert",
): Certificate[] {
  return rows.flatMap((row) => (row.kind === kind ? certificatesAt(master, row) : []));
}

/** The authorities in their trust files. */
export function trustedBy(masters: readonly FoundMaster[], rows: readonly Row[]): Certificate[] {
  return unique(masters.flatMap((master) => certificatesOf(master, rows, "trust")));
}

/** Of its etcd leaves: today's, and those of the backups. */
export function leavesOn(master: FoundMaster, rows: readonly Row[]): Certificate[] {
  return [...certificatesOf(master, rows, "cert"), ...master.earlier];
}

function namesOf(certificates: readonly Certificate[]): ReadonlySet<string> {
  return new Set(certificates.map(({ fingerprint }) => fingerprint));
}

/** The text of a file with these certificates, each block as it was found. */
export function textOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ pem }) => pem).join("");
}

/** Those of `more` that are not among `present`. */
export function notIn(present: readonly Certificate[], more: readonly Certificate[] = []): Certificate[] {
  const known = namesOf(present);
  return more.filter(({ fingerprint }) => !known.has(fingerprint));
}

/** Each certificate once, where it comes first. */
export function unique(certificates: readonly Certificate[]): Certificate[] {
  return [...new Map(certificates.map((certificate) => [certificate.fingerprint, certificate])).values()];
}
