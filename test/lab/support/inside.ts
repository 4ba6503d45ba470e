import { readFileSync } from "node:fs";
import { runProgram } from "../machine.ts";
import type { Lab, LabMachine, LabMaster } from "../topology.ts";

/** As a person on a master would run it. */
export const kubectl = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf";

/**
 * Runs a bash script inside a master, past its network and its SSH server; its standard output.
 * @throws when it fails
 */
export async function inside(master: LabMachine, script: string, timeoutSeconds = 120): Promise<string> {
  const { code, stdout, stderr } = await tryInside(master, script, timeoutSeconds);
  if (code !== 0) {
    throw new Error(`In ${master.name}: exit code ${code}: ${stderr}\n${script}`);
  }
  return stdout;
}

/** The same, whatever the exit code. */
export function tryInside(master: LabMachine, script: string, timeoutSeconds = 120, signal?: AbortSignal) {
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"];
  return runProgram("nsenter", ["--target", String(initOf(master)), ...namespaces, "bash", "-s"], {
    stdin: script,
    timeoutSeconds,
    signal,
    environment: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
  });
}

/** The master's own first process, as this machine sees it: a child of the one that holds the master. */
function initOf({ name, pid }: LabMachine): number {
  const init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
  if (!(init > 1)) {
    throw new Error(`Cannot find the first process of ${name}`);
  }
  return init;
}

/** Runs a script inside every master, side by side; results by master name. */
export async function insideAll(
  lab: Lab,
  scriptFor: (master: LabMaster) => string,
): Promise<Record<string, string>> {
  return Object.fromEntries(
    await Promise.all(
      lab.masters.map(async (master) => [master.name, await inside(master, scriptFor(master))] as const),
    ),
  );
}

/** The master of that name. */
export function masterNamed(lab: Lab, name: string): LabMaster {
  const found = lab.masters.find((master) => master.name === name);
  if (found === undefined) {
    throw new Error(`Cannot find ${name} in the lab ${lab.name}`);
  }
  return found;
}
