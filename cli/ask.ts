import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { CommandError } from "./command-error.ts";

/** True when a person can answer. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true;
}

/** A question on the terminal; only the word "yes" is one. */
export async function isConfirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const gone = Promise.withResolvers<string>();
  terminal.once("close", () => gone.resolve(""));
  try {
    return (await Promise.race([terminal.question(`${question} Type yes to go on: `), gone.promise])).trim() === "yes";
  } finally {
    terminal.close();
  }
}

/**
 * Asks once for the stack's passphrase where no variable has it, since the CLI would ask for each of its runs.
 * @returns what to add to the CLI's environment
 * @throws CommandError (declined) at Ctrl-C or Ctrl-D
 */
export async function passphraseFor(secretsProvider: string | undefined): Promise<NodeJS.ProcessEnv> {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file } = process.env;
  if (secretsProvider !== "passphrase" || given !== undefined || (file !== undefined && file !== "")) {
    return {};
  }
  if (!canAsk()) {
    throw new CommandError("Cannot read the keys of the state: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE", {
      ending: "usage",
    });
  }
  return { PULUMI_CONFIG_PASSPHRASE: await secretFor("Passphrase of the stack", "passphrase") };
}

/** Asks on the terminal, without showing the answer. @throws CommandError (declined) at Ctrl-C or Ctrl-D */
export async function secretFor(question: string, kind: "passphrase" | "password"): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const gone = Promise.withResolvers<never>();
  terminal.once("close", () => gone.reject(new CommandError(`Cannot go on: no ${kind} was given`, { ending: "declined" })));
  try {
    process.stderr.write(`${question}: `);
    return await Promise.race([terminal.question(""), gone.promise]);
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}
