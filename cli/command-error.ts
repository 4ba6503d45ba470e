import { styleText } from "node:util";
import { printable } from "../components/model/printable.ts";

/** How a command of this folder ends; `npm run` passes the code on. */
export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, declined: 4, unfinished: 5 } as const;

/** An end that was foreseen; the message is for the person who ran the command. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: number;

  constructor(message: string, { ending, ...options }: ErrorOptions & { readonly ending: keyof typeof exitCodes }) {
    super(message, options);
    this.code = exitCodes[ending];
  }
}

/** Runs a command and turns every error into a message on stderr and an exit code. */
export async function runCommand(main: (args: readonly string[]) => Promise<void>): Promise<void> {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    // a part of it may come from another machine
    const text = (error instanceof Error ? error.message : String(error)).split("\n").map(printable).join("\n");
    process.stderr.write(`${styleText("red", text, { stream: process.stderr })}\n`);
    process.exitCode = error instanceof CommandError ? error.code : exitCodes.failed;
  }
}
