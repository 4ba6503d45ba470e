import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../components/model/text.ts";
import { CommandError } from "./command-error.ts";

/**
 * Replaces a file at once: a reader sees the old text or the new one, never a part. A link stays one: what it leads to is replaced.
 * @param options.isExact whatever this process's umask says, which may well keep more to itself
 * @throws CommandError (failed) when it cannot be written; what was there stays
 */
export function writeAtomically(path: string, text: string, mode: number, { isExact = false } = {}): void {
  const file = existsSync(path) ? realpathSync(path) : path;
  // no reader looks for a name with this ending
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { mode, flag: "wx", flush: true });
    if (isExact) {
      chmodSync(temporary, mode);
    }
    renameSync(temporary, file);
  } catch (error) {
    throw CommandError.failed(
      `Cannot write ${path}: ${messageOf(error)}; expected a file in a folder that is there, with room and the right to write`,
      error,
    );
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A file's text. @throws CommandError (bad usage) when it cannot be read */
export function readText(file: string, what: string, expected: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw CommandError.usage(`Cannot read ${what}: ${messageOf(error)}; expected ${expected}`, error);
  }
}

/** Lends a folder for temporary files, readable by its owner alone, while work is under way. */
export async function inScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-"));
  removeAtEnd(folder);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const folders: string[] = [];

/** Removes a folder when this process ends, also by a signal that nobody else handles. */
export function removeAtEnd(folder: string): void {
  folders.push(folder);
  if (folders.length > 1) {
    return;
  }
  process.once("exit", () => {
    for (const each of folders) {
      rmSync(each, { recursive: true, force: true });
    }
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // whoever runs the Pulumi CLI waits for it to end
      if (process.listenerCount(signal) === 1) {
        process.exit(128 + constants.signals[signal]);
      }
    });
  }
}
