import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache-folder.ts";
import { type EngineModule, engineSources, moduleKey, sourcesOf } from "./engine-modules.ts";
import { runCommand } from "./run-command.ts";
import { SetupError } from "./setup-error.ts";

/** The oldest Go that can build every module: what their go.mod files say. */
const oldestGo = "1.26";

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
  if (result.code !== 0) {
    throw new SetupError(
      `Cannot build the Pulumi engine: no usable Go was found (${result.output.trim()}); ` +
        `expected Go ${oldestGo} or newer.\n` +
        "Install Go from https://go.dev/doc/install, or the Pulumi CLI from " +
        "https://www.pulumi.com/docs/install/, then run: npm run setup -- --engine",
    );
  }
  return result.output.trim();
}

/** Builds a binary in a temporary folder and renames that: an unfinished build is never used. */
export async function buildModule(module: EngineModule, goVersion: string): Promise<void> {
  const final = builtFolder(module, goVersion);
  await mkdir(join(final, ".."), { recursive: true });
  const temporary = await mkdtemp(`${final}.`);
  try {
    const output = join(temporary, module.binary);
    const args = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", ...module.flags];
    const result = await runCommand("go", [...args, "-o", output, module.target], {
      folder: sourcesOf(module),
      env: { ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" },
    });
    if (result.code !== 0) {
      throw new SetupError(`Cannot build ${module.binary} in ${sourcesOf(module)}:\n${result.output.trim().slice(-4000)}`);
    }
    await rename(temporary, final).catch((error: unknown) => {
      // Another set-up was faster with the same build.
      if (!isBuilt(module, goVersion)) {
        throw error;
      }
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
