import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Program } from "../project.ts";

/** Where a state is kept before another one takes its place; outside every checkout. */
export function savedFolder({ project, stack }: Pick<Program, "project" | "stack">, env: NodeJS.ProcessEnv = process.env): string {
  const base = env["XDG_STATE_HOME"];
  return join(base !== undefined && base !== "" ? base : join(homedir(), ".local", "state"), "etcd-rotation", "saved-states", project, stack);
}

/** Writes a state, readable by its owner alone, and never over another one. @returns its path */
export function saveState(text: string, folder: string, now: Date): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${now.toISOString().replaceAll(":", "-")}.json`);
  writeFileSync(file, text, { mode: 0o600, flag: "wx", flush: true });
  return file;
}
