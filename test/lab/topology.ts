import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { clientFiles } from "./client-files.ts";
import { readLogs } from "./logs.ts";
import { machineFolder, mustRun } from "./machine.ts";
import { defaultOptions, type LabOptions } from "./options.ts";
import { decideValidity, formatPeriod } from "./validity.ts";

/** A machine of a lab. */
export interface LabMachine {
  readonly name: string;
  readonly address: string;
  readonly nodeName: string;
  /** The SSH host key as in an authorized_keys line: type and base64. */
  readonly hostKey: string;
  /** The network namespace that its processes are in. */
  readonly namespace: string;
  /** The process that holds it, as this machine sees it; 0 when it is down. Changes when it reboots. */
  readonly pid: number;
  /** Where its file system is on this machine. Absolute symbolic links in it point into this folder. */
  readonly root: string;
}

/** One master of a lab. */
export interface LabMaster extends LabMachine {
  readonly etcdName: string;
}

/** A lab that was started. */
export interface Lab {
  readonly name: string;
  readonly folder: string;
  /** The network namespace from which masters and load balancer can be reached. */
  readonly namespace: string;
  readonly loadBalancer: { readonly host: string; readonly port: number };
  /** Opens every master, as root and as `ops` (who needs sudo). */
  readonly sshKeyPath: string;
  /** An administrator's, by way of the load balancer. */
  readonly kubeconfigPath: string;
  readonly masters: readonly LabMaster[];
  /** Their kubelets talk to the load balancer. */
  readonly workers: readonly LabMachine[];
  readonly options: LabOptions;
}

/** A rejected start has removed what it made. */
export interface StartOptions {
  readonly signal?: AbortSignal;
}

/** The folder of the project's caches on this machine. */
export function cacheFolder(): string {
  const { ETCD_ROTATION_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  return own || join(shared || join(homedir(), ".cache"), "etcd-rotation");
}

/** Decides names, addresses and places; reads and starts nothing. */
export function planLab(options: LabOptions): Lab {
  const { name } = options;
  const folder = labFolder(name);
  const machine = (kind: "master" | "worker", number: number): LabMachine => {
    const address = `10.77.0.${kind === "master" ? 1 : 2}${number}`;
    return {
      name: `${kind}-${number}`,
      address,
      nodeName: `cn-lab.${address}`,
      hostKey: "",
      namespace: `etcd-lab.${name}.${kind}-${number}`,
      pid: 0,
      root: join(folder, "masters", `${kind}-${number}`, "root"),
    };
  };
  return {
    name,
    folder,
    namespace: `etcd-lab.${name}`,
    loadBalancer: { host: "10.77.0.10", port: 6443 },
    sshKeyPath: join(folder, "id_ed25519"),
    kubeconfigPath: join(folder, "kubeconfig"),
    masters: numbersTo(options.masters).map((number) => {
      const master = machine("master", number);
      return { ...master, etcdName: options.layout === "kubeadm" ? master.nodeName : `${master.address}-name-${number}` };
    }),
    workers: numbersTo(options.workers).map((number) => machine("worker", number)),
    options,
  };
}

/**
 * Starts a lab and resolves when every API server and the load balancer are ready, or, with expired certificates,
 * when the masters answer over SSH. Builds the image first when there is none.
 * @throws when a lab of that name is up, or the start failed or was aborted; then nothing of it is left.
 */
export async function startLab(options: Partial<LabOptions> = {}, { signal }: StartOptions = {}): Promise<Lab> {
  requireRoot();
  const plan = planLab({ ...defaultOptions, ...options });
  const { PATH = "" } = process.env;
  const environment = { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin` };
  const run = (script: string, ...args: string[]) => mustRun(join(machineFolder, script), args, { stderr: "show", environment, signal });
  const image = readPairs(await run("../image/build"));
  await mkdir(dirname(plan.folder), { recursive: true });
  await mkdir(plan.folder, { mode: 0o755 }).catch((error: unknown) => {
    throw existsSync(plan.folder)
      ? new Error(`Cannot start the lab '${plan.name}': '${plan.folder}' exists; expected none of that name. Run: npm run lab -- down --name ${plan.name}`)
      : error;
  });
  try {
    await writeFiles(plan);
    const lab = await makeSshKeys(plan, signal);
    await mustRun(join(machineFolder, "certificates"), [plan.folder], {
      stderr: "show",
      environment: { ...environment, ...certificateSettings(plan.options) },
      signal,
    });
    await writeFile(join(lab.folder, "lab.json"), `${JSON.stringify(lab, undefined, 2)}\n`);
    const { debian = "", system = "", containerd = "" } = image;
    await run("start", lab.name, lab.folder, debian, system, containerd, lab.options.moved ? "yes" : "no", lab.options.layout);
    await run("wait-ready", lab.name, lab.folder, "300", lab.options.expired === "none" ? "api" : "ssh");
    await rm(failedLogPath(lab), { force: true });
    return loadLab(lab.name);
  } catch (error) {
    const logs = signal?.aborted ? undefined : await keepLogs(plan);
    await stopLab(plan.name);
    if (logs === undefined) {
      throw error;
    }
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nThe masters' logs are kept in '${logs}'`, { cause: error });
  }
}

