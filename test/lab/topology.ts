import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { requireLabMachine } from "../../tools/dev/set-up.ts";
import { labLayouts, workerTexts } from "./layouts.ts";
import { readLogs } from "./logs.ts";
import { machineFolder, mustRun } from "./machine.ts";
import { defaultOptions, etcdVersions, kubernetesVersions, type LabOptions } from "./options.ts";
import { decideValidity, formatPeriod, type Validity } from "./validity.ts";

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
  /**
   * Changes what was made for the masters, in the lab's folder, before they start. Nothing is waited for then but an answer over SSH,
   * and the lab's own clients of etcd are not made.
   */
  readonly prepare?: (lab: Lab) => Promise<void>;
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
      return {
        ...master,
        etcdName:
          labLayouts[options.layout].kind === "kubeadm"
            ? master.nodeName
            : `${master.address}-name-${number}`,
      };
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
export async function startLab(
  options: Partial<LabOptions> = {},
  { signal, prepare }: StartOptions = {},
): Promise<Lab> {
  await requireLabMachine();
  const plan = planLab({ ...defaultOptions, ...options });
  const { PATH = "" } = process.env;
  const environment = { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin` };
  const run = (script: string, ...args: string[]) =>
    mustRun(join(machineFolder, script), args, { stderr: "show", environment, signal });
  const { etcd, kubernetes } = plan.options;
  const image = readPairs(await run("../image/build", kubernetesVersions[kubernetes], etcdVersions[etcd]));
  await mkdir(dirname(plan.folder), { recursive: true });
  await mkdir(plan.folder, { mode: 0o755 }).catch((error: unknown) => {
    throw existsSync(plan.folder)
      ? new Error(
          `Cannot start the lab '${plan.name}': '${plan.folder}' exists; expected none of that name. Run: npm run lab -- down --name ${plan.name}`,
        )
      : error;
  });
  try {
    await writeFiles(plan);
    const lab = await makeSshKeys(plan, signal);
    await mustRun(join(machineFolder, "certificates"), [plan.folder], {
      stderr: "show",
      environment: { ...environment, ...certificateSettings(plan, decideValidity(plan.options, Date.now())) },
      signal,
    });
    await writeFile(join(lab.folder, "lab.json"), `${JSON.stringify(lab, undefined, 2)}\n`);
    await prepare?.(lab);
    const isServing = lab.options.expired === "none" && prepare === undefined;
    const { debian = "", system = "", containerd = "" } = image;
    await run(
      "start",
      lab.name,
      lab.folder,
      debian,
      system,
      containerd,
      lab.options.moved ? "yes" : "no",
      lab.options.layout,
      lab.options.programs,
    );
    await run("wait-ready", lab.name, lab.folder, "300", isServing ? "api" : "ssh");
    await rm(failedLogPath(lab), { force: true });
    if (labLayouts[lab.options.layout].isScraped && isServing) {
      await startScraper(lab, signal);
    }
    return loadLab(lab.name);
  } catch (error) {
    const logs = signal?.aborted ? undefined : await keepLogs(plan);
    await stopLab(plan.name);
    if (logs === undefined) {
      throw error;
    }
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}\nThe masters' logs are kept in '${logs}'`,
      { cause: error },
    );
  }
}

/**
 * Reads a lab that was started on this machine.
 * @throws when there is none of that name.
 */
export function loadLab(name: string): Lab {
  const folder = labFolder(name);
  if (!isLabPresent(name)) {
    throw new Error(
      `Cannot find the lab '${name}': no '${join(folder, "lab.json")}'; expected a lab that is up. Run: npm run lab -- up --name ${name}`,
    );
  }
  const lab: Lab = JSON.parse(readFileSync(join(folder, "lab.json"), "utf8"));
  const withPid = <T extends LabMachine>(machine: T): T => ({ ...machine, pid: readPid(lab, machine) });
  return { ...lab, masters: lab.masters.map(withPid), workers: lab.workers.map(withPid) };
}

