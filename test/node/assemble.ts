import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type KubernetesRow, pathOn, type Row } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { readsOnly, renderStepData, type StepData } from "../../components/model/step-data.ts";
import {
  claimScript,
  stepFunctions,
  stepScript,
  surveyScript,
  unpacking,
} from "../../components/node/scripts.ts";

/**
 * Writes what the bats tests put together, into the folder that is named as argument: the step, its functions and the survey
 * without data, and data blocks for a master under `@ROOT@`. The tests append assignments of their own.
 */
const folder = process.argv[2];
if (folder === undefined) {
  throw new RangeError("Cannot assemble the node scripts: no folder; run: node test/node/assemble.ts FOLDER");
}

const mark = "@DATA@\n";
const master = { name: "master-1", etcdName: "10.9.0.1-name-1", address: "10.9.0.1" };
// numbers: the machine that runs the tests has no user etcd
const rows: readonly Row[] = ackLayout.map((row) => ({
  ...row,
  path: `@ROOT@${row.path}`,
  owner: row.owner === "etcd:etcd" ? "4242:4243" : row.owner,
}));
// the kill tests run hundreds of times: a trust file and a pair
const few = new Set(["etcd-ca", "etcd-server", "etcd-server-key"]);

const kubernetes: readonly (Row | KubernetesRow)[] = [
  ...rows,
  ...ackKubernetes.map((row) => ({ ...row, path: `@ROOT@${row.path}` })),
];

function data(of: readonly (Row | KubernetesRow)[]): string {
  const plain: StepData = {
    ...readsOnly,
    phase: "trust",
    master,
    memberAddresses: [master.address],
    layout: "ack",
    rows: of,
    owner: "etcd-rotation/production",
    takeOver: "",
    clusterId: "4242",
    rollout: 7,
    attempt: "attempt-7",
    // what bash would read differently, were it not quoted
    rotation: `it's "2026" $HOME \`id\` \\ *`,
    authorities: ["aa", "bb"],
    restarts: ["etcd", "kube-apiserver"],
    tellsReach: true,
    restore: 0,
    isOutageAllowed: true,
    backupFolder: "@ROOT@/var/lib/etcd-rotation/backup",
    backupsToKeep: 3,
    drainSeconds: 0,
    pauseSeconds: 0,
    gateSeconds: 1,
  };
  return renderStepData(plain);
}

function write(name: string, text: string): void {
  writeFileSync(join(folder ?? "", name), text);
}

write(
  "step.sh",
  stepScript(mark).replace(unpacking(mark), () => mark),
);
write("functions", stepFunctions);
write("survey.sh", surveyScript(mark));
write("claim.sh", claimScript(mark));
write("data", data(rows));
write("data-kubernetes", data(kubernetes));
write("data-few", data(rows.filter((row) => few.has(row.id))));
for (const [name, of] of [
  ["rows", rows],
  ["rows-kubernetes", kubernetes],
  ["rows-few", rows.filter((row) => few.has(row.id))],
] as const) {
  write(
    name,
    of
      .map((row, index) => `${row.id} ${index} ${row.kind} ${row.owner} ${row.mode} ${pathOn(master, row)}\n`)
      .join(""),
  );
}
