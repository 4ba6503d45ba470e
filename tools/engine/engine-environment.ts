import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { z } from "zod";
import { agentVariable } from "../../components/survey/agent.ts";
import { cacheFolder, compiledFolder } from "./cache-folder.ts";
import { cliModule, languageModule, moduleKey, pluginModule, pluginNames } from "./engine-modules.ts";
import { userHome } from "./official-engine.ts";

const projectBinaries = join(import.meta.dirname, "..", "..", "node_modules", ".bin");

/** The Pulumi CLI and the environment that it needs. */
export interface EngineEnvironment {
  readonly pulumi: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The engine that `npm run setup` chose, with Node.js and the language host on PATH, and with its plug-ins.
 * Backend and passphrase stay the caller's.
 *
 * @throws Error when the engine is not set up.
 */
export function engineEnvironment(base: NodeJS.ProcessEnv = process.env): EngineEnvironment {
  const selection = readSelection();
  if (selection === undefined) {
    throw new Error("Cannot run Pulumi: the engine is not set up. Run: npm run setup -- --engine");
  }
  // the official command plug-in would ask that agent at every step, and fail where it is gone; only the program knows who wants one
  const { SSH_AUTH_SOCK: agent, ...rest } = base;
  const folders = [projectBinaries, dirname(selection.pulumi), base["PATH"] ?? ""];
  return {
    pulumi: selection.pulumi,
    env: {
      ...rest,
      ...(agent === undefined ? {} : { [agentVariable]: agent }),
      PATH: folders.filter((folder) => folder !== "").join(delimiter),
      ...(selection.home === undefined
        ? {}
        : {
            PULUMI_HOME: selection.home,
            PULUMI_CREDENTIALS_PATH: base["PULUMI_CREDENTIALS_PATH"] ?? userHome(base),
          }),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // the program's modules, compiled: without it half a second goes to Pulumi's SDK before each run
      NODE_COMPILE_CACHE: base["NODE_COMPILE_CACHE"] ?? compiledFolder(base),
      ...(selection.offline ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
    },
  };
}

/** Which engine set-up chose, so that later runs need not look again. */
const selectionShape = z.object({
  pulumi: z.string(),
  /** The engine's home while it runs, where plug-ins were built; absent when it is the user's own. */
  home: z.string().exactOptional(),
  /** Whether something was built, hence nothing can be downloaded while a program runs. */
  offline: z.boolean(),
  /** The Go that builds are keyed by; empty when there is none. */
  goVersion: z.string(),
});
export type EngineSelection = z.output<typeof selectionShape>;

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
  const { data } = selectionShape.safeParse(JSON.parse(readFileSync(file, "utf8")));
  return data !== undefined && [data.pulumi, data.home ?? data.pulumi].every((path) => existsSync(path))
    ? data
    : undefined;
}

export async function writeSelection(selection: EngineSelection): Promise<void> {
  const file = selectionFile();
  await mkdir(join(file, ".."), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(selection, undefined, "\t")}\n`);
  await rename(temporary, file);
}
