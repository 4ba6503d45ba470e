import type { Certificate } from "./certificate.ts";
import type { FoundMaster } from "./found.ts";
import type { KubernetesAuthority, KubernetesRow } from "./layout.ts";

/** The certificate of an authority on a master, from the file that is its own; undefined without one. */
export function authorityOn(master: FoundMaster, signer: KubernetesAuthority, rows: readonly KubernetesRow[]): Certificate | undefined {
  const own = rows.filter(({ group }) => group === signer);
  const fileOf = (kind: KubernetesRow["kind"]) => own.flatMap((row) => (row.kind === kind ? (master.files[row.id] ?? []) : []))[0];
  const held = fileOf("authority")?.certificates ?? [];
  // a bundle may begin with somebody else's
  return held.find(({ publicKey }) => publicKey === fileOf("authority-key")?.publicKey) ?? held[0];
}

/** Every file on a master that holds a certificate of the authority, under whatever name. */
export function placesOf(signer: KubernetesAuthority, master: FoundMaster, rows: readonly KubernetesRow[]) {
  const authority = authorityOn(master, signer, rows);
  return rows.flatMap((row) => {
    const held = row.kind === "authority" && row.signer === signer ? (master.files[row.id]?.certificates ?? []) : [];
    const certificate = held.find((each) => authority !== undefined && isSameAuthority(each, authority));
    return certificate === undefined ? [] : [{ master, row, certificate }];
  });
}

/** Whoever is accepted by the one is accepted by the other, as long as both are valid. */
export function isSameAuthority(one: Certificate, other: Certificate): boolean {
  return one.publicKey === other.publicKey && one.subject.join() === other.subject.join();
}
