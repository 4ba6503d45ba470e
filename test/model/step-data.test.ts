import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { withPaths } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { readsOnly, renderStepData, type StepData } from "../../components/model/step-data.ts";
import { specs } from "./cluster.ts";

const [master] = specs;
const data: StepData = {
  ...readsOnly,
  phase: "trust",
  master: master ?? { name: "", address: "", etcdName: "" },
  memberAddresses: ["10.77.0.11", "10.77.0.12"],
  layout: "ack",
  rows: ackLayout,
  contents: { "etcd-ca": "line 1\nit's line 2\n" },
  owner: "etcd-rotation/test",
  takeOver: "",
  clusterId: "148",
  rollout: 5,
  attempt: "a5",
  rotation: "2026-12",
  authorities: ["aa", "bb"],
  restarts: ["etcd", "kube-apiserver"],
  out: ["etcd@10.77.0.12"],
  takesSnapshot: true,
  restore: 0,
  isOutageAllowed: false,
  backupFolder: "/var/lib/etcd rotation/backups",
  backupsToKeep: 3,
  drainSeconds: 2,
  pauseSeconds: 10,
  gateSeconds: 300,
};

/** The value of each expression in a bash that has read the data. */
function inBash(...expressions: string[]): string[] {
  return inBashOf(data, expressions);
}

function inBashOf(of: StepData, expressions: readonly string[]): string[] {
  const script = `set -eu\n${renderStepData(of)}${expressions.map((each) => `printf '%s\\0' "${each}"\n`).join("")}`;
  return execFileSync("bash", ["-s"], { input: script, encoding: "utf8" }).split("\0").slice(0, -1);
}

