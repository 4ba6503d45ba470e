import { describe, expect, test } from "vitest";
import { leafProfiles, servedLeaves } from "../../components/model/layout/leaves.ts";
import {
  authorities,
  components,
  fillIn,
  leaves,
  pathOn,
  type Row,
  startReaders,
  withPaths,
} from "../../components/model/layout/rows.ts";
import { ackLayout, layoutKinds, layouts } from "../../components/model/layout/tables.ts";

const master = { etcdName: "10.77.0.11-name-1", address: "10.77.0.11" };
const brief = (row: Row) =>
  `${row.id} ${row.kind} ${row.authority} ${row.reader} ${row.reload} ${row.owner} ${row.mode} ${pathOn(master, row)}`;

describe("the layout of an ACK master", () => {
  test("is these files", () => {
    expect(ackLayout.map(brief)).toEqual([
      "etcd-ca trust etcd etcd restart etcd:etcd 644 /var/lib/etcd/cert/ca.pem",
      "etcd-peer-ca trust etcd-peer etcd restart etcd:etcd 644 /var/lib/etcd/cert/peer-ca.pem",
      "apiserver-etcd-ca trust etcd kube-apiserver restart root:root 644 /etc/kubernetes/pki/etcd/ca.pem",
      "etcd-server cert etcd etcd handshake etcd:etcd 644 /var/lib/etcd/cert/etcd-server.pem",
      "etcd-server-key key etcd etcd handshake etcd:etcd 600 /var/lib/etcd/cert/etcd-server-key.pem",
      "etcd-peer cert etcd-peer etcd handshake etcd:etcd 644 /var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "etcd-peer-key key etcd-peer etcd handshake etcd:etcd 600 /var/lib/etcd/cert/10.77.0.11-name-1-key.pem",
      "etcd-client cert etcd none handshake etcd:etcd 644 /var/lib/etcd/cert/etcd-client.pem",
      "etcd-client-key key etcd none handshake etcd:etcd 600 /var/lib/etcd/cert/etcd-client-key.pem",
      "apiserver-etcd-client cert etcd kube-apiserver handshake root:root 644 /etc/kubernetes/pki/etcd/etcd-client.pem",
      "apiserver-etcd-client-key key etcd kube-apiserver handshake root:root 600 /etc/kubernetes/pki/etcd/etcd-client-key.pem",
    ]);
  });

  test("names every path by a flag, but for files that no process reads", () => {
    expect(Object.fromEntries(ackLayout.map((row) => [row.id, row.flag]))).toEqual({
      "etcd-ca": "--trusted-ca-file",
      "etcd-peer-ca": "--peer-trusted-ca-file",
      "apiserver-etcd-ca": "--etcd-cafile",
      "etcd-server": "--cert-file",
      "etcd-server-key": "--key-file",
      "etcd-peer": "--peer-cert-file",
      "etcd-peer-key": "--peer-key-file",
      "etcd-client": undefined,
      "etcd-client-key": undefined,
      "apiserver-etcd-client": "--etcd-certfile",
      "apiserver-etcd-client-key": "--etcd-keyfile",
    });
  });

  test("has no two rows of one id, path or kind within a group", () => {
    for (const key of [
      (row: Row) => row.id,
      (row: Row) => row.path,
      (row: Row) => `${row.group} ${row.kind}`,
    ]) {
      expect(new Set(ackLayout.map(key)).size).toBe(ackLayout.length);
    }
  });

  test("pairs each certificate with its key in one group, and trust files with nothing", () => {
    const groups = [...new Set(ackLayout.map((row) => row.group))].map((group) =>
      ackLayout
        .filter((row) => row.group === group)
        .map((row) => row.kind)
        .join("+"),
    );
    expect(groups).toEqual(["trust", "trust", "trust", "cert+key", "cert+key", "cert+key", "cert+key"]);
  });

  test("restarts for trust only", () => {
    expect(ackLayout.filter((row) => row.reload === "restart").map((row) => row.kind)).toEqual([
      "trust",
      "trust",
      "trust",
    ]);
  });

  test("has nobody restart for a leaf, and for trust who reads it", () => {
    const readers = ackLayout.flatMap((row) =>
      startReaders(row).map((component) => `${row.id} ${component}`),
    );
    expect(readers).toEqual(["etcd-ca etcd", "etcd-peer-ca etcd", "apiserver-etcd-ca kube-apiserver"]);
  });

  test("lets nobody but the owner read a key", () => {
    expect(ackLayout.filter((row) => row.kind === "key" && row.mode !== "600")).toEqual([]);
  });

  test("checks every leaf against a trust file of the authority that issues it", () => {
    const accepted = Object.fromEntries(
      ackLayout.filter((row) => row.kind === "trust").map((row) => [row.id, row.accepts]),
    );
    expect(accepted).toEqual({
      "etcd-ca": ["etcd-client", "etcd-server"],
      "etcd-peer-ca": ["etcd-peer"],
      "apiserver-etcd-ca": ["etcd-server"],
    });
    for (const row of ackLayout.filter(({ kind }) => kind === "trust")) {
      expect(row.accepts?.map((leaf) => leafProfiles[leaf].authority)).toEqual(
        row.accepts?.map(() => row.authority),
      );
    }
    for (const row of ackLayout.filter(({ leaf }) => leaf !== undefined)) {
      expect(row.leaf === undefined ? undefined : leafProfiles[row.leaf].authority).toBe(row.authority);
    }
  });

  test("asks for these uses", () => {
    expect(leafProfiles).toEqual({
      "etcd-server": {
        authority: "etcd",
        commonName: "etcd-server",
        uses: ["server_auth", "client_auth"],
        sans: "server",
      },
      "etcd-peer": {
        authority: "etcd-peer",
        commonName: "{etcdName}",
        uses: ["server_auth", "client_auth"],
        sans: "server",
      },
      "etcd-client": { authority: "etcd", commonName: "etcd-client", uses: ["client_auth"], sans: "none" },
    });
  });

  test("knows these words, in the order of restarts", () => {
    expect([components, authorities, leaves]).toEqual([
      ["etcd", "kube-apiserver", "kubelet", "kube-controller-manager", "kube-scheduler"],
      ["etcd", "etcd-peer"],
      ["etcd-server", "etcd-peer", "etcd-client"],
    ]);
    expect(servedLeaves).toEqual({ 2379: "etcd-server", 2380: "etcd-peer" });
  });
});