/**
 * Reads a lab that was started on this machine.
 * @throws when there is none of that name.
 */
export function loadLab(name: string): Lab {
  const folder = labFolder(name);
  if (!isLabPresent(name)) {
    throw new Error(`Cannot find the lab '${name}': no '${join(folder, "lab.json")}'; expected a lab that is up. Run: npm run lab -- up --name ${name}`);
  }
  const lab: Lab = JSON.parse(readFileSync(join(folder, "lab.json"), "utf8"));
  const withPid = <T extends LabMachine>(machine: T): T => ({ ...machine, pid: readPid(lab, machine) });
  return { ...lab, masters: lab.masters.map(withPid), workers: lab.workers.map(withPid) };
}

/** Ends everything of a lab and removes it, also when it is only half there or the machine was rebooted. */
export async function stopLab(name: string): Promise<void> {
  requireRoot();
  await mustRun(join(machineFolder, "stop"), [name, labFolder(name)], { stderr: "show" });
}

/** Whether a lab of that name was started on this machine and not stopped. */
export function isLabPresent(name: string): boolean {
  return existsSync(join(labFolder(name), "lab.json"));
}

/** The names of all labs on this machine, also of half-started ones. */
export function listLabs(): string[] {
  const folder = dirname(labFolder("any"));
  if (!existsSync(folder)) {
    return [];
  }
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

function numbersTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** Saves the logs of a lab whose start failed; undefined when that fails too. */
async function keepLogs(lab: Lab): Promise<string | undefined> {
  const path = failedLogPath(lab);
  try {
    const logs = await Promise.all([...lab.masters, ...lab.workers].map((machine) => readLogs(lab, machine)));
    await writeFile(path, logs.join(""));
    return path;
  } catch {
    return undefined;
  }
}

function failedLogPath({ folder }: Lab): string {
  return `${folder}.failed.log`;
}

function requireRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new Error("Cannot manage a lab: it needs root (containers, network namespaces); run the same command with sudo");
  }
}

function labFolder(name: string): string {
  return join(cacheFolder(), "labs", name);
}

function readPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

function readPid(lab: Lab, { name }: LabMachine): number {
  try {
    const [pid] = readFileSync(join(lab.folder, "masters", name, "container-pid"), "utf8").split(" ");
    return existsSync(`/proc/${pid}`) ? Number(pid) : 0;
  } catch {
    return 0;
  }
}

function certificateSettings({ algorithm, peerCa, layout, ...options }: LabOptions): Record<string, string> {
  const validity = decideValidity(options, Date.now());
  return {
    ALGORITHM: algorithm,
    LAYOUT: layout,
    PEER_CA: peerCa ? "yes" : "no",
    ETCD_LEAF_DATES: formatPeriod(validity.etcdLeaf),
    ETCD_CA_DATES: formatPeriod(validity.etcdCa),
    KUBERNETES_LEAF_DATES: formatPeriod(validity.kubernetesLeaf),
    KUBERNETES_CA_DATES: formatPeriod(validity.kubernetesCa),
  };
}

async function writeFiles(lab: Lab): Promise<void> {
  const masters = lab.masters.map(({ name, address, nodeName, etcdName }) => `${[name, address, nodeName, etcdName].join("\t")}\n`);
  const workers = lab.workers.map(({ name, address, nodeName }) => `${[name, address, nodeName].join("\t")}\n`);
  await writeFile(join(lab.folder, "masters.tsv"), masters.join(""));
  await writeFile(join(lab.folder, "workers.tsv"), workers.join(""));
  await Promise.all(lab.masters.map(async (master) => writeConfig(lab, master, await configOf(lab, master))));
  await Promise.all(lab.workers.map(async (worker) => writeConfig(lab, worker, await workerConfig())));
}

