import { type Certificate, commonNameOf, hasIssued, hasSigned } from "./certificate.ts";
import { authorityOn, type Found, type FoundMaster, leafAt, type StrangerKey } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import { type KubernetesRow, kubernetesAuthorities, type Row } from "./layout/rows.ts";
import { quote } from "./shell.ts";
import { day, printable } from "./text.ts";
import { leavesOn, ownerOf, trustedBy, unique } from "./trust.ts";

/** Files that no row has, with a certificate of this cluster's authorities: what would end without a word. A line for each file. */
export function strangerNotices(
  { masters }: Found,
  rows: readonly Row[],
  kubernetes: readonly KubernetesRow[],
): string[] {
  const isOwn = ownCertificates(masters, rows, kubernetes);
  const lines = new Map<string, string[]>();
  for (const { name, strangers } of masters) {
    for (const { path, certificate } of strangers.filter((each) => isOwn(each.certificate))) {
      const what = `${path} (until ${day(certificate.notAfter)}) is not managed: ${originOf(certificate, masters, [...rows, ...kubernetes])}`;
      lines.set(what, [...(lines.get(what) ?? []), name]);
    }
  }
  return [...lines].map(([what, names]) => `${names.join(", ")}: ${what}`);
}

/** Tells what this cluster's authorities have issued. */
export function ownCertificates(
  masters: readonly FoundMaster[],
  rows: readonly Row[],
  kubernetes: readonly KubernetesRow[],
): (each: Certificate) => boolean {
  const owner = ownerOf(masters, rows);
  const own = masters.flatMap((master) =>
    kubernetesAuthorities.flatMap((signer) => authorityOn(master, signer, kubernetes) ?? []),
  );
  const authorities = unique([
    ...trustedBy(masters, rows).filter((each) => owner(each) === "in-use"),
    ...own,
  ]);
  return (certificate) => authorities.some((each) => hasIssued(each, certificate));
}

/** Which file of the layout, on which master, holds the same certificate. */
export function originalOf(
  certificate: Certificate,
  masters: readonly FoundMaster[],
  rows: readonly (Row | KubernetesRow)[],
) {
  const isSame = (master: FoundMaster, row: Row | KubernetesRow) =>
    leafAt(master, row)?.fingerprint === certificate.fingerprint;
  return masters.flatMap((master) =>
    rows.filter((row) => isSame(master, row)).map(({ id }) => ({ id, master: master.name })),
  )[0];
}

/** What it is a copy of, or who has issued it. */
function originOf(
  certificate: Certificate,
  masters: readonly FoundMaster[],
  rows: readonly (Row | KubernetesRow)[],
): string {
  const original = originalOf(certificate, masters, rows);
  const name = commonNameOf(certificate.subject);
  const named = name === undefined ? certificate.subject.join(", ") : `CN=${name}`;
  return original === undefined
    ? `"${printable(named)}", by "${printable(certificate.issuer.join(", "))}"`
    : `a copy of ${original.id} of ${original.master}`;
}

const folder = "/root/etcd-old-keys";

/**
 * What an installer has left beside etcd's files: keys of its authorities, today's and those that the backups show, and of other
 * members. A line for each master, with what moves them to where only root is.
 */
export function oldKeyNotices({ masters }: Found, rows: readonly Row[]): string[] {
  const leaves = unique(masters.flatMap((master) => leavesOn(master, rows)));
  return masters.flatMap((master) => {
    const keys = master.strangerKeys.flatMap((each) => {
      const owner = isUsed(each, master, masters)
        ? undefined
        : (authorityOf(each, leaves) ?? memberOf(each, master, masters, rows));
      return owner === undefined ? [] : [{ path: each.path, owner }];
    });
    return keys.length === 0
      ? []
      : `${master.name} has private keys that its etcd does not read: ${keys.map(({ path, owner }) => `${path} (${owner})`).join(", ")}. They are worthless once retire has removed their authority; then run on ${master.name}, as root: install -d -m 700 ${folder} && mv --backup=numbered -t ${folder} -- ${keys.map(({ path }) => quote(path)).join(" ")}`;
  });
}

/** By a client of etcd; or by Kubernetes, whose authority may be etcd's too. */
function isUsed({ key }: StrangerKey, { served }: FoundMaster, masters: readonly FoundMaster[]): boolean {
  return (
    masters.some(({ holdings }) => holdings.some((each) => each.publicKey === key.hash)) ||
    Object.entries(served).some(([port, leaf]) => !(port in servedLeaves) && hasSigned(key, leaf))
  );
}

function authorityOf({ key }: StrangerKey, leaves: readonly Certificate[]): string | undefined {
  const issued = leaves.find((each) => hasSigned(key, each));
  return issued && `of the authority "${printable(issued.issuer.join(", "))}"`;
}

/** Members may share a key: then it is this master's own. */
function memberOf(
  { key }: StrangerKey,
  master: FoundMaster,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
): string | undefined {
  const owners = masters.filter((each) => leavesOn(each, rows).some((leaf) => leaf.publicKey === key.hash));
  return owners[0] === undefined || owners.includes(master)
    ? undefined
    : `of the member on ${owners[0].name}`;
}
