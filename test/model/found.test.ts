import { expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { type FoundFile, type FoundMaster, placesOf, presentRows } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { changed, foundAs, makePems } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const steady = foundAs(makePems("steady"));

/** Files of Kubernetes with these PEM texts, beside etcd's. */
function withTexts(texts: Readonly<Record<string, string>>): (master: FoundMaster) => Partial<FoundMaster> {
  const file = (id: string, text: string): FoundFile => ({
    ...{ isPresent: true, isReadable: true, ownerAndMode: "root:root 644", publicKey: "-" },
    ...{ path: `/pki/${id}`, realPath: `/pki/${id}`, certificates: certificatesIn(text) },
  });
  return ({ files }) => ({
    files: {
      ...files,
      ...Object.fromEntries(Object.entries(texts).map(([id, text]) => [id, file(id, text)])),
    },
  });
}

test("a file that may be missing is the cluster's as soon as one master has it; any other is always", () => {
  const ids = (...of: Parameters<typeof presentRows>) => presentRows(...of).map(({ id }) => id);
  const optional = ackLayout.filter((row) => row.optional === true).map(({ id }) => id);
  expect(optional).toContain("etcd-client");
  const bare = { masters: steady.masters.map((master) => ({ ...master, files: {} })) };
  expect(ids(ackLayout, bare)).toEqual(
    ackLayout.filter(({ id }) => !optional.includes(id)).map(({ id }) => id),
  );
  const one = changed(bare, "master-2", () => ({
    files: Object.fromEntries(
      Object.entries(steady.masters[1]?.files ?? {}).filter(([id]) => id === "etcd-client"),
    ),
  }));
  expect(ids(ackLayout, one)).toContain("etcd-client");
  expect(ids(ackLayout, one)).not.toContain("etcd-client-key");
  const gone = changed(one, "master-2", ({ files }) => ({
    files: Object.fromEntries(Object.entries(files).map(([id, file]) => [id, { ...file, isPresent: false }])),
  }));
  expect(ids(ackLayout, gone)).toEqual(ids(ackLayout, bare));
});

test("an authority lies in the files that are its own, by whatever name and in whatever bundle; not behind a leaf, nor in the other authority's file", () => {
  const [own, other] = [makeAuthority("/CN=kubernetes"), makeAuthority("/CN=front-proxy-ca")];
  const leaf = makeLeaf(own, { subject: "/CN=kube-apiserver" });
  const [master] = changed(
    steady,
    "master-1",
    withTexts({
      "cluster-ca": own.certPem,
      "root-ca": other.certPem + own.certPem,
      apiserver: leaf.certPem + own.certPem,
      "front-proxy-ca": own.certPem,
    }),
  ).masters;
  const [certificate] = certificatesIn(own.certPem);
  const places = master === undefined ? [] : placesOf("cluster-ca", master, ackKubernetes);
  expect(places.map(({ row, certificate: held }) => [row.id, held])).toEqual([
    ["cluster-ca", certificate],
    ["root-ca", certificate],
  ]);
});
