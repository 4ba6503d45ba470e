import { mustRun } from "../machine.ts";
import type { Lab } from "../topology.ts";

/** Cuts every SSH connection to every master at once, without a word to either end; all other traffic goes on. */
export async function cutSsh(lab: Lab): Promise<void> {
  await Promise.all([
    ...lab.masters.map((master) => rule(master.namespace, "add", "sport")),
    rule(lab.namespace, "add", "dport"),
  ]);
}

/** Lets SSH through again. */
export async function mendSsh(lab: Lab): Promise<void> {
  await Promise.all([
    ...lab.masters.map((master) => rule(master.namespace, "del", "sport")),
    rule(lab.namespace, "del", "dport"),
  ]);
}

async function rule(namespace: string, action: "add" | "del", end: "sport" | "dport"): Promise<void> {
  await mustRun("ip", [
    "-n",
    namespace,
    "rule",
    action,
    "priority",
    "1",
    "ipproto",
    "tcp",
    end,
    "22",
    "blackhole",
  ]);
}
