import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLogs } from "../logs.ts";
import type { Lab } from "../topology.ts";
import { tryInside } from "./inside.ts";

const folder = join(import.meta.dirname, "..", "..", "..", ".evidence");

/** Keeps what a failed test leaves, without any key, and prints where. */
export async function saveEvidence(lab: Lab, test: string): Promise<void> {
  const target = join(folder, test.replaceAll(/[^A-Za-z0-9.-]+/g, "-"));
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(lab.folder)) {
    if (/\.(log|jsonl)$/.test(name)) {
      cpSync(join(lab.folder, name), join(target, name));
    }
  }
  for (const master of [...lab.masters, ...lab.workers]) {
    const now = await tryInside(
      master,
      `cat /var/lib/etcd-rotation/receipt; head -n 1 /var/lib/etcd-rotation/lock
ls -laR /var/lib/etcd-rotation --time-style=full-iso; ls -la --time-style=full-iso /var/lib/etcd/cert /etc/kubernetes/pki/etcd
systemctl status etcd kubelet --no-pager -l; ps -eo pid,ppid,sid,lstart,args; ls /etc/systemd/system/etcd.service.d /run/systemd/system/etcd.service.d`,
      30,
    );
    writeFileSync(
      join(target, `${master.name}.txt`),
      `${now.stdout}\n${now.stderr}\n${await readLogs(lab, master)}`,
    );
  }
  process.stdout.write(`Evidence of "${test}": ${target}\n`);
}
