import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { machineFolder, mustRun, type ProgramResult, runProgram } from "./machine.ts";
import type { Lab, LabMachine } from "./topology.ts";

/** How to run a command on a master. */
export interface RunOptions {
  readonly stdin?: string;
  /** @default 60; the exit code is 124 when it takes longer */
  readonly timeoutSeconds?: number;
  /** `root`, or `ops`, who needs sudo. @default root */
  readonly user?: "root" | "ops";
}

/** Runs a shell command on a master over SSH and resolves with its result, whatever its exit code (255: no connection). */
export function runOn(
  lab: Lab,
  master: LabMachine,
  command: string,
  { stdin = "", timeoutSeconds = 60, user = "root" }: RunOptions = {},
): Promise<ProgramResult> {
  return runProgram("ip", [...sshCommand(lab, master, user), command], { stdin, timeoutSeconds });
}

/** The arguments of `ip` that open an SSH connection to a master; append the remote command. */
export function sshCommand(lab: Lab, master: LabMachine, user = "root"): string[] {
  const options = [
    `IdentityFile=${lab.sshKeyPath}`,
    "IdentitiesOnly=yes",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${join(lab.folder, "known_hosts")}`,
    "GlobalKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
    "ConnectTimeout=5",
    "ServerAliveInterval=2",
    "ServerAliveCountMax=3",
    // The first connection stays for a minute and the next ones use it: a command takes 10 ms instead of 200 ms.
    "ControlMaster=auto",
    "ControlPersist=60",
    `ControlPath=${controlPath(lab, master, user)}`,
  ];
  return [
    ...["netns", "exec", lab.namespace, "ssh", "-F", "/dev/null"],
    ...options.flatMap((option) => ["-o", option]),
    ...[`${user}@${master.address}`, "--"],
  ];
}

/**
 * Reboots a master and resolves when it has gone down and answers over SSH again; etcd and kubelet may still be starting.
 * `hard` is the nearest thing to a power cut: nothing is stopped or written first.
 * @throws when it does not answer within 60 s.
 */
export async function rebootMaster(lab: Lab, master: LabMachine, { hard = false } = {}): Promise<void> {
  const bootId = async () =>
    (
      await runOn(lab, master, "systemctl show -p UserspaceTimestampMonotonic; stat -c %Y.%i /proc/1", {
        timeoutSeconds: 8,
      })
    ).stdout;
  const before = await bootId();
  await runOn(lab, master, hard ? "systemctl reboot --force --force" : "systemctl reboot", {
    timeoutSeconds: 8,
  });
  await waitUntil(`reach ${master.name} after its reboot`, async () => {
    await closeConnections(lab, master);
    const now = await bootId();
    return now !== "" && now !== before;
  });
}

/** Pulls the master's network cable. */
export async function cutNetwork(lab: Lab, master: LabMachine): Promise<void> {
  await mustRun("ip", ["-n", lab.namespace, "link", "set", master.name, "down"]);
}

/** Puts the master's network cable back. */
export async function mendNetwork(lab: Lab, master: LabMachine): Promise<void> {
  await mustRun("ip", ["-n", lab.namespace, "link", "set", master.name, "up"]);
}

/** Freezes every process of a master: its connections stay open and nothing answers. */
export async function pauseMaster(lab: Lab, master: LabMachine): Promise<void> {
  await mustRun(join(machineFolder, "freeze"), [lab.name, master.name, lab.folder, "yes"]);
}

/** Lets a paused master go on. */
export async function resumeMaster(lab: Lab, master: LabMachine): Promise<void> {
  await mustRun(join(machineFolder, "freeze"), [lab.name, master.name, lab.folder, "no"]);
}

async function waitUntil(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isDone())) {
    if (Date.now() > deadline) {
      throw new Error(`Cannot ${what}: no answer; expected one within 60 s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** In /run, because a socket's path may have 107 characters at most. */
function controlPath(lab: Lab, master: LabMachine, user: string): string {
  const folder = `/run/etcd-lab/${lab.name}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, `${user}@${master.name}`);
}

async function closeConnections(lab: Lab, master: LabMachine): Promise<void> {
  for (const user of ["root", "ops"]) {
    await runProgram(
      "ssh",
      ["-O", "exit", "-o", `ControlPath=${controlPath(lab, master, user)}`, master.address],
      {
        timeoutSeconds: 5,
      },
    );
  }
}
