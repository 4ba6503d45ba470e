import { expect, test } from "vitest";
import { layouts } from "../../components/model/layout/tables.ts";
import { tablesOf } from "../../components/model/settings.ts";

test("without extra files the tables are the layout's, with the cluster's paths", () => {
  const { rows, kubernetes } = tablesOf({ kind: "kubeadm", paths: { "cluster-ca": "/x/ca.crt" } });
  expect(rows).toEqual(layouts.kubeadm.rows);
  expect(kubernetes.map(({ path }) => path)).toEqual([
    "/x/ca.crt",
    ...layouts.kubeadm.kubernetes.slice(1).map(({ path }) => path),
  ]);
});

test("an extra file is a row like any other, which no record of a process covers yet", () => {
  const common = { owner: "root:root", optional: true, isLater: true };
  const { kubernetes } = tablesOf({
    kind: "ack",
    paths: {},
    extra: [
      {
        kind: "pair",
        name: "audit",
        certificate: "/a.crt",
        key: "/a.key",
        authority: "front-proxy-ca",
        restarts: ["kube-apiserver"],
      },
      { kind: "kubeconfig", name: "mine", path: "/mine.conf", restarts: [] },
    ],
  });
  expect(kubernetes.slice(layouts.ack.kubernetes.length)).toEqual([
    {
      id: "audit",
      group: "audit",
      kind: "cert",
      path: "/a.crt",
      signer: "front-proxy-ca",
      mode: "644",
      restarts: ["kube-apiserver"],
      ...common,
    },
    {
      id: "audit-key",
      group: "audit",
      kind: "key",
      path: "/a.key",
      signer: "front-proxy-ca",
      mode: "600",
      restarts: ["kube-apiserver"],
      ...common,
    },
    {
      id: "mine",
      group: "mine",
      kind: "kubeconfig",
      path: "/mine.conf",
      signer: "cluster-ca",
      mode: "600",
      restarts: [],
      ...common,
    },
  ]);
});
