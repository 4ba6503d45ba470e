import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from "node:crypto";
import { type Certificate, hasIssued, normalAddress } from "../../../components/model/certificate.ts";
import { constructed, type Der, derIn, encoded, primitive } from "./der.ts";

/** Certificates with keys of the lab's own in place of the real ones. */
export interface Copies {
  /** of the original with that fingerprint; empty where there is none */
  readonly certificateOf: (fingerprint: string) => string;
  /** the private key in place of the one with that public key, a new one where no original has it */
  readonly keyOf: (publicKey: string) => string;
}

const subjectKeyIdentifier = "551d0e";
const authorityKeyIdentifier = "551d23";
const subjectAltName = "551d11";
/** Of names and alternative names: UTF8String, PrintableString, IA5String, dNSName. */
const texts = [0x0c, 0x13, 0x16, 0x82];
const ipAddress = 0x87;

/**
 * Copies certificates by their own DER: same serial, dates, uses and limits, and a new key of the same kind. Who has signed one among
 * them has signed its copy; an issuer that is not among them has a key that no other copy has. Equal keys stay equal.
 * @param rename a name or an address, as it is to be in the lab
 */
export function copiesOf(originals: readonly Certificate[], rename: (text: string) => string): Copies {
  const keys = new Map<string, KeyObject>();
  const keyFor = (id: string, like?: KeyObject): KeyObject => {
    const key = keys.get(id) ?? newKeyLike(like);
    keys.set(id, key);
    return key;
  };
  const certificates = new Map(
    originals.map((original) => {
      const parsed = new X509Certificate(original.pem);
      const key = keyFor(original.publicKey, parsed.publicKey);
      const issuer = originals.find((each) => hasIssued(each, original));
      // not seen: of what kind its key is, only the signature tells; most have one kind for all
      const signer =
        issuer === undefined
          ? keyFor(`issuer ${original.issuer.join()}`, parsed.publicKey)
          : keyFor(issuer.publicKey, new X509Certificate(issuer.pem).publicKey);
      return [original.fingerprint, copyOf(parsed, { key, signer, rename })];
    }),
  );
  return {
    certificateOf: (fingerprint) => certificates.get(fingerprint) ?? "",
    keyOf: (publicKey) => keyFor(publicKey).export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function newKeyLike(like: KeyObject | undefined): KeyObject {
  const { modulusLength = 2048, namedCurve = "prime256v1" } = like?.asymmetricKeyDetails ?? {};
  return like?.asymmetricKeyType === "rsa"
    ? generateKeyPairSync("rsa", { modulusLength }).privateKey
    : generateKeyPairSync("ec", { namedCurve }).privateKey;
}

interface Change {
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly rename: (text: string) => string;
}

function copyOf(original: X509Certificate, change: Change): string {
  const [certificate] = derIn(original.raw);
  const fields = certificate?.children[0]?.children ?? [];
  // a certificate of version 1 has no field of the version
  const first = fields[0]?.tag === 0xa0 ? 1 : 0;
  const algorithm = algorithmOf(change.signer);
  const body = constructed(
    0x30,
    fields.map((field, index) => {
      switch (index - first) {
        case 1:
          return algorithm;
        case 2:
        case 4:
          return renamed(field, change);
        case 5:
          return publicKeyOf(change.key);
        default:
          return field.tag === 0xa3 ? withExtensions(field, change) : field;
      }
    }),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign("sha256", encoded(body), change.signer)]);
  const der = encoded(constructed(0x30, [body, algorithm, primitive(0x03, signature)]));
  return `${new X509Certificate(der).toString().trimEnd()}\n`;
}

/** sha256WithRSAEncryption (RFC 4055) or ecdsa-with-SHA256 (RFC 5758). */
function algorithmOf(key: KeyObject): Der {
  return key.asymmetricKeyType === "rsa"
    ? constructed(0x30, [
        primitive(0x06, Buffer.from("2a864886f70d01010b", "hex")),
        primitive(0x05, Buffer.alloc(0)),
      ])
    : constructed(0x30, [primitive(0x06, Buffer.from("2a8648ce3d040302", "hex"))]);
}

function publicKeyOf(key: KeyObject): Der {
  const [info] = derIn(createPublicKey(key).export({ type: "spki", format: "der" }));
  return info ?? constructed(0x30, []);
}

/** SHA-1 of the public key's bits (RFC 5280 section 4.2.1.2). */
function identifierOf(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(publicKeyOf(key).children[1]?.bytes.subarray(1) ?? "")
    .digest();
}

function renamed(value: Der, change: Change): Der {
  if (value.children.length > 0) {
    return { ...value, children: value.children.map((each) => renamed(each, change)) };
  }
  if (value.tag === ipAddress) {
    const address = addressIn(value.bytes);
    const other = change.rename(address);
    return other === address ? value : primitive(ipAddress, Buffer.from(other.split(".").map(Number)));
  }
  return texts.includes(value.tag)
    ? primitive(value.tag, Buffer.from(change.rename(value.bytes.toString())))
    : value;
}

function addressIn(bytes: Buffer): string {
  return bytes.length === 4
    ? bytes.join(".")
    : normalAddress((bytes.toString("hex").match(/.{4}/g) ?? []).join(":"));
}

function withExtensions(field: Der, change: Change): Der {
  const extensions = field.children[0]?.children ?? [];
  const made = extensions.map((extension) => {
    const value = extension.children.at(-1) ?? extension;
    const content = contentOf(extension.children[0]?.bytes.toString("hex"), value.bytes, change);
    return constructed(0x30, [...extension.children.slice(0, -1), primitive(0x04, content)]);
  });
  return constructed(field.tag, [constructed(0x30, made)]);
}

function contentOf(id: string | undefined, bytes: Buffer, change: Change): Buffer {
  switch (id) {
    case subjectKeyIdentifier:
      return encoded(primitive(0x04, identifierOf(change.key)));
    case authorityKeyIdentifier:
      return encoded(constructed(0x30, [primitive(0x80, identifierOf(change.signer))]));
    case subjectAltName:
      return Buffer.concat(derIn(bytes).map((names) => encoded(renamed(names, change))));
    default:
      return bytes;
  }
}
