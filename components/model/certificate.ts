import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { remembered, rememberedForPairs } from "./remembered.ts";
import { printable } from "./text.ts";

/** A certificate as far as decisions need it; public data only. */
export interface Certificate {
  readonly pem: string;
  /** SHA-256 of the DER, lower-case hex */
  readonly fingerprint: string;
  /** one RDN per element, such as `CN=etcd-server` or `O=one + OU=two`, in the certificate's order */
  readonly subject: readonly string[];
  readonly issuer: readonly string[];
  /** milliseconds since 1970 */
  readonly notBefore: number;
  readonly notAfter: number;
  /** `DNS:name` and `IP:address`, addresses as `normalAddress` writes them */
  readonly sans: readonly string[];
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex */
  readonly publicKey: string;
  /** object identifiers of the extended key usages; empty where there is no such extension, and so no limit */
  readonly uses: readonly string[];
}

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, in its order; blocks that do not parse are left out. */
export function certificatesIn(pem: string): Certificate[] {
  return (pem.match(block) ?? []).flatMap((text) => standIns.get(text)?.certificate ?? certificateOf(text));
}

/** Each text is parsed once: a walk through thousands of states looks at the same few certificates. */
const certificateOf = remembered(
  (text: string): Certificate[] => {
    try {
      return [describe(text, new X509Certificate(text))];
    } catch {
      return [];
    }
  },
  (text) => text,
);

/** True when `authority` signed `leaf`: names match and the signature verifies. */
export function hasIssued(authority: Certificate, leaf: Certificate): boolean {
  const made = standIns.get(leaf.pem.trimEnd());
  if (made !== undefined) {
    return made.issuers.includes(authority.fingerprint);
  }
  return !isStandIn(authority) && isSigned(authority, leaf);
}

const isSigned = rememberedForPairs(
  (authority: Certificate, leaf: Certificate) => {
    const issuer = new X509Certificate(authority.pem);
    const issued = new X509Certificate(leaf.pem);
    return issuer.ca && issued.checkIssued(issuer) && issued.verify(issuer.publicKey);
  },
  ({ pem }) => pem,
);

/** By PEM block, which parses as no certificate. */
const standIns = new Map<
  string,
  { readonly certificate: Certificate; readonly issuers: readonly string[] }
>();

function isStandIn({ pem }: Certificate): boolean {
  return standIns.has(pem.trimEnd());
}

/**
 * For a certificate that is still to be made, where it is asked what will become of it: a preview knows nothing else of it.
 * @param issuers fingerprints of whoever will have signed it
 * @param subject whose name and key it has
 */
export function standIn(
  label: string,
  issuers: readonly string[],
  subject?: Pick<Certificate, "subject" | "publicKey">,
): Certificate {
  const fingerprint = sha256(`stand-in: ${label}, by ${issuers.join()}`);
  const text = `-----BEGIN CERTIFICATE-----\n${fingerprint}\n-----END CERTIFICATE-----`;
  const certificate = {
    ...{ pem: `${text}\n`, fingerprint, subject: [`CN=${label}`], issuer: [], publicKey: fingerprint },
    ...{ notBefore: 0, notAfter: Number.POSITIVE_INFINITY, sans: [], uses: [], ...subject },
  };
  standIns.set(text, { certificate, issuers });
  return certificate;
}

/** In DER: basicConstraints with a pathLenConstraint of 0, and nameConstraints (RFC 5280 sections 4.2.1.9 and 4.2.1.10). */
const limits = /0603551d13(0101ff)?04083006(0101ff)020100|0603551d1e/;

/** Whether there may be an authority between this root and any leaf. */
export function mayBeAbove({ pem, subject, issuer }: Certificate): boolean {
  return subject.join() === issuer.join() && !limits.test(new X509Certificate(pem).raw.toString("hex"));
}

