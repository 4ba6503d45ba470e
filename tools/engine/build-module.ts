import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, makeFolder } from "./cache-folder.ts";
import { type EngineModule, engineSources, moduleKey, sourcesOf } from "./engine-modules.ts";
import { SetupError } from "./progress.ts";
import { runCommand } from "./run-command.ts";

/** The oldest Go that can build every module: what their go.mod files say. */
const oldestGo = 26;

/** The folder that holds the module's binary once it is built. */
export function builtFolder(module: EngineModule, goVersion: string): string {
  return join(cacheFolder(), "engine", `${module.folder}-${moduleKey(module, goVersion)}`);
}

export function isBuilt(module: EngineModule, goVersion: string): boolean {
  return existsSync(join(builtFolder(module, goVersion), module.binary));
}

/** @throws SetupError when there is no Go; Go fetches a newer toolchain by itself where it may. */
export async function installedGo(): Promise<string> {
  const result = await runCommand("go", ["env", "GOVERSION"], { folder: join(engineSources, "cli") });
  // one that is older than 1.21 does not look for what go.mod asks for
  if (result.code !== 0 || Number(/^go1\.(\d+)/.exec(result.output)?.[1]) < oldestGo) {
    throw new SetupError(
      `Cannot build the Pulumi engine: no usable Go was found (${result.output.trim()}); ` +
        `expected Go 1.${oldestGo} or newer.\n` +
        "Install Go from https://go.dev/doc/install, or the Pulumi CLI from " +
        "https://www.pulumi.com/docs/install/, then run: npm run setup -- --engine",
    );
  }
  return result.output.trim();
}

/** What every build has in common, so that one uses what another compiled. DWARF is a fifth of the work, and stripped anyway. */
export const commonFlags = ["-mod=readonly", "-trimpath", "-gcflags=all=-dwarf=false"] as const;

/** @throws SetupError with what Go said. */
export async function buildModule(module: EngineModule, goVersion: string): Promise<void> {
  await makeFolder(builtFolder(module, goVersion), async (temporary) => {
    const flags = [...commonFlags, "-buildvcs=false", ...module.flags];
    const args = ["build", ...flags, "-o", join(temporary, module.binary), module.target];
    // with the usual 100 the compiler collects its own garbage for a fifth of the time
    const env = { GOGC: "400", ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" };
    const result = await runCommand("go", args, { folder: sourcesOf(module), env });
    if (result.code !== 0) {
      throw new SetupError(
        `Cannot build ${module.binary} in ${sourcesOf(module)}:\n${result.output.trim().slice(-4000)}`,
      );
    }
  });
}
