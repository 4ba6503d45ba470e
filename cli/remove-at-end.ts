import { rmSync } from "node:fs";
import { constants } from "node:os";

const folders: string[] = [];
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Removes a folder when this process ends, also by a signal that nobody else sees to. */
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
  for (const signal of signals) {
    process.on(signal, () => {
      // who runs the Pulumi CLI waits for it to end
      if (process.listenerCount(signal) === 1) {
        process.exit(128 + constants.signals[signal]);
      }
    });
  }
}
