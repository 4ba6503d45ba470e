import { existsSync, readFileSync } from "node:fs";
import { type ClientFiles, etcdFolder, labLayouts } from "./layouts.ts";
import { runOn } from "./master.ts";
import type { Lab, LabMaster } from "./topology.ts";

/** What one master looks like from outside. */
export interface MasterStatus {
  readonly name: string;
  readonly address: string;
  /** Whether it answers over SSH. */
  readonly reachable: boolean;
  /** Whether its etcd member commits a proposal. */
  readonly etcd: "healthy" | "unhealthy" | "unknown";
  readonly leader: boolean;
  /** Whether its API server answers /readyz with ok. */
  readonly api: "ready" | "not ready" | "unknown";
  /** The end of the certificate that etcd serves, in ISO form; empty when it serves none. */
  readonly notAfter: string;
  /** Memory in use by all processes of the master, without the page cache; 0 when unknown. */
  readonly memoryMiB: number;
}

const questionFor = ({ ca, cert, key }: ClientFiles, address: string) => `
PATH=$PATH:${etcdFolder}
export ETCDCTL_API=3
e() { timeout 5 etcdctl --endpoints=https://${address}:2379 --dial-timeout=2s --command-timeout=3s --cacert=${ca} --cert=${cert} --key=${key} "$@" 2>/dev/null; }
e endpoint health >/dev/null && printf 'etcd=healthy\\n' || printf 'etcd=unhealthy\\n'
e endpoint status | awk -F', ' '{ print "leader=" $5 }'
[ "$(curl --silent --insecure --max-time 3 https://127.0.0.1:6443/readyz)" = ok ] && printf 'api=ready\\n' || printf 'api=not ready\\n'
timeout 3 openssl s_client -connect ${address}:2379 </dev/null 2>/dev/null | openssl x509 -noout -enddate 2>/dev/null
exit 0
`;

/** Asks all masters at once. */
export function readStatus(lab: Lab): Promise<MasterStatus[]> {
  return Promise.all(lab.masters.map((master) => readMaster(lab, master)));
}

/** Whether every member is healthy and every API server ready. */
export function isHealthy(masters: readonly MasterStatus[]): boolean {
  return masters.every(({ etcd, api }) => etcd === "healthy" && api === "ready");
}

/** The status as a table for people. */
export function formatStatus(lab: Lab, masters: readonly MasterStatus[]): string {
  const rows = [
    ["MASTER", "ADDRESS", "ETCD", "LEADER", "API", "ETCD CERTIFICATE ENDS", "MEMORY"],
    ...masters.map((master) => [
      master.name,
      master.address,
      master.reachable ? master.etcd : "unreachable",
      master.leader ? "leader" : "",
      master.api,
      master.notAfter || "-",
      `${master.memoryMiB} MiB`,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const { loadBalancer, namespace, folder } = lab;
  return `lab ${lab.name}: load balancer ${loadBalancer.host}:${loadBalancer.port} in network namespace ${namespace}, files in ${folder}\n${lines.join("\n")}`;
}

async function readMaster(lab: Lab, master: LabMaster): Promise<MasterStatus> {
  const { code, stdout } = await runOn(lab, master, "bash -s", {
    stdin: questionFor(labLayouts[lab.options.layout].clientFiles, master.address),
    timeoutSeconds: 25,
  });
  const answers = new Map(
    stdout.split("\n").map((line) => [line.split("=")[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );
  const etcd = answers.get("etcd");
  const api = answers.get("api");
  const end = answers.get("notAfter");
  return {
    name: master.name,
    address: master.address,
    reachable: code === 0,
    etcd: etcd === "healthy" || etcd === "unhealthy" ? etcd : "unknown",
    leader: answers.get("leader") === "true",
    api: api === "ready" || api === "not ready" ? api : "unknown",
    notAfter: end === undefined ? "" : new Date(end).toISOString().replace(".000", ""),
    memoryMiB: readMemoryMiB(lab, master),
  };
}

function readMemoryMiB(lab: Lab, master: LabMaster): number {
  const first = `/sys/fs/cgroup/memory/etcd-lab.${lab.name}.${master.name}/memory.stat`;
  const file = existsSync(first) ? first : cgroupFile(master.pid, "memory.stat");
  if (file === undefined || !existsSync(file)) {
    return 0;
  }
  const bytes = /^(?:total_rss|anon) (\d+)$/m.exec(readFileSync(file, "utf8"))?.[1] ?? "0";
  return Math.round(Number(bytes) / 2 ** 20);
}

/** A file of the version 2 cgroup that a process is in. */
function cgroupFile(pid: number, name: string): string | undefined {
  if (pid === 0) {
    return undefined;
  }
  const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];
  // nspawn moves itself into a part of the container's cgroup.
  return path === undefined ? undefined : `/sys/fs/cgroup${path.replace(/\/supervisor$/, "")}/${name}`;
}
