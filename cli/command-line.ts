import { type ParseArgsConfig, parseArgs } from "node:util";
import { CommandError } from "./command-error.ts";

/** Reads a command line strictly. @throws CommandError (bad usage) on anything that is not an option */
export function readArguments<T extends NonNullable<ParseArgsConfig["options"]>>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new CommandError(`Cannot read the command line: ${error instanceof Error ? error.message : String(error)}. Run with --help`, {
      ending: "usage",
      cause: error,
    });
  }
}

/** The stack's name. @throws CommandError (bad usage) when it is missing or not a plain name */
export function stackName(value: string | undefined, expected = "--stack <name>"): string {
  if (value === undefined || !/^[A-Za-z0-9._-]{1,100}$/.test(value)) {
    throw new CommandError(`Cannot choose a stack: saw ${value === undefined ? "no --stack" : `"${value}"`}; expected ${expected}`, { ending: "usage" });
  }
  return value;
}
