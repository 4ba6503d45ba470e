import "../tools/engine/compile-cache.ts";
import { styleText } from "node:util";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { messageOf, printable } from "../components/model/text.ts";
import { CommandError, exitCodeMeanings, exitCodes } from "./command-error.ts";
import {
  declareAdopt,
  declareFleet,
  declareFleetRun,
  declareForecast,
  declareList,
  declarePlan,
  declarePurge,
  declareRehearse,
  declareReport,
  declareRollback,
  declareStatus,
  renamed,
} from "./commands.ts";

/** A message for a person, a part of which may come from another machine. */
function tell(message: string): void {
  const text = message.trimEnd().split("\n").map(printable).join("\n");
  process.stderr.write(`${styleText("red", text, { stream: process.stderr })}\n`);
}

// a reader that has gone, or a full disk, ends nothing that is under way; a result that is lost is no success
process.stderr.on("error", () => undefined);
process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
  // whoever has closed a pipe has read enough
  if (code !== "EPIPE" && process.listenerCount("exit", keepFailure) === 0) {
    process.on("exit", keepFailure);
    tell(`Cannot write the result to standard output: ${message}; expected room for all of it`);
  }
});

function keepFailure(): void {
  process.exitCode = exitCodes.failed;
}

const endings = Object.values(exitCodeMeanings).map((meaning, code) => `  ${code}  ${meaning}`);

const program = new Command("etcd-rotation")
  .description(
    "Rotates the etcd certificates of ACK dedicated clusters. A stack is one cluster; without its name, a command takes the only one there is.",
  )
  .exitOverride()
  .configureOutput({
    outputError: (text) => tell(`Cannot read the command line: ${text.replace(/^error: /, "")}`),
  })
  .configureHelp({
    optionDescription: ({ description, defaultValue, defaultValueDescription }) =>
      defaultValue === undefined || typeof defaultValue === "boolean"
        ? description
        : `${description} (default: ${defaultValueDescription ?? defaultValue})`,
  })
  .showHelpAfterError("Run with --help")
  .helpCommand(false)
  // what comes after the name of a command belongs to that command
  .enablePositionalOptions()
  .addHelpText("afterAll", ["\nExit codes:", ...endings].join("\n"));

// the workings of a command are loaded when it runs
declareAdopt(program).action(async (stack, { identity, ...options }) => {
  const { adopt } = await import("./adopt/adopt.ts");
  await adopt(stack, { ...options, key: renamed(options.key, identity, "--identity", "--key") });
});

declareStatus(program).action(async (stacks, { identity, ...options }) => {
  const { status } = await import("./status/status.ts");
  process.exitCode = await status(stacks, {
    ...options,
    key: renamed(options.key, identity, "--identity", "--key"),
  });
});

declarePlan(program).action(async (stack, options) => {
  const { plan } = await import("./plan/plan.ts");
  process.exitCode = await plan(stack, options);
});

declareReport(program).action(async (stack, options) => {
  const { report } = await import("./report/report.ts");
  await report(stack, options);
});

declareRehearse(program).action(async (stack, options) => {
  const { rehearse } = await import("./rehearse/rehearse.ts");
  process.exitCode = await rehearse(stack, options);
});

const fleet = program
  .command("fleet")
  .summary("status, preview and up of many stacks; a forecast; a matrix for a CI")
  .description("Works on many stacks, a few at a time; each is one cluster.");

function chosen(command: string, named: readonly string[], stacks: string | undefined): readonly string[] {
  const earlier = renamed(undefined, stacks, "--stacks a,b", `fleet ${command} a b`)?.split(",") ?? [];
  return [...named, ...earlier.filter((name) => name !== "")];
}

declareFleet(fleet, "status", "A line per cluster, read only; without Pulumi.").action(
  async (named, { stacks, ...options }) => {
    const { fleetStatus } = await import("./fleet/fleet.ts");
    process.exitCode = await fleetStatus(chosen("status", named, stacks), options);
  },
);

declareFleet(
  fleet,
  "matrix",
  "The stacks that are due, expired, drifted or interrupted as JSON on one line, for the matrix of a CI: one job each. Ends with 0 where status would with 1 or 2.",
).action(async (named, { stacks, ...options }) => {
  const { fleetMatrix } = await import("./fleet/fleet.ts");
  await fleetMatrix(chosen("matrix", named, stacks), options);
});

declareForecast(fleet).action(async (named, { stacks, ...options }) => {
  const { fleetForecast } = await import("./fleet/forecast.ts");
  process.exitCode = await fleetForecast(chosen("forecast", named, stacks), options);
});

for (const [command, description] of [
  ["preview", "What would change, in every stack; a failure stops no other."],
  [
    "up",
    "Previews each stack and updates the ones with changes. After a failure no more stacks are started; those that are running are waited for. \
The same command again goes on where it stopped: a stack without changes is skipped. One whose window is shut waits.",
  ],
] as const) {
  declareFleetRun(fleet, command, description).action(async (named, { stacks, ...options }) => {
    const { fleetRun } = await import("./fleet/fleet.ts");
    process.exitCode = await fleetRun(command, chosen(command, named, stacks), options);
  });
}

declareRollback(program).action(async (named, rest, { stack, ...options }) => {
  const { rollback } = await import("./rollback/rollback.ts");
  // with the earlier spelling every argument is a file
  const files = stack === undefined || named === undefined ? rest : [named, ...rest];
  await rollback(
    renamed(stack === undefined ? named : undefined, stack, "--stack <stack>", "rollback <stack>"),
    files,
    options,
  );
});

const backups = program
  .command("backups")
  .summary("list or remove the earlier sets that the masters keep")
  .description("What the masters keep of earlier sets of certificates.")
  .helpCommand(false);

declareList(backups).action(async (named, { stack, ...options }) => {
  const { listBackups } = await import("./backups/backups.ts");
  await listBackups(renamed(named, stack, "--stack <stack>", "backups <stack>"), options);
});

declarePurge(backups).action(async (rollout, named, { stack, ...options }) => {
  const { purgeBackup } = await import("./backups/backups.ts");
  await purgeBackup(
    rollout,
    renamed(named, stack, "--stack <stack>", "backups purge <rollout> <stack>"),
    options,
  );
});

program
  .command("pulumi")
  .summary("the Pulumi CLI: yours when it is new enough, else one that is fetched or built")
  .argument("[argument...]")
  .helpOption(false)
  .allowUnknownOption()
  .passThroughOptions()
  .action(async (args) => {
    const { runPulumi } = await import("../tools/engine/pulumi.ts");
    process.exitCode = await runPulumi(args);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // commander has already said what was wrong; a request for help is no error
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  } else {
    tell(messageOf(error));
    process.exitCode = error instanceof CommandError ? error.code : exitCodes.failed;
  }
}