describe("the layout of a kubeadm master", () => {
  const { rows, kubernetes, hasPeerAuthority, surroundings } = layouts.kubeadm;

  test("is these files, one of them in three uses", () => {
    expect(rows.map(brief)).toEqual([
      "etcd-ca trust etcd etcd restart root:root 644 /etc/kubernetes/pki/etcd/ca.crt",
      "etcd-peer-ca trust etcd-peer etcd restart root:root 644 /etc/kubernetes/pki/etcd/ca.crt",
      "apiserver-etcd-ca trust etcd kube-apiserver restart root:root 644 /etc/kubernetes/pki/etcd/ca.crt",
      "etcd-server cert etcd etcd handshake root:root 644 /etc/kubernetes/pki/etcd/server.crt",
      "etcd-server-key key etcd etcd handshake root:root 600 /etc/kubernetes/pki/etcd/server.key",
      "etcd-peer cert etcd-peer etcd handshake root:root 644 /etc/kubernetes/pki/etcd/peer.crt",
      "etcd-peer-key key etcd-peer etcd handshake root:root 600 /etc/kubernetes/pki/etcd/peer.key",
      "apiserver-etcd-client cert etcd kube-apiserver handshake root:root 644 /etc/kubernetes/pki/apiserver-etcd-client.crt",
      "apiserver-etcd-client-key key etcd kube-apiserver handshake root:root 600 /etc/kubernetes/pki/apiserver-etcd-client.key",
      "etcd-healthcheck-client cert etcd none handshake root:root 644 /etc/kubernetes/pki/etcd/healthcheck-client.crt",
      "etcd-healthcheck-client-key key etcd none handshake root:root 600 /etc/kubernetes/pki/etcd/healthcheck-client.key",
    ]);
  });

  test("names the paths by the same flags", () => {
    const flags = (of: readonly Row[]) =>
      Object.fromEntries(of.filter((row) => row.reader !== "none").map((row) => [row.id, row.flag]));
    expect(flags(rows)).toEqual(flags(ackLayout));
  });

  test("has Kubernetes' files where ACK has them, but for the authority, and super-admin.conf", () => {
    const paths = (of: typeof kubernetes) => of.map((row) => `${row.id} ${row.path}`);
    expect(paths(kubernetes).filter((each) => !paths(layouts.ack.kubernetes).includes(each))).toEqual([
      "cluster-ca /etc/kubernetes/pki/ca.crt",
      "cluster-ca-key /etc/kubernetes/pki/ca.key",
      "super-admin.conf /etc/kubernetes/super-admin.conf",
    ]);
  });

  test("has one authority, and etcd in a static pod", () => {
    expect([hasPeerAuthority, surroundings.etcdUnit, surroundings.etcdManifest]).toEqual([
      false,
      "",
      "/etc/kubernetes/manifests/etcd.yaml",
    ]);
  });

  test("accepts the same leaves wherever the one trust file is used, so that its text does not depend on the use", () => {
    const trust = rows.filter(({ kind }) => kind === "trust");
    expect(trust.map(({ accepts }) => accepts)).toEqual(
      trust.map(() => ["etcd-server", "etcd-peer", "etcd-client"]),
    );
    expect(new Set(trust.map(({ path }) => path)).size).toBe(1);
  });
});

test.each(layoutKinds)(
  "%s: each certificate has its key in one group, in one folder, and no key is for others to read",
  (kind) => {
    const { rows, kubernetes } = layouts[kind];
    const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
    for (const row of [...rows, ...kubernetes].filter((each) => each.kind === "cert")) {
      const key = [...rows, ...kubernetes].filter(
        (other) => other.kind === "key" && other.group === row.group,
      );
      expect(key.map((other) => folderOf(other.path))).toEqual([folderOf(row.path)]);
    }
    expect([...rows, ...kubernetes].filter((row) => row.kind.endsWith("key") && row.mode !== "600")).toEqual(
      [],
    );
    expect(new Set([...rows, ...kubernetes].map(({ id }) => id)).size).toBe(rows.length + kubernetes.length);
  },
);

test("withPaths replaces the paths of a cluster and nothing else", () => {
  const rows = withPaths(ackLayout, { "etcd-ca": "/data/{address}/ca.pem" });
  const [first, ...rest] = rows;
  expect(first).toEqual({ ...ackLayout[0], path: "/data/{address}/ca.pem" });
  expect(first === undefined ? undefined : pathOn(master, first)).toBe("/data/10.77.0.11/ca.pem");
  expect(rest).toEqual(ackLayout.slice(1));
});

test("fillIn replaces each of its words wherever it stands", () => {
  expect(fillIn("{etcdName}-{address}-{etcdName}-{other}", master)).toBe(
    "10.77.0.11-name-1-10.77.0.11-10.77.0.11-name-1-{other}",
  );
});
