import { delimiter, dirname, join } from "node:path";
import { agentVariable } from "../../components/survey/agent.ts";
import { compiledFolder } from "./cache-folder.ts";
import { readSelection } from "./engine-selection.ts";
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
      ...(selection.home === undefined ? {} : { PULUMI_HOME: selection.home, PULUMI_CREDENTIALS_PATH: base["PULUMI_CREDENTIALS_PATH"] ?? userHome(base) }),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // the program's modules, compiled: without it half a second goes to Pulumi's SDK before each run
      NODE_COMPILE_CACHE: base["NODE_COMPILE_CACHE"] ?? compiledFolder(base),
      ...(selection.offline ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
    },
  };
}
