import { readFileSync } from "node:fs";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { parseSurvey } from "../../components/model/read-survey.ts";

/** Reads a survey from standard input with the model's own parser and prints what survey.bats compares. */
const found = parseSurvey("master-1", readFileSync(0, "utf8"), ackLayout, 0);
const commonName = (names: readonly string[] | undefined) => names?.find((name) => name.startsWith("CN="));
const { etcd, "kube-apiserver": api } = found.processes;
const server = found.files["etcd-server"];
const key = found.files["etcd-server-key"];
const flags = [...(etcd?.flags ?? []), ...(api?.flags ?? [])].filter((flag) =>
  /^--(?:trusted-ca-file|etcd-cafile)=/.test(flag),
);
const state = (isStale: boolean | undefined) =>
  isStale === undefined ? "absent" : isStale ? "stale" : "fresh";

process.stdout.write(
  [
    `etcd ${found.etcd}, leader ${found.isLeader}, api ${found.isApiReady}, cluster ${found.clusterId}, version ${found.version}, database ${found.databaseBytes}`,
    `processes etcd ${state(etcd?.isStale)}, kube-apiserver ${state(api?.isStale)}`,
    `flags ${flags.join(" ")}`,
    `served ${Object.entries(found.served)
      .map(([port, certificate]) => `${port} ${commonName(certificate.subject)}`)
      .join(", ")}`,
    `receipt ${found.receipt?.owner} ${found.receipt?.rollout} ${found.receipt?.rotation} complete ${found.receipt?.isComplete}`,
    `backups ${found.backups.join(" ")}`,
    `leftovers ${found.leftovers.join(" ")}`,
    `etcd-server ${server?.isPresent ? "present" : "absent"} ${server?.ownerAndMode.replace(/^UNKNOWN:UNKNOWN/, "4242:4243-less")} ${commonName(server?.certificates[0]?.subject)}`,
    `etcd-server-key ${key?.ownerAndMode.split(" ")[1]} matches its certificate ${key?.publicKey === server?.certificates[0]?.publicKey}`,
    `recorded ${found.recordedAt}, lock ${found.lock}, at work ${found.work?.phase} ${found.work?.attempt}`,
    "",
  ].join("\n"),
);
