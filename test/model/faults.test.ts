import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { apiFaults, certificateFaults } from "../../components/model/faults.ts";
import type { Found, FoundFile } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { changed, diskOf, foundAs, makePems, masterWith } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const pems = makePems("one");
const other = makePems("other");
const found = foundAs(pems);
const end = Date.UTC(2026, 10, 20);

/** What is wrong on master-1, when this is done to one of its files. */
function faults(id: string, change: (file: FoundFile) => Partial<FoundFile>, of: Found = found): string[] {
  const masters = changed(of, "master-1", (master) => {
    const file = master.files[id];
    return {
      files: { ...master.files, ...(file === undefined ? {} : { [id]: { ...file, ...change(file) } }) },
    };
  }).masters;
  const [first] = masters;
  return first === undefined ? [] : certificateFaults(first, masters, ackLayout, end);
}

const ending = (file: FoundFile) => ({
  certificates: file.certificates.map((certificate) => ({ ...certificate, notAfter: end })),
});

describe("the faults of a master's files", () => {
  test("are none on a good one", () => {
    expect(faults("etcd-ca", () => ({}))).toEqual([]);
  });

  test.each<[string, string, (file: FoundFile) => Partial<FoundFile>, string[]]>([
    ["an expired leaf", "etcd-peer", ending, ["master-1: etcd-peer expired on 2026-11-20"]],
    ["an expired authority", "etcd-ca", ending, ["master-1: etcd-ca expired on 2026-11-20"]],
    [
      "a file that is missing",
      "etcd-server-key",
      () => ({ isPresent: false, publicKey: "" }),
      ["master-1: etcd-server does not belong to its key", "master-1: etcd-server-key is missing"],
    ],
    [
      "an empty trust file",
      "etcd-peer-ca",
      () => ({ certificates: [] }),
      ["master-1: etcd-peer-ca holds no certificate"],
    ],
    [
      "a file of another owner",
      "etcd-server-key",
      () => ({ isReadable: false, ownerAndMode: "root:root 600" }),
      ["master-1: etcd-server-key cannot be read by etcd (root:root 600)"],
    ],
    [
      "a key of another leaf",
      "etcd-server-key",
      () => ({ publicKey: "another" }),
      ["master-1: etcd-server does not belong to its key"],
    ],
  ])("%s", (_, id, change, expected) => {
    expect(faults(id, change)).toEqual(expected);
  });

  test("a leaf without one of its uses; one without any such extension may be used for all", () => {
    const authority = makeAuthority("/CN=uses");
    const [limited] = certificatesIn(makeLeaf(authority, { subject: "/CN=x", uses: "serverAuth" }).certPem);
    const withUses = (uses: readonly string[]) =>
      faults("etcd-peer", (file) => ({
        certificates: file.certificates.map((certificate) => ({ ...certificate, uses })),
      }));
    expect(limited?.uses).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(withUses(limited?.uses ?? [])).toEqual(["master-1: etcd-peer may not be used for client_auth"]);
    expect(withUses([])).toEqual([]);
    const client = certificatesIn(makeLeaf(authority, { subject: "/CN=x", uses: "clientAuth" }).certPem);
    const clientUses = client.flatMap(({ uses }) => uses);
    expect(
      faults("etcd-server", (file) => ({
        certificates: file.certificates.map((each) => ({ ...each, uses: clientUses })),
      })),
    ).toEqual(["master-1: etcd-server may not be used for server_auth"]);
    // a server that may not be a client serves
    expect(
      faults("etcd-server", (file) => ({
        certificates: file.certificates.map((each) => ({ ...each, uses: limited?.uses ?? [] })),
      })),
    ).toEqual([]);
  });

  test("a trust file has expired when all have that the cluster hangs on, whatever somebody else's there does; a leaf by itself, whatever stands behind it", () => {
    const [foreign] = certificatesIn(makeAuthority("/CN=elsewhere").certPem);
    const [later] = certificatesIn(other.authorities.etcd);
    const beside = (more: typeof foreign) => (file: FoundFile) => ({
      certificates: [...ending(file).certificates, ...(more === undefined ? [] : [more])],
    });
    expect(faults("etcd-ca", beside(foreign))).toEqual(["master-1: etcd-ca expired on 2026-11-20"]);
    expect(faults("etcd-ca", beside(later))).toEqual([]);
    expect(faults("etcd-peer", beside(later))).toEqual(["master-1: etcd-peer expired on 2026-11-20"]);
    expect(
      faults("etcd-peer", (file) => ({ certificates: [...file.certificates, ...ending(file).certificates] })),
    ).toEqual([]);
  });

  test("a file that nothing is known of is missing", () => {
    const [first, ...others] = found.masters;
    const without = (id: string) => {
      const files = Object.entries(first?.files ?? {}).filter(([each]) => each !== id);
      const bare = first && { ...first, files: Object.fromEntries(files) };
      return bare && certificateFaults(bare, [bare, ...others], ackLayout, end);
    };
    expect(without("etcd-ca")).toEqual(["master-1: etcd-ca is missing"]);
    expect(without("etcd-server-key")).toEqual([
      "master-1: etcd-server does not belong to its key",
      "master-1: etcd-server-key is missing",
    ]);
  });

  test("a leaf that its own master refuses too, which is told as the leaf's; of a server's its gateway is a client", () => {
    const leafOf = (id: "etcd-server" | "etcd-peer") => () => ({
      certificates: certificatesIn(other.leaves["master-1"]?.[id].certPem ?? ""),
    });
    const all = "master-1, master-2, master-3";
    expect(faults("etcd-peer", leafOf("etcd-peer"))).toEqual([
      "master-1: etcd-peer does not belong to its key",
      `master-1: etcd-peer is not accepted by etcd-peer-ca of ${all}`,
    ]);
    expect(faults("etcd-server", leafOf("etcd-server"))).toEqual([
      "master-1: etcd-server does not belong to its key",
      "master-1: etcd-server is not accepted by etcd-ca of master-1",
      `master-1: etcd-server is not accepted by apiserver-etcd-ca of ${all}`,
    ]);
  });

  test("a leaf that holds no certificate", () => {
    expect(faults("etcd-peer", () => ({ certificates: [] }))).toEqual([
      "master-1: etcd-peer holds no certificate",
    ]);
  });

  test("a master with another set: neither side accepts the other", () => {
    const masters = [masterWith("master-1", diskOf(other, "master-1")), ...found.masters.slice(1)];
    const [first] = masters;
    expect(first && certificateFaults(first, masters, ackLayout, 0)).toEqual([
      "master-1: etcd-ca does not accept apiserver-etcd-client of master-2, master-3",
      "master-1: etcd-peer-ca does not accept etcd-peer of master-2, master-3",
      "master-1: apiserver-etcd-ca does not accept etcd-server of master-2, master-3",
      "master-1: etcd-server is not accepted by apiserver-etcd-ca of master-2, master-3",
      "master-1: etcd-peer is not accepted by etcd-peer-ca of master-2, master-3",
      "master-1: apiserver-etcd-client is not accepted by etcd-ca of master-2, master-3",
    ]);
  });
});