/** Ends everything of a lab and removes it, also when it is only half there or the machine was rebooted. */
export async function stopLab(name: string): Promise<void> {
  await requireLabMachine();
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

/** The environment of machine/certificates. */
export function certificateSettings(
  { masters, options: { algorithm, peerCa, layout } }: Pick<Lab, "masters" | "options">,
  validity: Validity,
): Record<string, string> {
  const { hasPeerCa, subjects, serverSans, peerSans } = labLayouts[layout];
  return {
    LAYOUT: layout,
    ALGORITHM: algorithm,
    ETCD_CA: subjects.etcdCa,
    PEER_CA: peerCa || hasPeerCa ? subjects.peerCa : "",
    CLUSTER_CA: subjects.clusterCa,
    SERVER_SANS: serverSans.replace("{masters}", masters.map(({ address }) => `IP:${address}`).join(",")),
    PEER_SANS: peerSans,
    ETCD_LEAF_DATES: formatPeriod(validity.etcdLeaf),
    ETCD_CA_DATES: formatPeriod(validity.etcdCa),
    KUBERNETES_LEAF_DATES: formatPeriod(validity.kubernetesLeaf),
    KUBERNETES_CA_DATES: formatPeriod(validity.kubernetesCa),
  };
}

async function writeFiles(lab: Lab): Promise<void> {
  const masters = lab.masters.map(
    ({ name, address, nodeName, etcdName }) => `${[name, address, nodeName, etcdName].join("\t")}\n`,
  );
  const workers = lab.workers.map(
    ({ name, address, nodeName }) => `${[name, address, nodeName].join("\t")}\n`,
  );
  await writeFile(join(lab.folder, "masters.tsv"), masters.join(""));
  await writeFile(join(lab.folder, "workers.tsv"), workers.join(""));
  await Promise.all(lab.masters.map(async (master) => writeConfig(lab, master, await configOf(lab, master))));
  await Promise.all(
    lab.workers.map(async (worker) => writeConfig(lab, worker, new Map([await kubeletFile(workerTexts)]))),
  );
}

/** What differs between machines besides keys, as a tree that is laid over the machine's root. */
async function writeConfig(lab: Lab, machine: LabMachine, own: ReadonlyMap<string, string>): Promise<void> {
  const config = join(lab.folder, "masters", machine.name, "config");
  const hosts = [...lab.masters, ...lab.workers]
    .map(({ address, name, nodeName }) => `${address} ${name} ${nodeName}\n`)
    .join("");
  const files = new Map([
    ["etc/hostname", `${machine.name}\n`],
    ["etc/hosts", `127.0.0.1 localhost\n${hosts}`],
    ["etc/resolv.conf", ""],
    [
      "etc/ssh/sshd_config.d/host-keys.conf",
      labLayouts[lab.options.layout].hostKeys
        .map((type) => `HostKey /etc/ssh/ssh_host_${type}_key\n`)
        .join(""),
    ],
    ["etc/kubelet.env", `NODE_NAME=${machine.nodeName}\nNODE_IP=${machine.address}\n`],
    ...own,
  ]);
  for (const [path, content] of files) {
    await mkdir(dirname(join(config, path)), { recursive: true });
    await writeFile(join(config, path), content);
  }
}

const kubeletSettings = "var/lib/kubelet/config.yaml";

async function kubeletFile(texts: Readonly<Record<string, string>>): Promise<[string, string]> {
  return [
    kubeletSettings,
    replaced(await readFile(join(machineFolder, "..", "image", "root", kubeletSettings), "utf8"), texts),
  ];
}

async function configOf(lab: Lab, master: LabMaster): Promise<Map<string, string>> {
  const { etcdName } = master;
  const layout = labLayouts[lab.options.layout];
  // kubeadm's API servers ask their own master's etcd only
  const servers =
    layout.kind === "kubeadm"
      ? "https://127.0.0.1:2379"
      : lab.masters.map(({ address }) => `https://${address}:2379`).join(",");
  const values = {
    "{{ADDRESS}}": master.address,
    "{{KUBERNETES}}": kubernetesVersions[lab.options.kubernetes],
    "{{ETCD_SERVERS}}": servers,
    "{{ETCD_NAME}}": etcdName,
    "{{ETCD_CLUSTER}}": lab.masters
      .map(({ etcdName: name, address }) => `${name}=https://${address}:2380`)
      .join(","),
  };
  const filled = async (...path: string[]) =>
    replaced(await readFile(join(machineFolder, ...path), "utf8"), { ...values, ...layout.texts });
  const files = new Map([await kubeletFile(layout.texts)]);
  for (const component of [
    ...(layout.unit === undefined ? ["etcd"] : []),
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
  ]) {
    files.set(`etc/kubernetes/manifests/${component}.yaml`, await filled("manifests", `${component}.yaml`));
  }
  if (layout.unit !== undefined) {
    const unit = await filled("units", `${lab.options.layout}.service`);
    files.set(layout.unit, lab.options.etcdSettings === "flags" ? unit : withVariables(unit));
  }
  return files;
}

/** The unit with etcd's settings in variables: `--data-dir=data.etcd`, `--data-dir data.etcd` and `--client-cert-auth` are all flags. */
function withVariables(unit: string): string {
  return unit.replace(/^(ExecStart=\S+) (.*)$/m, (_, program: string, flags: string) => {
    const settings = [...flags.matchAll(/--([a-z-]+)(?:[= ]([^-\s]\S*))?/g)];
    const variables = settings.map(
      ([, name = "", value = "true"]) =>
        `Environment=ETCD_${name.toUpperCase().replaceAll("-", "_")}=${value}`,
    );
    return [...variables, program].join("\n");
  });
}

function replaced(text: string, texts: Readonly<Record<string, string>>): string {
  return Object.entries(texts).reduce((filled, [from, to]) => filled.replaceAll(from, to), text);
}

/** On the first master. */
async function startScraper(
  { folder, namespace, sshKeyPath, masters: [first] }: Lab,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = [
    "-F",
    "/dev/null",
    "-i",
    sshKeyPath,
    "-o",
    `UserKnownHostsFile=${join(folder, "known_hosts")}`,
  ];
  const stdin = await readFile(join(machineFolder, "scraper"), "utf8");
  await mustRun("ip", ["netns", "exec", namespace, "ssh", ...options, `root@${first?.address}`, "bash -s"], {
    stdin,
    stderr: "show",
    signal,
  });
}

/** One key pair for the clients, host keys for each machine; what a stack file names is the first kind. */
async function makeSshKeys(plan: Lab, signal: AbortSignal | undefined): Promise<Lab> {
  const make = async (path: string, type: string, comment: string) => {
    await mustRun("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", comment, "-f", path], { signal });
    return (await readFile(`${path}.pub`, "utf8")).split(" ").slice(0, 2).join(" ");
  };
  await make(plan.sshKeyPath, "ed25519", `lab-${plan.name}`);
  const known: string[] = [];
  const withHostKey = async <T extends LabMachine>(machine: T): Promise<T> => {
    const { name, address } = machine;
    const path = (type: string) => join(plan.folder, "masters", name, `ssh_host_${type}_key`);
    const keys = await Promise.all(
      labLayouts[plan.options.layout].hostKeys.map((type) => make(path(type), type, name)),
    );
    known.push(...keys.map((key) => `${name},${address} ${key}\n`));
    return { ...machine, hostKey: keys[0] ?? "" };
  };
  const [masters, workers] = await Promise.all([
    Promise.all(plan.masters.map(withHostKey)),
    Promise.all(plan.workers.map(withHostKey)),
  ]);
  await rm(join(plan.folder, "known_hosts"), { force: true });
  await writeFile(join(plan.folder, "known_hosts"), known.join(""));
  return { ...plan, masters, workers };
}
