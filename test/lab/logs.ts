import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./machine.ts";

/** Where a master's logs are: its name, and the root of its file system on this machine. */
export interface LogSource {
  readonly name: string;
  readonly root: string;
}

/** A master's console, journal of etcd, kubelet and containerd, and static pods; read from this machine, so it works for one that is down. */
export async function readLogs(lab: { readonly folder: string }, master: LogSource): Promise<string> {
  const console = join(lab.folder, "masters", master.name, "console.log");
  const units = ["etcd", "kubelet", "containerd", "lab-prep"].flatMap((unit) => ["-u", unit]);
  const journal = await runProgram("journalctl", [
    ...["-D", join(master.root, "var/log/journal"), "--no-pager", "-o", "short-iso"],
    ...units,
  ]);
  const pods = await runProgram("find", [
    join(master.root, "var/log/pods"),
    "-name",
    "*.log",
    "-exec",
    "tail",
    "-n",
    "100",
    "{}",
    "+",
  ]);
  return [
    `== ${master.name}: console`,
    existsSync(console) ? readFileSync(console, "utf8").trimEnd() : "none",
    `== ${master.name}: journal`,
    (journal.stdout + journal.stderr).trimEnd(),
    `== ${master.name}: static pods, the last lines of each container`,
    (pods.stdout + pods.stderr).trimEnd(),
    "",
  ].join("\n");
}
