import "../tools/engine/compile-cache.ts";
import { styleText } from "node:util";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { printable } from "../components/model/printable.ts";
import { CommandError, exitCodeMeanings, exitCodes, messageOf } from "./command-error.ts";
import { addAdopt } from "./commands/adopt.ts";
import { addBackups } from "./commands/backups.ts";
import { addFleet } from "./commands/fleet.ts";
import { addPulumi } from "./commands/pulumi.ts";
import { addRollback } from "./commands/rollback.ts";
import { addStatus } from "./commands/status.ts";

/** A message for a person, a part of which may come from another machine. */
function tell(message: string): void {
  const text = message.trimEnd().split("\n").map(printable).join("\n");
  process.stderr.write(`${styleText("red", text, { stream: process.stderr })}\n`);
}

const endings = Object.values(exitCodeMeanings).map((meaning, code) => `  ${code}  ${meaning}`);

const program = new Command("etcd-rotation")
  .description("Rotates the etcd certificates of ACK dedicated clusters. A stack is one cluster; without its name, a command takes the only one there is.")
  .exitOverride()
  .configureOutput({ outputError: (text) => tell(`Cannot read the command line: ${text.replace(/^error: /, "")}`) })
  .configureHelp({
    optionDescription: ({ description, defaultValue, defaultValueDescription }) =>
      defaultValue === undefined || typeof defaultValue === "boolean" ? description : `${description} (default: ${defaultValueDescription ?? defaultValue})`,
  })
  .showHelpAfterError("Run with --help")
  .helpCommand(false)
  // what comes after the name of a command belongs to that command
  .enablePositionalOptions()
  .addHelpText("afterAll", ["\nExit codes:", ...endings].join("\n"));
for (const add of [addAdopt, addStatus, addFleet, addRollback, addBackups, addPulumi]) {
  add(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // what was wrong has been told by then; help that was asked for is none
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  } else {
    tell(messageOf(error));
    process.exitCode = error instanceof CommandError ? error.code : exitCodes.failed;
  }
}
