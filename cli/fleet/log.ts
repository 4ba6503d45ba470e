import { closeSync, openSync, writeSync } from "node:fs";
import { messageOf } from "../command-error.ts";

/** All that Pulumi says of one stack, in a file for its owner alone. */
export interface Log {
  write(text: string): void;
  /** why it is not whole; undefined when it is */
  problem(): string | undefined;
  close(): void;
}

/** A log that cannot be written any more ends nothing: an update that is under way goes on. @throws Error when there can be none */
export function openLog(path: string): Log {
  const file = opened(path);
  let problem: string | undefined;
  return {
    write: (text) => {
      try {
        writeSync(file, text);
      } catch (error) {
        problem ??= `its log is not whole: ${messageOf(error)}`;
      }
    },
    problem: () => problem,
    close: () => closeSync(file),
  };
}

function opened(path: string): number {
  try {
    return openSync(path, "w", 0o600);
  } catch (error) {
    throw new Error(
      `Cannot write the log ${path}: ${messageOf(error)}; expected a folder with room, or another one: --logs <folder>`,
      { cause: error },
    );
  }
}
