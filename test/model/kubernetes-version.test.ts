import { describe, expect, test } from "vitest";
import { asReadBy, minorOf } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout, layouts } from "../../components/model/layout/tables.ts";

/** What kube-apiserver of that version reads only when it starts, keys and etcd's files left out. */
function readOnce(version: string, table = ackKubernetes): string[] {
  return table.flatMap((row) =>
    row.kind.endsWith("key") || !asReadBy(row, version).restarts.includes("kube-apiserver") ? [] : [row.id],
  );
}

describe("kube-apiserver reads only when it starts", () => {
  test.each([
    [
      "v1.15.12",
      ["cluster-ca", "front-proxy-ca", "apiserver", "apiserver-kubelet-client", "front-proxy-client"],
    ],
    [
      "v1.16.9-aliyun.1",
      ["cluster-ca", "front-proxy-ca", "apiserver", "apiserver-kubelet-client", "front-proxy-client"],
    ],
    ["v1.17.0", ["cluster-ca", "front-proxy-ca", "apiserver-kubelet-client", "front-proxy-client"]],
    ["v1.18.8-aliyun.1", ["cluster-ca", "front-proxy-ca", "front-proxy-client"]],
    ["v1.19.0", []],
    ["v1.30.14", []],
    ["", []],
    ["latest", []],
  ])("in version %s", (version, expected) => {
    expect(readOnce(version)).toEqual(expected);
    expect(readOnce(version, layouts.kubeadm.kubernetes)).toEqual(expected);
  });

  test("a key as it reads its certificate", () => {
    const keys = ackKubernetes.filter(({ kind }) => kind === "key");
    for (const key of keys) {
      const [certificate] = ackKubernetes.filter(({ group, kind }) => group === key.group && kind === "cert");
      expect([key.id, key.reloadsSince]).toEqual([key.id, certificate?.reloadsSince]);
    }
  });

  test("in addition to what others read only then, and etcd's files are as ever", () => {
    const [authority] = ackKubernetes;
    expect(authority && asReadBy(authority, "v1.18.8").restarts).toEqual([
      "kube-apiserver",
      "kubelet",
      "kube-controller-manager",
    ]);
    for (const row of ackLayout) {
      expect(asReadBy(row, "v1.15.12")).toBe(row);
    }
  });
});

test("a minor version is told from whatever a vendor makes of it", () => {
  expect(["v1.9.1", "v1.18.8-aliyun.1", "v1.30", "v1.x", "1.30.1", "v2.1.0", ""].map(minorOf)).toEqual([
    9,
    18,
    30,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