test("an API server that is not ready: certificates of its own that have expired", () => {
  const certificates = certificatesIn(
    makeLeaf(makeAuthority("/CN=kubernetes"), { subject: "/CN=kube-apiserver" }).certPem,
  ).map((leaf) => ({
    ...leaf,
    notAfter: end,
  }));
  const file = {
    isPresent: true,
    ownerAndMode: "root:root 644",
    isReadable: true,
    publicKey: "-",
    path: "",
    realPath: "",
    certificates,
  };
  const [first] = changed(found, "master-1", () => ({
    isApiReady: false,
    files: {
      apiserver: file,
      "scheduler.conf": file,
      "apiserver-kubelet-client": file,
      "front-proxy-ca": file,
    },
  })).masters;
  expect(first && apiFaults(first, ackKubernetes, end)).toEqual([
    "master-1: apiserver expired on 2026-11-20",
  ]);
  expect(first && apiFaults(first, ackKubernetes, end - 1)).toEqual([]);
  // or of its clients, and whatever stands behind what it serves
  const chain = { ...file, certificates: [...certificates, ...certificatesIn(pems.authorities.etcd)] };
  const files = { apiserver: chain, "cluster-ca": file };
  expect(first && apiFaults({ ...first, files }, ackKubernetes, end)).toEqual([
    "master-1: cluster-ca expired on 2026-11-20",
    "master-1: apiserver expired on 2026-11-20",
  ]);
  expect(first && apiFaults({ ...first, isApiReady: true }, ackKubernetes, end)).toEqual([]);
});
