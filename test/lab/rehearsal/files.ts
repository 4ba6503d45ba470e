import type { Certificate } from "../../../components/model/certificate.ts";
import type { Copies } from "./copies.ts";

/** What lies on a master, by path. */
export type Files = Map<string, LaidFile>;

export interface LaidFile {
  readonly text: string;
  /** in octal */
  readonly mode: string;
}

/** Copies of certificates, then of a key, as far as there are any. */
export function contentOf(
  original: { readonly certificates: readonly Certificate[]; readonly publicKey?: string | undefined },
  copies: Copies,
): string {
  return [
    ...original.certificates.map(({ fingerprint }) => copies.certificateOf(fingerprint)),
    ...(original.publicKey === undefined ? [] : [copies.keyOf(original.publicKey)]),
  ].join("");
}
