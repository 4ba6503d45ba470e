import { delimiter, dirname, join } from "node:path";
import { compiledFolder } from "./setup/cache-folder.ts";
import { readSelection } from "./setup/engine-selection.ts";

const projectBinaries = join(import.meta.dirname, "..", "node_modules", ".bin");

/** The Pulumi CLI and the environment that it needs. */
export interface EngineEnvironment {
  readonly pulumi: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The engine that `npm run setup` chose, with Node.js, the language host and the plug-ins on PATH.
 * Backend and passphrase stay the caller's.
 *
 * @throws Error when the engine is not set up.
 */
export function engineEnvironment(base: NodeJS.ProcessEnv = process.env): EngineEnvironment {
  const selection = readSelection();
  if (selection === undefined) {
    throw new Error("Cannot run Pulumi: the engine is not set up. Run: npm run setup -- --engine");
  }
  const folders = [projectBinaries, ...selection.pathFolders, dirname(selection.pulumi), base["PATH"] ?? ""];
  return {
    pulumi: selection.pulumi,
    env: {
      ...base,
      PATH: folders.filter((folder) => folder !== "").join(delimiter),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // the program's modules, compiled: without it half a second goes to Pulumi's SDK before each run
      NODE_COMPILE_CACHE: base["NODE_COMPILE_CACHE"] ?? compiledFolder(base),
      ...(selection.offline ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
    },
  };
}
