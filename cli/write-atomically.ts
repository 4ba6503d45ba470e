import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** Replaces a file at once: a reader sees the old text or the new one, never a part. A link stays one: what it leads to is replaced. */
export function writeAtomically(path: string, text: string, mode: number): void {
  const file = existsSync(path) ? realpathSync(path) : path;
  // no reader takes a name with this ending for its own
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const descriptor = openSync(temporary, "wx", mode);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}
