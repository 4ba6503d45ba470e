import type { ZodError } from "zod";

/** How a command ends; a number means the same for all of them. The first four are also those of a monitoring plug-in. */
export const exitCodes = {
  done: 0,
  due: 1,
  failed: 2,
  usage: 3,
  declined: 4,
  unfinished: 5,
  refused: 6,
} as const;

/** What each of them means, for --help and docs/commands.md. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: "done; nothing is due, or to be changed",
  due: "a certificate is due, a rotation is at work, or a preview has changes",
  failed: "failed; expired, drifted or interrupted; or a stack was not started",
  usage: "bad usage, or a master or a stack file could not be read",
  declined: "the answer was not yes, or no passphrase was given",
  unfinished: "begun and not finished; the message says how to go on",
  refused: "refused; nothing was changed",
};

/** A foreseen failure; the message is for the person who ran the command. Made by the way in which the command ends. */
export class CommandError extends Error {
  static readonly failed = endingAs("failed");
  static readonly usage = endingAs("usage");
  static readonly declined = endingAs("declined");
  static readonly unfinished = endingAs("unfinished");
  static readonly refused = endingAs("refused");

  override readonly name = "CommandError";
  readonly code: number;

  constructor(message: string, code: number, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

function endingAs(ending: keyof typeof exitCodes) {
  return (message: string, cause?: unknown) => new CommandError(message, exitCodes[ending], cause);
}

/** What a schema has found, each with its key. */
export function issuesIn({ issues }: Pick<ZodError, "issues">): string {
  return issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
}
