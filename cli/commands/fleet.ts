import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { cwdOption, jsonOption, renamed } from "./options.ts";

const mostParallel = 32;

const running = `
All stacks need the same PULUMI_CONFIG_PASSPHRASE, or the same
PULUMI_CONFIG_PASSPHRASE_FILE, or a secrets provider that asks for none. Ctrl-C
starts no further stack and lets Pulumi end the ones at work; a step that has
begun on a master finishes.`;

export function addFleet(program: Command): void {
  const fleet = program
    .command("fleet")
    .summary("status, preview and up of many stacks; a matrix for a CI")
    .description("Works on many stacks, a few at a time; each is one cluster.");
  common(fleet.command("status"))
    .description("A line per cluster, read only; without Pulumi.")
    .action(async (named, { stacks, ...options }) => {
      const { fleetStatus } = await import("../fleet/fleet.ts");
      process.exitCode = await fleetStatus(chosen("status", named, stacks), options);
    });
  common(fleet.command("matrix"))
    .description(
      "The stacks that are due, expired or drifted as JSON on one line, for the matrix of a CI: one job each. Ends with 0 where status would with 1 or 2.",
    )
    .action(async (named, { stacks, ...options }) => {
      const { fleetMatrix } = await import("../fleet/fleet.ts");
      await fleetMatrix(chosen("matrix", named, stacks), options);
    });
  for (const [command, description] of [
    ["preview", "What would change, in every stack; a failure stops no other."],
    [
      "up",
      "Previews each stack and updates the ones with changes. After a failure no further stack is started; those at work are waited for. \
The same command again goes on where it stopped: a stack without changes is skipped. One whose window is shut waits.",
    ],
  ] as const) {
    common(fleet.command(command))
      .description(description)
      .option("--parallel <n>", "stacks at work at one time; see docs/fleet.md", parallelIn, 2)
      .option("--canary <stack>", "this one first and alone; up starts the others only when it is as wanted, not when it waits for its window")
      .option("--logs <folder>", "where each stack's log goes (default: .fleet/<time>)")
      .addHelpText("after", running)
      .action(async (named, { stacks, ...options }) => {
        const { fleetRun } = await import("../fleet/fleet.ts");
        process.exitCode = await fleetRun(command, chosen(command, named, stacks), options);
      });
  }
}

/** What every command of the fleet takes. */
function common(command: Command) {
  return command
    .argument("[stack...]")
    .option("--all", "every stack with a file in stacks/", false)
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(new Option("--stacks <stacks>").hideHelp());
}

function chosen(command: string, named: readonly string[], stacks: string | undefined): readonly string[] {
  const earlier = renamed(undefined, stacks, "--stacks a,b", `fleet ${command} a b`)?.split(",") ?? [];
  return [...named, ...earlier.filter((name) => name !== "")];
}

function parallelIn(text: string): number {
  const parallel = Number(text);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > mostParallel) {
    throw new InvalidArgumentError(`expected 1 to ${mostParallel}`);
  }
  return parallel;
}
