import { createPublicKey, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { certificatesIn, hasIssued, publicKeyOf } from "../../components/model/certificate.ts";
import { copiesOf } from "../lab/rehearsal/copies.ts";
import { makeOriginalPems } from "./cluster.ts";
import { openssl } from "./openssl.ts";

const pems = makeOriginalPems();
const [authority] = certificatesIn(pems.authorities.etcd);
const [leaf] = certificatesIn(pems.leaves["master-1"]?.["etcd-peer"].certPem ?? "");

test("a copy has another key, the names of the lab, and all else of its original; who issued the one issued the other", () => {
  if (authority === undefined || leaf === undefined) {
    throw new Error("no certificates");
  }
  const copies = copiesOf([authority, leaf], (text) =>
    text.replace("master-1", "lab-1").replace("10.77.0.11", "10.9.9.9"),
  );
  const [root] = certificatesIn(copies.certificateOf(authority.fingerprint));
  const [copy] = certificatesIn(copies.certificateOf(leaf.fingerprint));
  if (root === undefined || copy === undefined) {
    throw new Error("no copies");
  }
  expect(hasIssued(root, copy)).toBe(true);
  expect(hasIssued(authority, copy)).toBe(false);
  expect(copy.publicKey).not.toBe(leaf.publicKey);
  expect(publicKeyOf(copies.keyOf(leaf.publicKey))).toBe(copy.publicKey);
  expect(copy.sans).toEqual([
    "DNS:localhost",
    "DNS:lab-1",
    "DNS:10.9.9.9-name-1",
    "IP:127.0.0.1",
    "IP:10.9.9.9",
  ]);
  for (const name of ["issuer", "notBefore", "notAfter", "uses"] as const) {
    expect(copy[name]).toEqual(leaf[name]);
  }
  expect(openssl(["verify", "-CAfile", "root", "leaf"], { root: root.pem, leaf: copy.pem })).toContain(
    "leaf: OK",
  );
  expect({ before: leaf.subject, after: copy.subject }).toEqual({
    before: ["CN=10.77.0.11-name-1"],
    after: ["CN=10.9.9.9-name-1"],
  });
});

test("a leaf whose issuer is not among them is signed by nobody among them", () => {
  const others = certificatesIn(makeOriginalPems().authorities.etcd);
  if (leaf === undefined) {
    throw new Error("no certificates");
  }
  const copies = copiesOf([...others, leaf], (text) => text);
  const orphan = new X509Certificate(copies.certificateOf(leaf.fingerprint));
  const signers = [...others, leaf].filter(({ publicKey }) =>
    orphan.verify(createPublicKey(copies.keyOf(publicKey))),
  );
  expect(signers).toEqual([]);
});
