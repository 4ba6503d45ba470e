import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { type Certificate, certificatesIn, hasIssued, sha256 } from "../../components/model/certificate.ts";
import { type Deployment, nameIn, type StateResource } from "./deployment.ts";

/** What a state says of its certificates; public data only, read without the passphrase. */
export interface CertificateSet {
  /** the stack file's string when these keys were made; undefined when the authority is missing */
  readonly rotation: string | undefined;
  /** by resource name, such as `etcd-ca` and `master-1-etcd-server` */
  readonly certificates: Readonly<Record<string, Certificate>>;
  /** SHA-256 of etcd's authority */
  readonly authority: string | undefined;
  readonly validityHours: number | undefined;
  /** as the stack file names it */
  readonly algorithm: string | undefined;
  /** of the last update that ended well */
  readonly rollout: number | undefined;
  readonly cluster: string | undefined;
  /** the first of them to end */
  readonly end: { readonly name: string; readonly notAfter: number } | undefined;
  /** why this is no whole set; empty when it is one */
  readonly faults: readonly string[];
}

const authorityType = "tls:index/selfSignedCert:SelfSignedCert";
const leafType = "tls:index/locallySignedCert:LocallySignedCert";
const keyType = "tls:index/privateKey:PrivateKey";

const text = z.string().optional().catch(undefined);
const number = z.number().optional().catch(undefined);

/** Reads the certificates of a state; what a replacement has left to be deleted is none of them. */
export function certificateSetOf({ resources }: Deployment): CertificateSet {
  const present = resources.filter((resource) => resource.delete !== true);
  const named = new Map(present.map((resource) => [`${resource.type} ${nameIn(resource.urn)}`, resource]));
  const authority = named.get(`${authorityType} etcd-ca`);
  const key = named.get(`${keyType} etcd-ca-key`);
  const outputs = present.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
  const issued = present.filter((resource) => resource.type === authorityType || isLeaf(resource));
  const certificates = Object.fromEntries(
    issued.flatMap(({ urn, outputs: made }) =>
      certificatesIn(text.parse(made?.["certPem"]) ?? "").map((found) => [nameIn(urn), found] as const),
    ),
  );
  const ends = Object.entries(certificates).map(([name, { notAfter }]) => ({ name, notAfter }));
  return {
    rotation: rotationOf(key, certificates["etcd-ca"]),
    certificates,
    authority: certificates["etcd-ca"]?.fingerprint,
    validityHours: number.parse(authority?.inputs?.["validityPeriodHours"]),
    algorithm: algorithmOf(key?.inputs),
    rollout: number.parse(outputs["rollout"]),
    cluster: text.parse(outputs["cluster"]),
    end: ends.toSorted((a, b) => a.notAfter - b.notAfter)[0],
    faults: faultsOf(present, certificates),
  };
}

/** True when both name the same certificates. */
export function isSameSet(a: CertificateSet, b: CertificateSet): boolean {
  return isDeepStrictEqual(fingerprintsIn(a), fingerprintsIn(b));
}

function fingerprintsIn({ certificates }: CertificateSet): ReadonlyMap<string, string> {
  return new Map(Object.entries(certificates).map(([name, { fingerprint }]) => [name, fingerprint]));
}

function faultsOf(present: readonly StateResource[], certificates: CertificateSet["certificates"]): string[] {
  const authorities = ["etcd-ca", "etcd-peer-ca"];
  const leaves = present.filter(isLeaf).map(({ urn }) => nameIn(urn));
  const read = leaves.filter((name) => certificates[name] !== undefined);
  const isIssuedBy = (authority: string, leaf: string) => {
    const [issuer, issued] = [certificates[authority], certificates[leaf]];
    return issuer !== undefined && issued !== undefined && hasIssued(issuer, issued);
  };
  // where one authority is for clients and members, the other was never made
  const needed = read.every((name) => isIssuedBy("etcd-ca", name)) ? ["etcd-ca"] : authorities;
  const missing = needed.filter((name) => certificates[name] === undefined);
  const foreign = read.filter((name) => !authorities.some((authority) => isIssuedBy(authority, name)));
  const publicKeys = new Map(
    present.filter(({ type }) => type === keyType).map((key) => [nameIn(key.urn), publicKeyOf(key)]),
  );
  const keyless = Object.entries(certificates).filter(
    ([name, { publicKey }]) => publicKeys.get(`${name}-key`) !== publicKey,
  );
  return [
    ...missing.map((name) => `${name} is missing`),
    ...(leaves.length === 0 ? ["it has no leaf"] : []),
    ...leaves.filter((name) => !read.includes(name)).map((name) => `${name} cannot be read`),
    ...foreign.map((name) => `${name} is of another authority`),
    ...keyless.map(([name]) => `${name} has another key`),
  ];
}

/** Not a cross-certificate, which the authority before has signed: it serves one rollout, and is no part of the set. */
function isLeaf({ type, inputs }: StateResource): boolean {
  return type === leafType && inputs?.["isCaCertificate"] !== true;
}

/** SHA-256 of the SubjectPublicKeyInfo of a key's public half. */
function publicKeyOf(key: StateResource): string {
  const pem = text.parse(key.outputs?.["publicKeyPem"]) ?? "";
  return sha256(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
}

function rotationOf(key: StateResource | undefined, authority: Certificate | undefined): string | undefined {
  // the trigger that made the key; the subject says it too, whatever else may have re-signed it since
  return typeof key?.replacementTrigger === "string"
    ? key.replacementTrigger
    : /^CN=etcd-ca (.+)$/m.exec(authority?.subject.join("\n") ?? "")?.[1];
}

function algorithmOf(inputs: StateResource["inputs"]): string | undefined {
  switch (inputs?.["algorithm"]) {
    case "ECDSA":
      return `ECDSA-${text.parse(inputs["ecdsaCurve"])}`;
    case "RSA":
      return `RSA-${number.parse(inputs["rsaBits"])}`;
    default:
      return undefined;
  }
}

/** Whether a set can be used as it is. `due`: Pulumi would sign it anew at once, since it ends within `renewBefore`. */
export type Condition = "valid" | "due" | "expired" | "incomplete";

/** @param now milliseconds since 1970 */
export function conditionOf(set: CertificateSet, now: number, renewBeforeSeconds: number): Condition {
  if (set.faults.length > 0 || set.end === undefined) {
    return "incomplete";
  }
  if (set.end.notAfter <= now) {
    return "expired";
  }
  return set.end.notAfter - renewBeforeSeconds * 1000 <= now ? "due" : "valid";
}
