import type { FoundMaster } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { oneLine } from "./one-line.ts";

/** What components/node/bin/survey.sh prints on such a master; its clock is this machine's. */
export function surveyText(master: FoundMaster): string {
  const files = [...ackLayout, ...ackKubernetes].flatMap((row) => {
    const file = master.files[row.id];
    if (file === undefined) {
      return [];
    }
    const pem = file.certificates.map((certificate) => certificate.pem).join("");
    return [
      `file ${row.id} ${file.ownerAndMode} readable ${file.publicKey} ${file.realPath}`,
      ...(row.kind === "key" ? [] : [`pem ${row.id} ${oneLine(pem)}`]),
    ];
  });
  const processes = Object.entries(master.processes).flatMap(([name, process]) => [
    `process ${name} ${process.isStale ? "stale" : "fresh"} ${process.identity}`,
    `arguments ${name} ${oneLine(process.flags.join("\n"))}`,
  ]);
  return [
    "survey 1",
    `clock ${Math.floor(Date.now() / 1000)}`,
    ...files,
    ...processes,
    `etcd ${master.etcd} ${master.etcdProblem}`,
    ...(master.doesAnswer ? ["answers"] : []),
    `cluster ${master.clusterId}`,
    `version ${master.version}`,
    ...(master.databaseBytes === undefined ? [] : [`database ${master.databaseBytes}`]),
    `kubernetes ${master.kubernetes}`,
    ...(master.isLeader ? ["leader"] : []),
    ...master.members.map((row) => `member ${row}`),
    ...Object.entries(master.served).map(
      ([port, certificate]) => `served ${port} ${oneLine(certificate.pem)}`,
    ),
    ...(master.receipt === undefined ? [] : [`receipt ${oneLine(receiptText(master.receipt))}`]),
    ...(master.recordedAt === undefined ? [] : [`recorded ${master.recordedAt}`]),
    ...(master.lock === undefined ? [] : [`lock ${master.lock}`]),
    ...(master.claim === undefined ? [] : [`claim ${master.claimedAt} ${master.claim}`]),
    ...master.backups.map((number) => `backup ${number}`),
    ...master.earlier.map(({ pem }) => `earlier ${oneLine(pem)}`),
    `api ${master.isApiReady ? "ready" : "not-ready"}`,
    "end",
    "",
  ].join("\n");
}

function receiptText({ isComplete, renewed, ...rest }: NonNullable<FoundMaster["receipt"]>): string {
  const pairs = { version: 1, ...rest, complete: isComplete ? 1 : 0 };
  return [
    ...Object.entries(pairs),
    ...Object.entries(renewed).map(([group, value]) => [`renewed.${group}`, value]),
  ]
    .map(([key, value]) => `${key}=${value}`)
    .join("\n");
}
