import { expect, test } from "vitest";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { strangerNotices } from "../../components/model/strangers.ts";
import { changed, foundAs, makePems } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const found = foundAs(makePems("current"));
const at = (master: number, id: string): Certificate => {
  const [certificate] = found.masters[master]?.files[id]?.certificates ?? [];
  if (certificate === undefined) {
    throw new Error(`Cannot find ${id} of the test's cluster`);
  }
  return { ...certificate, notAfter: Date.UTC(2027, 0, 2) };
};
const [foreign] = certificatesIn(makeLeaf(makeAuthority("/CN=console"), { subject: "/CN=x" }).certPem);
const peer = { path: "/cert/peer-2.pem", certificate: at(1, "etcd-peer") };

test("a copy of another member's certificate is named once for all masters that hold it, and somebody else's is not", () => {
  const strangers = [
    peer,
    ...(foreign === undefined ? [] : [{ path: "/etc/kubernetes/console.crt", certificate: foreign }]),
  ];
  const of = {
    masters: found.masters.map((master) => ({
      ...master,
      strangers: master.name === "master-2" ? [] : strangers,
    })),
  };
  expect(strangerNotices(of, ackLayout, [])).toEqual([
    "master-1, master-3: /cert/peer-2.pem (until 2027-01-02) is not managed: a copy of etcd-peer of master-2",
  ]);
});

test("what no row has is named by its subject and issuer", () => {
  const certificate = {
    ...at(0, "etcd-client"),
    fingerprint: "other",
    subject: ["O=a + CN=scraper"],
    issuer: ["CN=CA"],
  };
  const of = changed(found, "master-1", () => ({
    strangers: [{ path: "/etc/kubernetes/scraper.crt", certificate }],
  }));
  expect(strangerNotices(of, ackLayout, [])).toEqual([
    'master-1: /etc/kubernetes/scraper.crt (until 2027-01-02) is not managed: "CN=scraper", by "CN=CA"',
  ]);
  // by all of it where it has no common name
  const nameless = { ...certificate, subject: ["O=a", "OU=b"], issuer: ["O=c", "CN=CA"] };
  const other = changed(found, "master-1", () => ({
    strangers: [{ path: "/a.crt", certificate: nameless }],
  }));
  expect(strangerNotices(other, ackLayout, [])).toEqual([
    'master-1: /a.crt (until 2027-01-02) is not managed: "O=a, OU=b", by "O=c, CN=CA"',
  ]);
});

test("what somebody else's authority has issued is not this cluster's, also where a trust file has that one", () => {
  const console = makeAuthority("/CN=console");
  const [certificate] = certificatesIn(makeLeaf(console, { subject: "/CN=x" }).certPem);
  const of = changed(found, "master-1", ({ files }) => {
    const trust = files["etcd-ca"];
    const certificates = [...(trust?.certificates ?? []), ...certificatesIn(console.certPem)];
    return {
      strangers: certificate === undefined ? [] : [{ path: "/console.crt", certificate }],
      files: trust === undefined ? files : { ...files, "etcd-ca": { ...trust, certificates } },
    };
  });
  expect(strangerNotices(of, ackLayout, [])).toEqual([]);
});
