import { describe, expect, test } from "vitest";
import {
  certificatesIn,
  commonNameOf,
  hasIssued,
  hasSigned,
  isMadeHere,
  mayBeAbove,
  normalAddress,
  publicKeyOf,
  publicKeysIn,
  standIn,
} from "../../components/model/certificate.ts";
import { type Issued, makeAuthority, makeCross, makeLeaf, makeOwnAuthority, openssl } from "./openssl.ts";

const authority = makeAuthority("/O=Lab/CN=etcd-ca");
/** the same name with another key */
const namesake = makeAuthority("/O=Lab/CN=etcd-ca");
const sans = "DNS:localhost,DNS:master-1,IP:10.77.0.11,IP:fd00::1";
const leaf = makeLeaf(authority, { subject: "/O=system:masters/OU=a, b/CN=etcd-server", sans });

function read({ certPem }: Issued) {
  const [certificate] = certificatesIn(certPem);
  if (certificate === undefined) {
    throw new Error("Cannot read the test's own certificate");
  }
  return certificate;
}

function tell(option: string, pem: string): string {
  return openssl(["x509", "-in", "c.pem", "-noout", option], { "c.pem": pem })
    .trim()
    .replace(/^[^=]*=/, "");
}

describe("certificatesIn", () => {
  test("reads what openssl reads", () => {
    const certificate = read(leaf);
    expect(certificate.subject).toEqual(["O=system:masters", "OU=a, b", "CN=etcd-server"]);
    expect(certificate.issuer).toEqual(["O=Lab", "CN=etcd-ca"]);
    expect(certificate.sans).toEqual(["DNS:localhost", "DNS:master-1", "IP:10.77.0.11", "IP:fd00::1"]);
    expect(certificate.notAfter).toBe(Date.parse(tell("-enddate", leaf.certPem)));
    expect(certificate.notBefore).toBe(Date.parse(tell("-startdate", leaf.certPem)));
    const fingerprint = openssl(["x509", "-in", "c.pem", "-noout", "-fingerprint", "-sha256"], {
      "c.pem": leaf.certPem,
    });
    expect(certificate.fingerprint).toBe(
      fingerprint.trim().replace(/^.*=/, "").replaceAll(":", "").toLowerCase(),
    );
    expect(certificate.pem).toBe(leaf.certPem);
  });

  test("has the plain value of what is escaped, and nothing of what is not there", () => {
    const { subject, sans: none } = read(makeLeaf(authority, { subject: "/O=tab\there/CN=a" }));
    expect([subject, none]).toEqual([["O=tab\there", "CN=a"], []]);
    const { subject: unnamed } = read(makeLeaf(authority, { subject: "/" }));
    expect([unnamed, commonNameOf(unnamed), commonNameOf(["O=one"])]).toEqual([[], undefined, undefined]);
    expect([read(authority).sans, read(authority).uses]).toEqual([[], []]);
  });

  test("leaves out one whose public key nobody can read, and tells what is beside it", () => {
    const der = Buffer.from(leaf.certPem.replaceAll(/-----.*-----/g, ""), "base64").toString("latin1");
    // of a curve that there is none of: prime256v1 is 1.2.840.10045.3.1.7
    const odd = Buffer.from(
      der.replaceAll("\x2a\x86\x48\xce\x3d\x03\x01\x07", "\x2a\x86\x48\xce\x3d\x03\x01\x7f"),
      "latin1",
    );
    expect(
      certificatesIn(
        `-----BEGIN CERTIFICATE-----\n${odd.toString("base64")}\n-----END CERTIFICATE-----\n${leaf.certPem}`,
      ),
    ).toEqual([read(leaf)]);
  });

  test("keeps several values of one RDN together, in the subject and in the issuer", () => {
    const several = makeAuthority("/O=alibaba cloud+OU=b+CN=kubernetes/C=CN");
    const { subject, issuer } = read(makeLeaf(several, { subject: "/CN=one+OU=two" }));
    expect(issuer).toEqual(read(several).subject);
    expect(issuer).toHaveLength(2);
    expect(subject).toHaveLength(1);
    expect(commonNameOf(subject)).toBe("one");
    expect(commonNameOf(issuer)).toBe("kubernetes");
  });

  test("keeps the order of a bundle, with text and keys between", () => {
    const text = `subject=x\n${leaf.certPem}${leaf.keyPem}# ---\n${authority.certPem}${namesake.certPem.trimEnd()}`;
    expect(certificatesIn(text)).toEqual([read(leaf), read(authority), read(namesake)]);
  });

  test.each([
    ["nothing", ""],
    ["a key", leaf.keyPem],
    ["a cut certificate", leaf.certPem.slice(0, 200)],
    ["a block that is not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
  ])("%s has none", (_, text) => {
    expect(certificatesIn(text)).toEqual([]);
  });
});

describe("hasIssued", () => {
  test.each([
    ["its authority", authority, leaf, true],
    ["an authority of the same name with another key", namesake, leaf, false],
    ["an authority of itself", authority, authority, true],
    ["a leaf that is no authority", leaf, leaf, false],
    ["another authority", makeAuthority("/CN=other"), leaf, false],
  ])("%s", (_, issuer, issued, expected) => {
    expect(hasIssued(read(issuer), read(issued))).toBe(expected);
  });
});

test("an authority of the same key under another name has issued nothing of this one's, though its key has signed it", () => {
  const renamed = makeCross(authority, {
    certPem: makeAuthority("/CN=renamed").certPem,
    keyPem: authority.keyPem,
  });
  const [own] = certificatesIn(renamed);
  expect(own?.subject).toEqual(["CN=renamed"]);
  expect(own && hasIssued(own, read(leaf))).toBe(false);
  const [key, other] = [authority, namesake].flatMap(({ keyPem }) =>
    publicKeysIn(openssl(["pkey", "-in", "k.pem", "-pubout"], { "k.pem": keyPem })),
  );
  expect(key?.hash).toBe(read(authority).publicKey);
  expect([key && hasSigned(key, read(leaf)), other && hasSigned(other, read(leaf))]).toEqual([true, false]);
  expect(publicKeysIn("no key")).toEqual([]);
});

test("below a root there may be another authority, unless it says otherwise; below any other, whose root may, nobody knows", () => {
  const root = (...extensions: readonly string[]) =>
    mayBeAbove(read(makeAuthority("/CN=root", 3650, extensions)));
  expect([
    mayBeAbove(read(authority)),
    root("basicConstraints=critical,CA:TRUE,pathlen:1"),
    root("basicConstraints=critical,CA:TRUE,pathlen:0"),
    root("basicConstraints=critical,CA:TRUE", "nameConstraints=permitted;DNS:example"),
  ]).toEqual([true, true, false, false]);
  const [below] = certificatesIn(makeCross(namesake, makeAuthority("/CN=below")));
  expect(below && mayBeAbove(below)).toBe(false);
});

describe("a certificate that is still to be made", () => {
  const made = standIn("next", [read(authority).fingerprint]);

  test("is read among others, and is nobody's but its own", () => {
    expect(certificatesIn(`${leaf.certPem}${made.pem}`)).toEqual([read(leaf), made]);
    expect(made).toMatchObject({ subject: ["CN=next"], issuer: [], sans: [], uses: [], notBefore: 0 });
    expect(made.notAfter).toBeGreaterThan(read(leaf).notAfter);
    const others = [standIn("other", [read(authority).fingerprint]), standIn("next", [])];
    expect(new Set([made, ...others].map(({ fingerprint }) => fingerprint)).size).toBe(3);
  });

  test("has been issued by whoever will have signed it, and has issued what says so", () => {
    const below = standIn("leaf", [made.fingerprint]);
    expect([
      hasIssued(read(authority), made),
      hasIssued(read(namesake), made),
      hasIssued(made, below),
      hasIssued(read(authority), below),
      hasIssued(made, read(leaf)),
    ]).toEqual([true, false, true, false, false]);
  });

  test("may be a cross-certificate, of the subject and key of another", () => {
    const { subject, publicKey } = read(namesake);
    expect(standIn("cross", [made.fingerprint], { subject, publicKey })).toMatchObject({
      subject,
      publicKey,
    });
  });

  test("is this program's, as an authority is whose subject names its own key", () => {
    expect([made, read(makeOwnAuthority("etcd-ca one")), read(authority)].map(isMadeHere)).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("publicKeyOf", () => {
  test("names a certificate's own key, and no other", () => {
    expect(publicKeyOf(leaf.keyPem)).toBe(read(leaf).publicKey);
    expect(publicKeyOf(authority.keyPem)).not.toBe(read(leaf).publicKey);
  });

  test.each([
    ["RSA in PKCS#1", ["genrsa", "-traditional", "2048"]],
    ["EC in SEC1", ["ecparam", "-name", "prime256v1", "-genkey", "-noout"]],
    ["Ed25519", ["genpkey", "-algorithm", "ed25519"]],
  ])("of %s is the hash that openssl gives", (_, words) => {
    const keyPem = openssl(words, {});
    const publicPem = openssl(["pkey", "-in", "k.pem", "-pubout"], { "k.pem": keyPem });
    expect(publicKeyOf(keyPem)).toBe(publicKeyOf(publicPem));
  });
});

test.each([
  ["FD00:0:0:0:0:0:0:1", "fd00::1"],
  ["fd00::1", "fd00::1"],
  ["::1", "::1"],
  ["10.77.0.11", "10.77.0.11"],
  ["master-1", "master-1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
])("normalAddress of %s is %s", (address, normal) => {
  expect(normalAddress(address)).toBe(normal);
});