/** What differs between machines besides keys, as a tree that is laid over the machine's root. */
async function writeConfig(lab: Lab, machine: LabMachine, own: ReadonlyMap<string, string>): Promise<void> {
  const config = join(lab.folder, "masters", machine.name, "config");
  const hosts = [...lab.masters, ...lab.workers].map(({ address, name, nodeName }) => `${address} ${name} ${nodeName}\n`).join("");
  const files = new Map([
    ["etc/hostname", `${machine.name}\n`],
    ["etc/hosts", `127.0.0.1 localhost\n${hosts}`],
    ["etc/resolv.conf", ""],
    ["etc/kubelet.env", `NODE_NAME=${machine.nodeName}\nNODE_IP=${machine.address}\n`],
    ...own,
  ]);
  for (const [path, content] of files) {
    await mkdir(dirname(join(config, path)), { recursive: true });
    await writeFile(join(config, path), content);
  }
}

/** A worker's kubelet has the authority's certificate under kubeadm's name, as ACK's workers do. */
async function workerConfig(): Promise<Map<string, string>> {
  return new Map([["var/lib/kubelet/config.yaml", await kubeadmKubelet()]]);
}

async function kubeadmKubelet(): Promise<string> {
  return withKubeadmPaths(await readFile(join(machineFolder, "..", "image", "root/var/lib/kubelet/config.yaml"), "utf8"));
}

async function configOf(lab: Lab, master: LabMaster): Promise<Map<string, string>> {
  const { etcdName } = master;
  const cluster = lab.masters.map(({ etcdName: name, address }) => `${name}=https://${address}:2380`).join(",");
  const files = new Map([["etc/etcd.env", `ETCD_IP=${master.address}\nETCD_MEMBER=${etcdName}\nETCD_CLUSTER=${cluster}\n`]]);
  const isKubeadm = lab.options.layout === "kubeadm";
  // kubeadm's API servers ask their own master's etcd only
  const servers = isKubeadm ? "https://127.0.0.1:2379" : lab.masters.map(({ address }) => `https://${address}:2379`).join(",");
  const values = { ADDRESS: master.address, ETCD_SERVERS: servers, ETCD_NAME: etcdName, ETCD_CLUSTER: cluster };
  for (const component of [...(isKubeadm ? ["etcd"] : []), "kube-apiserver", "kube-controller-manager", "kube-scheduler"]) {
    const template = await readFile(join(machineFolder, "manifests", `${component}.yaml`), "utf8");
    const text = Object.entries(values).reduce((filled, [key, value]) => filled.replaceAll(`{{${key}}}`, value), template);
    files.set(`etc/kubernetes/manifests/${component}.yaml`, isKubeadm ? withKubeadmPaths(text) : text);
  }
  if (isKubeadm) {
    files.set("var/lib/kubelet/config.yaml", await kubeadmKubelet());
  }
  return files;
}

/** The names that ACK gives to files, as kubeadm has them. */
function withKubeadmPaths(text: string): string {
  const { ack, kubeadm } = clientFiles;
  return text
    .replaceAll("/etc/kubernetes/pki/apiserver-ca.", "/etc/kubernetes/pki/ca.")
    .replaceAll(ack.ca, kubeadm.ca)
    .replaceAll(ack.cert, kubeadm.cert)
    .replaceAll(ack.key, kubeadm.key);
}

/** One key pair for the clients, one host key for each machine. */
async function makeSshKeys(plan: Lab, signal: AbortSignal | undefined): Promise<Lab> {
  const make = async (path: string, comment: string) => {
    await mustRun("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path], { signal });
    const [type, key] = (await readFile(`${path}.pub`, "utf8")).split(" ");
    return `${type} ${key}`;
  };
  await make(plan.sshKeyPath, `lab-${plan.name}`);
  const withHostKey = async <T extends LabMachine>(machine: T): Promise<T> => ({
    ...machine,
    hostKey: await make(join(plan.folder, "masters", machine.name, "ssh_host_ed25519_key"), machine.name),
  });
  const [masters, workers] = await Promise.all([Promise.all(plan.masters.map(withHostKey)), Promise.all(plan.workers.map(withHostKey))]);
  const known = [...masters, ...workers].map(({ name, address, hostKey }) => `${name},${address} ${hostKey}\n`).join("");
  await rm(join(plan.folder, "known_hosts"), { force: true });
  await writeFile(join(plan.folder, "known_hosts"), known);
  return { ...plan, masters, workers };
}
