import type { Command } from "@commander-js/extra-typings";
import { cwdOption, jsonOption, renamed, stackOption } from "./options.ts";

export function addRollback(program: Command): void {
  program
    .command("rollback")
    .summary("go back to an earlier set of certificates")
    .description(
      `Goes back to an earlier set of etcd certificates: that state and its rotation, then the usual phases. \
Until the answer nothing is changed: the preview runs on a copy of the state.

The state from before is saved first, readable by you alone, and its path is printed: --to <that file> goes forward again.`,
    )
    .usage("[stack] --list [file...] | --to <set> | --abort")
    .argument("[stack]")
    .argument("[file...]")
    .option("--list", "earlier states of the backend's history, newest first, or exported files; needs no passphrase", false)
    .option(
      "--to <set>",
      `a number of the list, or a file: of "pulumi stack export", of a backend's history, or one that this command has saved; \
or original: the files from before this program's first rollout, which the masters keep; \
the state stays, and the stack file says restore: without it pulumi up goes forward again`,
    )
    .option("--abort", "to the set from before an update that has failed or was killed: the newest state of the list that ended well", false)
    .option("--preview-only", "ends after the preview", false)
    .option("--yes", "does not ask", false)
    .option("--re-sign", "also to a set that has ended or ends within renewBefore: its keys come back, signed for the present validity", false)
    .option("--history <folder>", "a copy of the history, of a backend that is neither a folder nor a bucket")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption)
    .action(async (named, rest, { stack, ...options }) => {
      const { rollback } = await import("../rollback/rollback.ts");
      // with the earlier spelling every argument is a file
      const files = stack === undefined || named === undefined ? rest : [named, ...rest];
      await rollback(renamed(stack === undefined ? named : undefined, stack, "--stack <stack>", "rollback <stack>"), files, options);
    });
}
