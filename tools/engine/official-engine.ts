import { existsSync } from "node:fs";
import { access, constants, realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { z } from "zod";
import type { PluginName } from "./engine-modules.ts";
import { runCommand } from "./run-command.ts";

/** The oldest CLI that knows the `replacementTrigger` option of the Node SDK. */
const oldestCli: readonly [number, number] = [3, 211];

const load = createRequire(import.meta.url);

/** The version of a plug-in that the Node SDK in node_modules asks for. */
export function expectedPluginVersion(name: PluginName): string {
  return z.object({ version: z.string() }).parse(load(`@pulumi/${name}/package.json`)).version;
}

/** Where the engine keeps the user's login, selected stacks, logs and, in `plugins`, what it downloads. */
export function userHome(env: NodeJS.ProcessEnv = process.env): string {
  return env["PULUMI_HOME"] || join(homedir(), ".pulumi");
}

/** Whether the official plug-in, in the version that the program asks for, is there. */
export function hasOfficialPlugin(name: PluginName): boolean {
  return existsSync(join(userHome(), "plugins", pluginFolder(name), `pulumi-resource-${name}`));
}

/** The folder below `plugins` in which the engine looks for a plug-in. */
export function pluginFolder(name: PluginName): string {
  return `resource-${name}-v${expectedPluginVersion(name)}`;
}

/** The first CLI on PATH that is new enough and has the Node language host, if there is one. */
export async function officialCli(): Promise<{ pulumi: string; version: string } | undefined> {
  for (const folder of pathFolders()) {
    const pulumi = join(folder, "pulumi");
    if (!((await isExecutable(pulumi)) && (await hasLanguageHost(pulumi)))) {
      continue;
    }
    const result = await runCommand(pulumi, ["version"], {
      timeoutSeconds: 10,
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    const version = result.output.trim();
    if (result.code === 0 && isNewEnough(version)) {
      return { pulumi, version };
    }
  }
  return undefined;
}

function pathFolders(): string[] {
  return (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
}

async function hasLanguageHost(pulumi: string): Promise<boolean> {
  const folders = [dirname(await realpath(pulumi)), ...pathFolders()];
  const found = await Promise.all(
    folders.map((folder) => isExecutable(join(folder, "pulumi-language-nodejs"))),
  );
  return found.includes(true);
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Whether `v3.259.0` and the like is at least the oldest usable CLI. */
function isNewEnough(version: string): boolean {
  const [, major = 0, minor = 0] = /^v?(\d+)\.(\d+)\./.exec(version)?.map(Number) ?? [];
  return major > oldestCli[0] || (major === oldestCli[0] && minor >= oldestCli[1]);
}
