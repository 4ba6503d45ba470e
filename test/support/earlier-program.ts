import { spawnSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";

export const project = join(import.meta.dirname, "..", "..");

/** Puts the program of a commit into an empty folder, with this one's packages. @throws Error where the history is not there */
export function takeOut(commit: string, folder: string): void {
  const taken = spawnSync(
    "bash",
    ["-c", 'set -o pipefail; git archive "$1" | tar -x -C "$2"', "bash", commit, folder],
    { cwd: project, encoding: "utf8" },
  );
  if (taken.status !== 0) {
    throw new Error(
      `Cannot take commit ${commit} out of the history: ${taken.stderr}; expected a clone with all of it: run git fetch --unshallow`,
    );
  }
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"));
}
