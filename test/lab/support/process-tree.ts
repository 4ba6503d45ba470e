import { readdirSync, readFileSync } from "node:fs";

/** Ends a process and everything that it has started, by SIGKILL, without giving any of it time to react. */
export function killTree(root: number): void {
  // stopped first, so that nothing is started while the list is made
  for (let known: number[] = []; ; ) {
    const found = treeOf(root);
    signal(found, "SIGSTOP");
    if (found.length === known.length) {
      break;
    }
    known = found;
  }
  signal(treeOf(root), "SIGKILL");
}

function treeOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (/^\d+$/.test(entry)) {
      const parent = parentOf(entry);
      if (parent !== undefined) {
        parents.set(Number(entry), parent);
      }
    }
  }
  const tree = [root];
  for (const pid of tree) {
    tree.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  }
  return tree;
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // it has ended by itself
    }
  }
}
