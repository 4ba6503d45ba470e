import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { ackLayout } from "../../components/model/layout.ts";
import { noRenewal, renderStepData, type StepData } from "../../components/model/step-data.ts";
import { specs } from "./cluster.ts";

const [master] = specs;
const data: StepData = {
  phase: "trust",
  master: master ?? { name: "", address: "", etcdName: "" },
  memberAddresses: ["10.77.0.11", "10.77.0.12"],
  heirAddresses: [],
  layout: "ack",
  rows: ackLayout,
  contents: { "etcd-ca": "line 1\nit's line 2\n" },
  owner: "etcd-rotation/test",
  takeOver: "",
  claim: "",
  clusterId: "148",
  rollout: 5,
  attempt: "a5",
  rotation: "2026-12",
  authorities: ["aa", "bb"],
  mode: "rolling",
  isHeld: false,
  renewal: noRenewal,
  takesSnapshot: true,
  tellsReach: false,
  restore: 0,
  saved: [],
  isOutageAllowed: false,
  backupFolder: "/var/lib/etcd rotation/backups",
  backupsToKeep: 3,
  drainSeconds: 2,
  pauseSeconds: 10,
  gateSeconds: 300,
};

/** The value of each expression in a bash that has read the data. */
function inBash(...expressions: string[]): string[] {
  const script = `set -eu\n${renderStepData(data)}${expressions.map((each) => `printf '%s\\0' "${each}"\n`).join("")}`;
  return execFileSync("bash", ["-s"], { input: script, encoding: "utf8" }).split("\0").slice(0, -1);
}

describe("what a script is told", () => {
  test("are these variables", () => {
    const names = renderStepData({ ...data, contents: {} })
      .trim()
      .split("\n")
      .map((line) => line.replace(/=.*$/, ""));
    expect(names.join(" ")).toBe(
      "PHASE MASTER ADDRESS MEMBER_ADDRESSES HEIR_ADDRESSES OWNER TAKE_OVER CLAIM CLUSTER_ID ROLLOUT ATTEMPT ROTATION AUTHORITIES MODE HELD TAKE_SNAPSHOT TELL_REACH ALLOW_OUTAGE " +
        "RENEW_GROUPS SIGN_AUTHORITIES RENEW_PURPOSE KEEP_KEYS VALIDITY_SECONDS COMPONENTS " +
        "STATE_DIR SCRATCH_DIR BACKUP_DIR KEEP RESTORE DRAIN_SECONDS PAUSE_SECONDS GATE_SECONDS HEALTH_SECONDS CLOCK_SECONDS ETCD_UNIT ETCD_MANIFEST KUBELET_UNIT ETCD_CLIENT_PORT ETCD_PEER_PORT API_PORT KUBELET_PORT " +
        "API_CA API_CLIENT_CERT API_CLIENT_KEY SERVER_CA SERVER_CERT PEER_CA PEER_CERT PEER_KEY CLIENT_CA CLIENT_CERT CLIENT_KEY LISTINGS " +
        "FILE_PATH FILE_KIND FILE_GROUP FILE_READER FILE_RESTARTS FILE_SIGNER FILE_FLAG FILE_OWNER FILE_MODE FILE_SAVED FILE_CONTENT",
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
    expect(inBash(...facts)).toEqual(["trust", "master-1", "10.77.0.11", "10.77.0.12", "0", "5", "aa,bb", "1", "0", "/var/lib/etcd rotation/backups"]);
  });

  test("are the layout's rows, one column each, with this master's paths", () => {
    const lengths = ["PATH", "KIND", "GROUP", "RESTARTS", "SIGNER", "FLAG", "OWNER", "MODE", "CONTENT"].map((column) => `\${#FILE_${column}[@]}`);
    expect(inBash(...lengths)).toEqual(["11", "11", "11", "11", "11", "11", "11", "11", "11"]);
    expect(inBash("${FILE_PATH[5]}", "$PEER_CERT", "${FILE_CONTENT[0]}", "${FILE_CONTENT[1]}", "${FILE_MODE[6]}")).toEqual([
      "/var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "/var/lib/etcd/cert/10.77.0.11-name-1.pem",
      "line 1\nit's line 2\n",
      "",
      "600",
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
