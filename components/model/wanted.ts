import { certificatesIn, publicKeyOf, sha256 } from "./certificate.ts";
import type { Authority, Leaf, Row } from "./layout.ts";
import type { Hold } from "./missing.ts";

/** The PEM texts that the stack asks for. Secret: it holds keys. */
export interface WantedPems {
  readonly authorities: Readonly<Record<Authority, string>>;
  /** by master name */
  readonly leaves: Readonly<Record<string, Readonly<Record<Leaf, { readonly certPem: string; readonly keyPem: string }>>>>;
}

/** The same as fingerprints: what `differences` compares. Public. */
export interface Wanted {
  readonly rotation: string;
  /** `<project>/<stack>`, which the receipts are to name */
  readonly owner: string;
  /** the rollout stops before this phase, with the old authorities still trusted */
  readonly heldBefore: Hold | undefined;
  /** SHA-256 of each authority's certificate */
  readonly authorities: Readonly<Record<Authority, string>>;
  /** by master name, then row id: fingerprint of the certificate, or SHA-256 of the key's public key */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** by master, then row id: fingerprints of Kubernetes' own certificates that come back with a backup */
  readonly restored?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Names every wanted file without showing a key. */
export function fingerprintsOf(pems: WantedPems, rows: readonly Row[], asked: Pick<Wanted, "rotation" | "owner" | "heldBefore">): Wanted {
  return {
    ...asked,
    authorities: { etcd: fingerprintOf(pems.authorities.etcd), "etcd-peer": fingerprintOf(pems.authorities["etcd-peer"]) },
    files: Object.fromEntries(
      Object.keys(pems.leaves).map((master) => [
        master,
        Object.fromEntries(
          rows.map((row) => [row.id, row.kind === "key" ? publicKeyOf(wantedPem(pems, master, row)) : fingerprintOf(wantedPem(pems, master, row))]),
        ),
      ]),
    ),
  };
}

/** The text that a finished rollout leaves in a row's file on a master. */
export function wantedPem(pems: WantedPems, master: string, row: Row): string {
  if (row.kind === "trust" || row.leaf === undefined) {
    return pems.authorities[row.authority];
  }
  const leaf = pems.leaves[master]?.[row.leaf];
  if (leaf === undefined) {
    throw new Error(`Cannot find the ${row.leaf} leaf of ${master}`);
  }
  return row.kind === "key" ? leaf.keyPem : leaf.certPem;
}

function fingerprintOf(pem: string): string {
  const [certificate] = certificatesIn(pem);
  return certificate?.fingerprint ?? sha256(pem);
}
