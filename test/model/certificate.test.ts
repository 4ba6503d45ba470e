import { describe, expect, test } from "vitest";
import {
  certificatesIn,
  commonNameOf,
  hasIssued,
  normalAddress,
  publicKeyOf,
} from "../../components/model/certificate.ts";
import { type Issued, makeAuthority, makeLeaf, openssl } from "./openssl.ts";

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
])("normalAddress of %s is %s", (address, normal) => {
  expect(normalAddress(address)).toBe(normal);
});
