import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache-folder.ts";
import { cliModule, languageModule, moduleKey, pluginModule, pluginNames } from "./engine-modules.ts";

/** Which engine set-up chose, so that later runs need not look again. */
export interface EngineSelection {
  readonly pulumi: string;
  /** The engine's home while it runs, where plug-ins were built; absent when it is the user's own. */
  readonly home?: string;
  /** Whether something was built, hence nothing can be downloaded while a program runs. */
  readonly offline: boolean;
  /** The Go that builds are keyed by; empty when there is none. */
  readonly goVersion: string;
}

/** One selection for each state of the sources, so that checkouts can share a cache. */
function selectionFile(): string {
  const hash = createHash("sha256");
  for (const module of [cliModule, languageModule, ...pluginNames.map(pluginModule)]) {
    hash.update(moduleKey(module, ""));
  }
  return join(cacheFolder(), "engine", `chosen-${hash.digest("hex").slice(0, 16)}.json`);
}

/** The engine that set-up chose; undefined when it has not, or when part of it is gone. */
export function readSelection(): EngineSelection | undefined {
  const file = selectionFile();
  if (!existsSync(file)) {
    return undefined;
  }
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!isSelection(value)) {
    return undefined;
  }
  return [value.pulumi, value.home ?? value.pulumi].every((path) => existsSync(path)) ? value : undefined;
}

export async function writeSelection(selection: EngineSelection): Promise<void> {
  const file = selectionFile();
  await mkdir(join(file, ".."), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(selection, undefined, "\t")}\n`);
  await rename(temporary, file);
}

function isSelection(value: unknown): value is EngineSelection {
  return (
    typeof value === "object" &&
    value !== null &&
    "pulumi" in value &&
    typeof value.pulumi === "string" &&
    (!("home" in value) || typeof value.home === "string") &&
    "offline" in value &&
    typeof value.offline === "boolean" &&
    "goVersion" in value &&
    typeof value.goVersion === "string"
  );
}
