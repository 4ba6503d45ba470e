import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { buildModule, builtFolder, installedGo, isBuilt } from "./build-module.ts";
import { cacheFolder, makeFolder } from "./cache-folder.ts";
import {
  canDownload,
  downloadCli,
  downloadedFolder,
  downloadPlugin,
  isDownloaded,
} from "./download-engine.ts";
import { type EngineSelection, readSelection, writeSelection } from "./engine-environment.ts";
import {
  cliModule,
  type EngineModule,
  languageModule,
  moduleKey,
  type PluginName,
  pluginModule,
  pluginNames,
} from "./engine-modules.ts";
import {
  expectedPluginVersion,
  hasOfficialPlugin,
  officialCli,
  pluginFolder,
  userHome,
} from "./official-engine.ts";
import type { Progress } from "./progress.ts";

/** @throws SetupError when there is neither an engine nor a way to get one. */
export async function requireSource(): Promise<void> {
  if (
    readSelection() === undefined &&
    (await officialCli()) === undefined &&
    !isDownloaded() &&
    !(await canDownload())
  ) {
    await installedGo();
  }
}

/**
 * Makes the Pulumi engine ready: an official one that is there wins, else one that was built before,
 * else a download, else a build from Go modules.
 *
 * @throws SetupError when none of these is possible.
 */
export async function setUpEngine(progress: Progress): Promise<EngineSelection> {
  const go = await installedGo().catch(() => undefined);
  // what was built stays usable when Go is gone
  const search: Search = { progress, builtWith: go ?? readSelection()?.goVersion };
  const cli = await setUpCli(search);
  const built: BuiltPlugin[] = [];
  for (const name of pluginNames) {
    const folder = await setUpPlugin(name, cli.pulumi, search);
    if (folder !== undefined) {
      built.push({ name, folder });
    }
  }
  const selection = {
    pulumi: cli.pulumi,
    ...(built.length > 0 ? { home: await makeHome(built) } : {}),
    offline: cli.built || built.length > 0,
    goVersion: search.builtWith ?? "",
  };
  await writeSelection(selection);
  return selection;
}

/** What all parts of the engine are looked for with. */
interface Search {
  readonly progress: Progress;
  /** The Go that earlier builds are keyed by. */
  readonly builtWith: string | undefined;
}

async function setUpCli({ progress, builtWith }: Search): Promise<{ pulumi: string; built: boolean }> {
  const official = await officialCli();
  if (official !== undefined) {
    progress.ready("pulumi", `${official.version}, on PATH at ${official.pulumi}`);
    return { pulumi: official.pulumi, built: false };
  }
  const downloaded = { pulumi: join(downloadedFolder(), "pulumi"), built: false };
  if (isDownloaded()) {
    progress.ready("pulumi", "the official release, downloaded before");
    return downloaded;
  }
  if (builtWith !== undefined && isBuilt(cliModule, builtWith) && isBuilt(languageModule, builtWith)) {
    progress.ready("pulumi", "built before");
    return { pulumi: join(await makeBundle(builtWith), cliModule.binary), built: true };
  }
  if (await canDownload()) {
    try {
      const why = "none on PATH; downloading the official release";
      await progress.make("pulumi", why, "a minute", downloadCli);
      return downloaded;
    } catch (error) {
      progress.note(`${error instanceof Error ? error.message : String(error)}; building instead`);
    }
  }
  const go = await installedGo();
  await progress.make("pulumi", "no official release can be had; building", "4 minutes on two cores", () =>
    build(go, cliModule, languageModule),
  );
  return { pulumi: join(await makeBundle(go), cliModule.binary), built: true };
}

/** The folder of the plug-in when it is a built one; undefined when the engine finds it by itself. */
async function setUpPlugin(
  name: PluginName,
  pulumi: string,
  { progress, builtWith }: Search,
): Promise<string | undefined> {
  const what = `plug-in ${name}`;
  const version = expectedPluginVersion(name);
  if (hasOfficialPlugin(name)) {
    progress.ready(what, `the official ${version}`);
    return undefined;
  }
  const module = pluginModule(name);
  if (builtWith !== undefined && isBuilt(module, builtWith)) {
    progress.ready(what, "built before");
    return builtFolder(module, builtWith);
  }
  if (await canDownload()) {
    const arrived = await progress.make(what, `downloading the official ${version}`, "seconds", () =>
      downloadPlugin(pulumi, name, version),
    );
    if (arrived) {
      return undefined;
    }
    progress.note(`the official ${version} did not arrive; building instead`);
  }
  const go = await installedGo();
  await progress.make(what, "no official plug-in can be had; building", "a minute", () => build(go, module));
  return builtFolder(module, go);
}

async function build(go: string, ...modules: readonly EngineModule[]): Promise<void> {
  for (const module of modules) {
    if (!isBuilt(module, go)) {
      await buildModule(module, go);
    }
  }
}

/** The engine expects the language host beside the CLI, so a bundle links both into one folder. */
async function makeBundle(go: string): Promise<string> {
  const hash = createHash("sha256").update(moduleKey(cliModule, go)).update(moduleKey(languageModule, go));
  const final = join(cacheFolder(), "engine", `bundle-${hash.digest("hex").slice(0, 16)}`);
  if (!existsSync(final)) {
    await makeFolder(final, async (temporary) => {
      for (const module of [cliModule, languageModule]) {
        await link(join(builtFolder(module, go), module.binary), join(temporary, module.binary));
      }
    });
  }
  return final;
}

/** How many outcomes the engine has in `Progress`. */
export const engineParts = 1 + pluginNames.length;

interface BuiltPlugin {
  readonly name: PluginName;
  readonly folder: string;
}

/**
 * A home for the engine with the built plug-ins and, as links, all that is in the user's own: what lies on PATH
 * the engine would warn of in each run, and nothing that is built here is put among what the user installed.
 */
async function makeHome(built: readonly BuiltPlugin[]): Promise<string> {
  const userFolder = userHome();
  const installed = (
    await readdir(join(userFolder, "plugins"), { withFileTypes: true }).catch(() => [])
  ).filter((entry) => entry.isDirectory());
  const hash = createHash("sha256").update(
    JSON.stringify([built, userFolder, installed.map(({ name }) => name).sort()]),
  );
  const final = join(cacheFolder(), "engine", `home-${hash.digest("hex").slice(0, 16)}`);
  if (!existsSync(final)) {
    await makeFolder(final, async (temporary) => {
      for (const part of ["logs", "workspaces"]) {
        await mkdir(join(userFolder, part), { recursive: true, mode: 0o700 });
        await symlink(join(userFolder, part), join(temporary, part));
      }
      // the engine follows links to files, not to a plug-in's folder
      const folders = [
        ...installed.map(({ name }) => ({ from: join(userFolder, "plugins", name), to: name })),
        ...built.map(({ name, folder }) => ({ from: folder, to: pluginFolder(name) })),
      ];
      for (const { from, to } of folders) {
        await mkdir(join(temporary, "plugins", to), { recursive: true });
        for (const file of await readdir(from)) {
          await symlink(join(from, file), join(temporary, "plugins", to, file));
        }
      }
    });
  }
  return final;
}
