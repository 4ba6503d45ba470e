import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { cwdOption, jsonOption, renamed, stackOption } from "./options.ts";

export function addBackups(program: Command): void {
  const backups = program
    .command("backups")
    .summary("list or remove the earlier sets that the masters keep")
    .description("What the masters keep of earlier sets of certificates.")
    .helpCommand(false);
  backups
    .command("list", { isDefault: true })
    .description("Lists what every master keeps, read only over SSH, and checks each file by its sum.")
    .argument("[stack]")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption)
    .action(async (named, { stack, ...options }) => {
      const { listBackups } = await import("../backups/backups.ts");
      await listBackups(renamed(named, stack, "--stack <stack>", "backups <stack>"), options);
    });
  backups
    .command("purge")
    .description("Removes the backup of one rollout from all masters. A backup is named by the rollout that it was taken before.")
    .argument("<rollout>", "its number in the list", rolloutIn)
    .argument("[stack]")
    .option("--yes", "does not ask", false)
    .option("--original", "also the set from before this program's first rollout", false)
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption)
    .action(async (rollout, named, { stack, ...options }) => {
      const { purgeBackup } = await import("../backups/backups.ts");
      await purgeBackup(rollout, renamed(named, stack, "--stack <stack>", "backups purge <rollout> <stack>"), options);
    });
}

function rolloutIn(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new InvalidArgumentError("expected the number of a rollout");
  }
  return Number(text);
}