export interface PublicKey {
  readonly pem: string;
  /** SHA-256 of its SubjectPublicKeyInfo, as a certificate has it */
  readonly hash: string;
}

/** The public key of a PEM text; none where it does not parse. */
export function publicKeysIn(pem: string): PublicKey[] {
  try {
    return [{ pem, hash: publicKeyOf(pem) }];
  } catch {
    return [];
  }
}

/** True when the private key of this public one made the certificate's signature, whatever the names say. */
export function hasSigned(key: PublicKey, { pem }: Certificate): boolean {
  return new X509Certificate(pem).verify(createPublicKey(key.pem));
}

/** The first common name in a name; undefined where it has none. An RDN may have several attributes, as in `O=one + CN=two`. */
export function commonNameOf(name: readonly string[]): string | undefined {
  return name
    .flatMap((rdn) => rdn.split(severalValues))
    .find((each) => each.startsWith("CN="))
    ?.slice("CN=".length);
}

/** The common name, or the whole name without one, for people. */
export function shownName(name: readonly string[]): string {
  return printable(commonNameOf(name) ?? name.join(", "));
}

/** As Node writes an RDN of several values. */
export const severalValues = / \+ (?=[\w.]+=)/;

/** The serialNumber in the subject of an authority that this program makes: it names the key. */
export function authoritySerial(publicKeyPem: string): string {
  return sha256(publicKeyPem).slice(0, 16);
}

/** True of every authority that this program has made, for whichever stack and rotation: its subject names its own key. */
export function isMadeHere(certificate: Certificate): boolean {
  return isStandIn(certificate) || hasOwnSerial(certificate);
}

const hasOwnSerial = remembered(
  ({ pem, subject }: Certificate) => {
    const publicKeyPem = new X509Certificate(pem).publicKey.export({ type: "spki", format: "pem" });
    return subject.includes(`serialNumber=${authoritySerial(publicKeyPem.toString())}`);
  },
  ({ pem }) => pem,
);

/** SHA-256 of a private key's SubjectPublicKeyInfo: names a key without showing it. */
export function publicKeyOf(keyPem: string): string {
  return sha256(createPublicKey(keyPem).export({ type: "spki", format: "der" }));
}

/** An IPv6 address in its one short form (RFC 5952), so that two spellings compare equal; anything else as it is. */
export function normalAddress(address: string): string {
  return address.includes(":") && URL.canParse(`http://[${address}]`)
    ? new URL(`http://[${address}]`).hostname.slice(1, -1)
    : address;
}

/** SHA-256 in lower-case hex. */
export function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function describe(pem: string, parsed: X509Certificate): Certificate {
  return {
    pem: `${pem}\n`,
    fingerprint: sha256(parsed.raw),
    subject: rdnsIn(parsed.subject),
    issuer: rdnsIn(parsed.issuer),
    notBefore: Date.parse(parsed.validFrom),
    notAfter: Date.parse(parsed.validTo),
    sans: (parsed.subjectAltName ?? "")
      .split(", ")
      .filter((part) => part !== "")
      .map((part) =>
        part.startsWith("IP Address:") ? `IP:${normalAddress(part.slice("IP Address:".length))}` : part,
      ),
    publicKey: sha256(parsed.publicKey.export({ type: "spki", format: "der" })),
    uses: parsed.keyUsage ?? [],
  };
}

/**
 * Node writes one RDN per line, escaped as in RFC 2253 section 2.4; a new certificate is to have the plain value.
 * @param name undefined of a name without any, whatever Node's types say: a leaf may have its SANs alone
 */
function rdnsIn(name: string | undefined): string[] {
  return (name ?? "")
    .split("\n")
    .filter((part) => part !== "")
    .map((part) =>
      part.replace(/\\([0-9A-F]{2}|.)/g, (_, escaped: string) =>
        escaped.length === 2 ? String.fromCharCode(Number.parseInt(escaped, 16)) : escaped,
      ),
    );
}
