import type { LabMaster } from "../topology.ts";
import { inside } from "./inside.ts";

/** When etcd cannot be started: never, or only while its trust file holds two authorities. */
export type Fault = "always" | "while two authorities are trusted";

const conditions: Readonly<Record<Fault, string>> = {
  always: "/bin/false",
  "while two authorities are trusted": `+/bin/sh -c '[ "$(grep -c BEGIN.CERTIFICATE /var/lib/etcd/cert/ca.pem)" = 1 ]'`,
};

/** From its next start on, etcd fails on this master; the process that runs now goes on. */
export async function breakEtcd(master: LabMaster, fault: Fault): Promise<void> {
  await inside(
    master,
    `mkdir -p /etc/systemd/system/etcd.service.d
cat >/etc/systemd/system/etcd.service.d/fault.conf <<'END'
[Service]
ExecStartPre=${conditions[fault]}
END
systemctl daemon-reload`,
  );
}

/** Takes the fault away; etcd is left to start by itself, as its unit says. */
export async function mendEtcd(master: LabMaster): Promise<void> {
  await inside(master, "rm -f /etc/systemd/system/etcd.service.d/fault.conf && systemctl daemon-reload");
}
