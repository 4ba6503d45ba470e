import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machineFolder, mustRun } from "../machine.ts";
import { certificateSettings, type Lab, type LabMaster } from "../topology.ts";
import type { Period } from "../validity.ts";
import { inside } from "./inside.ts";

/** Certificates for a lab that this program has not made. */
export interface ForeignSet {
  readonly folder: string;
}

/** What to make; everything is valid for a year unless it says otherwise. */
export interface ForeignOptions {
  /** the set whose authorities' keys are used again; without it they are new, but for Kubernetes', which are always the lab's own */
  readonly authorities?: ForeignSet;
  readonly etcdLeaf?: Period;
  readonly etcdCa?: Period;
  readonly kubernetesLeaf?: Period;
  readonly kubernetesCa?: Period;
  /** extended key usages of the peers */
  readonly peerUses?: string;
}

export const day = 86_400_000;
/** From a month ago until yesterday. */
export const past = (): Period => ({ start: Date.now() - 32 * day, end: Date.now() - day });

const kubernetesKeys = ["apiserver-ca.key", "front-proxy-ca.key", "console-ca.key", "sa.key", "sa.pub"];

/** Makes a set in a folder of that name beside the lab's own certificates. */
export async function makeForeignSet(
  lab: Lab,
  name: string,
  options: ForeignOptions = {},
): Promise<ForeignSet> {
  const folder = join(lab.folder, `foreign-${name}`);
  mkdirSync(join(folder, "pki", "ca"), { recursive: true });
  copyFileSync(join(lab.folder, "masters.tsv"), join(folder, "masters.tsv"));
  copyKeys(lab.folder, folder, kubernetesKeys);
  if (options.authorities !== undefined) {
    copyKeys(options.authorities.folder, folder, ["etcd-ca.key", "etcd-peer-ca.key"]);
  }
  const year: Period = { start: Date.now() - day, end: Date.now() + 365 * day };
  const validity = {
    etcdLeaf: options.etcdLeaf ?? year,
    etcdCa: options.etcdCa ?? year,
    kubernetesLeaf: options.kubernetesLeaf ?? year,
    kubernetesCa: options.kubernetesCa ?? year,
  };
  const settings = certificateSettings({ ...lab, options: { ...lab.options, algorithm: "ecdsa" } }, validity);
  await mustRun(join(machineFolder, "certificates"), [folder], {
    environment: { ...process.env, ...settings, PEER_USES: options.peerUses ?? "" },
  });
  return { folder };
}

/** Which files of a set; `leaves` are etcd's certificates and keys without any authority. */
export type Part = "trust" | "leaves" | "kubernetes";

/** Writes files of a set over those of a master, each in place: owner and mode stay. */
export function layDown(set: ForeignSet, master: LabMaster, parts: readonly Part[]): void {
  const own = join(set.folder, "pki", master.name);
  const isTrust = (name: string) => name === "ca.pem" || name === "peer-ca.pem";
  const isWanted = (name: string) => parts.includes(isTrust(name) ? "trust" : "leaves");
  copyInto(join(own, "etcd"), join(master.root, "var/lib/etcd/cert"), isWanted);
  copyInto(join(own, "kubernetes/pki/etcd"), join(master.root, "etc/kubernetes/pki/etcd"), isWanted);
  if (parts.includes("kubernetes")) {
    copyInto(join(own, "kubernetes"), join(master.root, "etc/kubernetes"), () => true);
    copyInto(
      join(own, "kubernetes/pki"),
      join(master.root, "etc/kubernetes/pki"),
      (name) => !name.startsWith("sa."),
    );
    copyInto(join(own, "kubelet"), join(master.root, "var/lib/kubelet/pki"), () => true);
  }
}

/** Kills etcd and starts it again; resolves without waiting for its health. */
export async function restartEtcd(masters: readonly LabMaster[]): Promise<void> {
  await Promise.all(
    masters.map((master) =>
      inside(
        master,
        "systemctl kill -s KILL etcd || :; systemctl reset-failed etcd || :; systemctl restart --no-block etcd",
      ),
    ),
  );
}

/** Kills kube-apiserver, controller manager and scheduler, and has the kubelet start them again. */
export async function restartKubernetes(masters: readonly LabMaster[]): Promise<void> {
  await Promise.all(
    masters.map((master) =>
      inside(
        master,
        'for name in kube-apiserver kube-controller kube-scheduler; do pkill -KILL -x "$name.*" || :; done; systemctl restart kubelet',
      ),
    ),
  );
}

function copyKeys(from: string, to: string, names: readonly string[]): void {
  for (const name of names) {
    copyFileSync(join(from, "pki", "ca", name), join(to, "pki", "ca", name));
  }
}

function copyInto(from: string, to: string, isWanted: (name: string) => boolean): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isFile() && isWanted(entry.name) && existsSync(join(to, entry.name))) {
      writeFileSync(join(to, entry.name), readFileSync(join(from, entry.name)));
    }
  }
}
