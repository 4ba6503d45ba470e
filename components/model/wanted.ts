import { certificatesIn, commonNameOf, publicKeyOf } from "./certificate.ts";
import type { Found } from "./found.ts";
import { type Authority, byAuthority, type Leaf, type Row } from "./layout/rows.ts";
import type { Hold } from "./missing.ts";
import { notIn, type Trusted, textOf } from "./trust.ts";

/** The PEM texts that the stack asks for. Secret: it holds keys. */
export interface WantedPems {
  readonly authorities: Readonly<Record<Authority, string>>;
  /** by master name */
  readonly leaves: Readonly<
    Record<string, Readonly<Record<Leaf, { readonly certPem: string; readonly keyPem: string }>>>
  >;
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
  /** by master name, then row id: fingerprints of the certificates, joined by `+`, or SHA-256 of the key's public key */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** by master, then row id: fingerprints of Kubernetes' own certificates that come back with a backup */
  readonly restored?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Names every wanted file without showing a key. */
export function fingerprintsOf(
  pems: WantedPems,
  rows: readonly Row[],
  asked: Pick<Wanted, "rotation" | "owner" | "heldBefore">,
  kept: Trusted,
): Wanted {
  const textIn = (master: string, row: Row) => wantedPem(pems, master, row, kept);
  return {
    ...asked,
    authorities: byAuthority((each) => fingerprintOf(pems.authorities[each])),
    files: Object.fromEntries(
      Object.keys(pems.leaves).map((master) => [
        master,
        Object.fromEntries(
          rows.map((row) => [
            row.id,
            row.kind === "key" ? publicKeyOf(textIn(master, row)) : fingerprintOf(textIn(master, row)),
          ]),
        ),
      ]),
    ),
  };
}

/**
 * Why an authority is none for this rotation: its key is that of an authority with another name, which is that of another rotation.
 * An engine that did not know `replacementTrigger` has left it so; without this a rotation would end well with every key as before.
 * @param keys pattern of the names of the cluster's own resources
 */
export function keptKeys(pems: WantedPems, found: Found, keys: string): string[] {
  const held = found.masters.flatMap(({ files }) =>
    Object.values(files).flatMap(({ certificates }) => certificates),
  );
  return [...new Set(Object.values(pems.authorities))].flatMap(certificatesIn).flatMap((wanted) => {
    const [name, ...previous] = [
      wanted,
      ...held.filter(({ publicKey }) => publicKey === wanted.publicKey),
    ].map(({ subject }) => commonNameOf(subject) ?? "");
    const other = previous.find((each) => each !== name);
    return other === undefined
      ? []
      : `Cannot rotate: "${name}" has the private key of "${other}"; expected a new one. State of a Pulumi CLI before 3.211.0 has no replacementTrigger, and without it keys stay. Run: npx etcd-rotation pulumi up --replace '**$tls:index/privateKey:PrivateKey::${keys}'`;
  });
}

/** The text that a finished rollout leaves in a row's file on a master: in a trust file somebody else's authorities come last. */
export function wantedPem(pems: WantedPems, master: string, row: Row, kept: Trusted): string {
  if (row.leaf === undefined) {
    const own = pems.authorities[row.authority];
    return `${own}${textOf(notIn(certificatesIn(own), kept[master]?.[row.id]))}`;
  }
  const leaf = pems.leaves[master]?.[row.leaf];
  if (leaf === undefined) {
    throw new Error(`Cannot find the ${row.leaf} leaf of ${master}`);
  }
  return row.kind === "key" ? leaf.keyPem : leaf.certPem;
}

function fingerprintOf(pem: string): string {
  return certificatesIn(pem)
    .map(({ fingerprint }) => fingerprint)
    .join("+");
}
