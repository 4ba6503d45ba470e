import { type Certificate, commonNameOf, hasIssued } from "./certificate.ts";
import { day } from "./day.ts";
import type { Found, FoundMaster } from "./found.ts";
import { authorityOn } from "./kubernetes-authority.ts";
import { type KubernetesRow, kubernetesAuthorities, type Row } from "./layout.ts";
import { printable } from "./printable.ts";
import { ownerOf, unique } from "./trust.ts";

/** Files that no row has, with a certificate of this cluster's authorities: what would end without a word. A line for each file. */
export function strangerNotices({ masters }: Found, rows: readonly Row[], kubernetes: readonly KubernetesRow[]): string[] {
  const isOwn = ownCertificates(masters, rows, kubernetes);
  const lines = new Map<string, string[]>();
  for (const { name, strangers } of masters) {
    for (const { path, certificate } of strangers.filter((each) => isOwn(each.certificate))) {
      const what = `${path} (until ${day(certificate.notAfter)}) is not looked after: ${originOf(certificate, masters, [...rows, ...kubernetes])}`;
      lines.set(what, [...(lines.get(what) ?? []), name]);
    }
  }
  return [...lines].map(([what, names]) => `${names.join(", ")}: ${what}`);
}

/** Tells what this cluster's authorities have issued. */
export function ownCertificates(masters: readonly FoundMaster[], rows: readonly Row[], kubernetes: readonly KubernetesRow[]): (each: Certificate) => boolean {
  const owner = ownerOf(masters, rows);
  const etcd = masters.flatMap(({ files }) => rows.flatMap((row) => (row.kind === "trust" ? (files[row.id]?.certificates ?? []) : [])));
  const own = masters.flatMap((master) => kubernetesAuthorities.flatMap((signer) => authorityOn(master, signer, kubernetes) ?? []));
  const authorities = unique([...etcd.filter((each) => owner(each) === "in-use"), ...own]);
  return (certificate) => authorities.some((each) => hasIssued(each, certificate));
}

/** Which file of the layout, on which master, holds the same certificate. */
export function originalOf(certificate: Certificate, masters: readonly FoundMaster[], rows: readonly (Row | KubernetesRow)[]) {
  const isSame = ({ files }: FoundMaster, { id }: Row | KubernetesRow) => files[id]?.certificates[0]?.fingerprint === certificate.fingerprint;
  return masters.flatMap((master) => rows.filter((row) => isSame(master, row)).map(({ id }) => ({ id, master: master.name })))[0];
}

/** What it is a copy of, or who has issued it. */
function originOf(certificate: Certificate, masters: readonly FoundMaster[], rows: readonly (Row | KubernetesRow)[]): string {
  const original = originalOf(certificate, masters, rows);
  const name = commonNameOf(certificate.subject);
  const named = name === undefined ? certificate.subject.join(", ") : `CN=${name}`;
  return original === undefined ? `"${printable(named)}", by "${printable(certificate.issuer.join(", "))}"` : `a copy of ${original.id} of ${original.master}`;
}