describe("what a script is told", () => {
  test("are these variables", () => {
    const names = renderStepData({ ...data, contents: {} })
      .trim()
      .split("\n")
      .map((line) => line.replace(/=.*$/, ""));
    expect(names.join(" ")).toBe(
      "PHASE MASTER ADDRESS MEMBER_ADDRESSES HEIR_ADDRESSES OWNER TAKE_OVER CLAIM CLUSTER_ID ROLLOUT ATTEMPT ROTATION AUTHORITIES JOINING PHASE_COMPONENTS OUT_COMPONENTS HELD TAKE_SNAPSHOT TELL_REACH ALLOW_OUTAGE " +
        "RENEW_GROUPS SIGN_AUTHORITIES RENEW_PURPOSE KEEP_KEYS CROSS_ROLE CROSS_KEY CROSS_SIGNER CROSS_WANTED VALIDITY_SECONDS COMPONENTS " +
        "STATE_DIR SCRATCH_DIR BACKUP_DIR KEEP RESTORE DRAIN_SECONDS PAUSE_SECONDS GATE_SECONDS HEALTH_SECONDS CLOCK_SECONDS ETCD_UNIT ETCD_MANIFEST API_MANIFEST KUBELET_UNIT ETCD_CLIENT_PORT ETCD_PEER_PORT API_PORT KUBELET_PORT " +
        "API_CA API_CLIENT_CERT API_CLIENT_KEY ADMIN_CONF SERVER_CA SERVER_CERT PEER_CA PEER_CERT PEER_KEY CLIENT_CA CLIENT_CERT CLIENT_KEY LISTINGS " +
        "FILE_ID FILE_PATH FILE_KIND FILE_GROUP FILE_READER FILE_RESTARTS FILE_SIGNER FILE_FLAG FILE_FIELD FILE_LATER FILE_OWNER FILE_MODE FILE_SAVED FILE_CONTENT",
    );
  });

  test("are this step's facts", () => {
    const facts = [
      "$PHASE",
      "$MASTER",
      "$ADDRESS",
      "${MEMBER_ADDRESSES[1]}",
      "${#HEIR_ADDRESSES[@]}",
      "$ROLLOUT",
      "$AUTHORITIES",
      "$TAKE_SNAPSHOT",
      "$ALLOW_OUTAGE",
      "$BACKUP_DIR",
    ];
    expect(inBash(...facts)).toEqual([
      "trust",
      "master-1",
      "10.77.0.11",
      "10.77.0.12",
      "0",
      "5",
      "aa,bb",
      "1",
      "0",
      "/var/lib/etcd rotation/backups",
    ]);
  });

  test("are the layout's rows, one column each, with this master's paths", () => {
    const lengths = ["PATH", "KIND", "GROUP", "RESTARTS", "SIGNER", "FLAG", "OWNER", "MODE", "CONTENT"].map(
      (column) => `\${#FILE_${column}[@]}`,
    );
    expect(inBash(...lengths)).toEqual(["11", "11", "11", "11", "11", "11", "11", "11", "11"]);
    expect(
      inBash("${FILE_PATH[5]}", "$PEER_CERT", "${FILE_CONTENT[0]}", "${FILE_CONTENT[1]}", "${FILE_MODE[6]}"),
    ).toEqual([
      "/var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "/var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "line 1\nit's line 2\n",
      "",
      "600",
    ]);
  });

  test("are what a step may do and leave, each by its own name", () => {
    const flags = ["JOINING", "HELD", "TAKE_SNAPSHOT", "TELL_REACH", "ALLOW_OUTAGE", "KEEP_KEYS"];
    const values = (of: StepData) =>
      inBashOf(of, [
        ...flags.map((name) => `$${name}`),
        "${RENEW_GROUPS[*]}",
        "${SIGN_AUTHORITIES[*]}",
        "$RENEW_PURPOSE",
      ]);
    const none = { ...data, takesSnapshot: false };
    expect(values(none)).toEqual(["0", "0", "0", "0", "0", "0", "", "", ""]);
    const renewal = {
      groups: ["apiserver", "admin.conf"],
      authorities: ["cluster-ca"],
      purpose: "ab/1",
      keepKeys: false,
      validitySeconds: 9,
    };
    const alone: readonly [string, Partial<StepData>][] = [
      ["JOINING", { isJoining: true }],
      ["HELD", { isHeld: true }],
      ["TAKE_SNAPSHOT", { takesSnapshot: true }],
      ["TELL_REACH", { tellsReach: true }],
      ["ALLOW_OUTAGE", { isOutageAllowed: true }],
      ["KEEP_KEYS", { renewal: { ...readsOnly.renewal, keepKeys: true } }],
    ];
    for (const [name, change] of alone) {
      expect(values({ ...none, ...change }).slice(0, flags.length)).toEqual(
        flags.map((each) => (each === name ? "1" : "0")),
      );
    }
    expect(values({ ...none, renewal }).slice(-3)).toEqual(["apiserver admin.conf", "cluster-ca", "ab/1"]);
  });

  test("are who it works for, and for how long", () => {
    const of = {
      ...data,
      takeOver: "p/old",
      claim: "p/s me",
      restore: 4,
      heirAddresses: ["10.77.0.12", "10.77.0.13"],
    };
    const names =
      "OWNER TAKE_OVER CLAIM CLUSTER_ID ATTEMPT ROTATION RESTORE KEEP DRAIN_SECONDS PAUSE_SECONDS GATE_SECONDS HEALTH_SECONDS CLOCK_SECONDS";
    expect(
      inBashOf(of, [
        ...names.split(" ").map((name) => `$${name}`),
        "${HEIR_ADDRESSES[*]}",
        "${OUT_COMPONENTS[*]}",
      ]),
    ).toEqual(
      [
        "etcd-rotation/test",
        "p/old",
        "p/s me",
        "148",
        "a5",
        "2026-12",
        "4",
        "3",
        "2",
        "10",
        "300",
        "15",
        "45",
      ].concat("10.77.0.12 10.77.0.13", "etcd@10.77.0.12"),
    );
  });

  test("are of each file who reads it and where, who signs it, and whether a backup has its content", () => {
    const rows = [...ackLayout, ...ackKubernetes].filter(({ id }) =>
      ["etcd-ca", "apiserver-etcd-ca", "cluster-ca", "kubelet-ca"].includes(id),
    );
    const columns = ["READER", "RESTARTS", "SIGNER", "FLAG", "FIELD", "LATER", "OWNER", "SAVED", "KIND"].map(
      (column) => `\${FILE_${column}[*]/#/.}`,
    );
    expect(rows.map(({ id }) => id)).toEqual(["etcd-ca", "apiserver-etcd-ca", "cluster-ca", "kubelet-ca"]);
    expect(inBashOf({ ...data, rows, saved: ["apiserver-etcd-ca"] }, columns)).toEqual([
      ".etcd . . .",
      ".etcd .kube-apiserver .kubelet kube-controller-manager .kubelet kube-controller-manager",
      ". . .cluster-ca .cluster-ca",
      ". . .kube-apiserver --client-ca-file .kubelet --client-ca-file",
      ". . . .clientCAFile",
      ". . . .1",
      ".etcd:etcd .root:root .root:root .root:root",
      ". .1 . .",
      ".trust .trust .authority .authority",
    ]);
  });

  test("are the paths of this cluster to ask kube-apiserver by, else the layout's", () => {
    const paths = ["$API_CA", "$API_CLIENT_CERT", "$API_CLIENT_KEY"];
    expect(inBash(...paths)).toEqual([
      "/etc/kubernetes/pki/apiserver-ca.crt",
      "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
      "/etc/kubernetes/pki/apiserver-kubelet-client.key",
    ]);
    const own = {
      "cluster-ca": "/x/ca.crt",
      "apiserver-kubelet-client": "/x/client.crt",
      "apiserver-kubelet-client-key": "/x/client.key",
    };
    expect(inBashOf({ ...data, rows: withPaths(ackKubernetes, own) }, paths)).toEqual(Object.values(own));
    expect(inBashOf({ ...data, rows: [] }, ["$SERVER_CA", "$PEER_KEY"])).toEqual(["", ""]);
  });

  test("are etcd's files that are served and asked for, and an administrator's kubeconfig", () => {
    const rows = [...ackLayout, ...withPaths(ackKubernetes, { "admin.conf": "/x/admin.conf" })];
    const names = ["$SERVER_CA", "$SERVER_CERT", "$PEER_CA", "$PEER_CERT", "$PEER_KEY"];
    expect(inBashOf({ ...data, rows }, [...names, "$ADMIN_CONF"])).toEqual([
      "/var/lib/etcd/cert/ca.pem",
      "/var/lib/etcd/cert/etcd-server.pem",
      "/var/lib/etcd/cert/peer-ca.pem",
      "/var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "/var/lib/etcd/cert/10.77.0.11-name-1-key.pem",
      "/x/admin.conf",
    ]);
    expect(inBash("$ADMIN_CONF")).toEqual(["/etc/kubernetes/admin.conf"]);
  });

  test("are the cross-certificates that it signs, each with its own key", () => {
    const cross = (["etcd", "etcd-peer"] as const).map((role) => ({
      ...{ role, keyPath: `/${role}/key`, signerPem: `${role} signer`, wantedPem: `${role} wanted` },
    }));
    const columns = ["ROLE", "KEY", "SIGNER", "WANTED"].map((column) => `\${CROSS_${column}[*]/#/.}`);
    expect(inBashOf({ ...data, cross }, [...columns, "$PHASE_COMPONENTS"])).toEqual([
      ".etcd .etcd-peer",
      "./etcd/key ./etcd-peer/key",
      ".etcd signer .etcd-peer signer",
      ".etcd wanted .etcd-peer wanted",
      "etcd kube-apiserver",
    ]);
  });

  test("are kube-apiserver's own files to talk to etcd with", () => {
    expect(inBash("$CLIENT_CA", "$CLIENT_CERT", "$CLIENT_KEY")).toEqual([
      "/etc/kubernetes/pki/etcd/ca.pem",
      "/etc/kubernetes/pki/etcd/etcd-client.pem",
      "/etc/kubernetes/pki/etcd/etcd-client-key.pem",
    ]);
  });
});
