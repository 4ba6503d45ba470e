import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { buildModule, builtFolder, installedGo, isBuilt } from "./build-module.ts";
import { cacheFolder } from "./cache-folder.ts";
import { canDownload, downloadCli, downloadedFolder, downloadPlugin, isDownloaded } from "./download-engine.ts";
import { cliModule, type EngineModule, languageModule, moduleKey, type PluginName, pluginModule, pluginNames } from "./engine-modules.ts";
import { type EngineSelection, readSelection, writeSelection } from "./engine-selection.ts";
import { expectedPluginVersion, hasOfficialPlugin, officialCli } from "./official-engine.ts";
import type { Progress } from "./progress.ts";

/**
 * Makes the Pulumi engine ready: an official one that is there wins, else one that was built before,
 * else a download, else a build from Go modules.
 *
 * @throws SetupError when none of these is possible.
 */
export async function setUpEngine(progress: Progress): Promise<EngineSelection> {
  const go = await installedGo().catch(() => undefined);
  const search: Search = {
    progress,
    canDownload: onceAsked(canDownload),
    // What was built stays usable when Go is gone.
    builtWith: go ?? readSelection()?.goVersion,
  };
  const cli = await setUpCli(search);
  const pathFolders: string[] = [];
  for (const name of pluginNames) {
    const folder = await setUpPlugin(name, cli.pulumi, search);
    if (folder !== undefined) {
      pathFolders.push(folder);
    }
  }
  const offline = cli.built || pathFolders.length > 0;
  const selection = { pulumi: cli.pulumi, pathFolders, offline, goVersion: go ?? search.builtWith ?? "" };
  await writeSelection(selection);
  return selection;
}

/** What all parts of the engine are looked for with. */
interface Search {
  readonly progress: Progress;
  readonly canDownload: () => Promise<boolean>;
  /** The Go that earlier builds are keyed by. */
  readonly builtWith: string | undefined;
}

function onceAsked(question: () => Promise<boolean>): () => Promise<boolean> {
  let answer: Promise<boolean> | undefined;
  return () => {
    answer ??= question();
    return answer;
  };
}

async function setUpCli({ progress, canDownload, builtWith }: Search): Promise<{ pulumi: string; built: boolean }> {
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
      await progress.make("pulumi", "none on PATH; downloading the official release", downloadCli);
      return downloaded;
    } catch (error) {
      progress.note(`${error instanceof Error ? error.message : String(error)}; building instead`);
    }
  }
  const go = await installedGo();
  await build(cliModule, go, "no official release can be had; building takes about 4 minutes", progress);
  await build(languageModule, go, "runs the program in Node.js; about half a minute", progress);
  return { pulumi: join(await makeBundle(go), cliModule.binary), built: true };
}

/** The folder for PATH when the plug-in is a built one; undefined when the engine finds it by itself. */
async function setUpPlugin(name: PluginName, pulumi: string, { progress, canDownload, builtWith }: Search): Promise<string | undefined> {
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
    const arrived = await progress.make(what, `downloading the official ${version}`, () => downloadPlugin(pulumi, name, version));
    if (arrived) {
      return undefined;
    }
    progress.note(`the official ${version} did not arrive; building instead`);
  }
  const go = await installedGo();
  await build(module, go, "no official plug-in can be had; building takes one or two minutes", progress);
  return builtFolder(module, go);
}

async function build(module: EngineModule, go: string, why: string, progress: Progress): Promise<void> {
  if (!isBuilt(module, go)) {
    await progress.make(module.binary, why, () => buildModule(module, go));
  }
}

/** The engine expects the language host beside the CLI, so a bundle links both into one folder. */
function bundleFolder(go: string): string {
  const hash = createHash("sha256").update(moduleKey(cliModule, go)).update(moduleKey(languageModule, go));
  return join(cacheFolder(), "engine", `bundle-${hash.digest("hex").slice(0, 16)}`);
}

async function makeBundle(go: string): Promise<string> {
  const final = bundleFolder(go);
  if (existsSync(final)) {
    return final;
  }
  await mkdir(join(final, ".."), { recursive: true });
  const temporary = await mkdtemp(`${final}.`);
  try {
    for (const module of [cliModule, languageModule]) {
      await link(join(builtFolder(module, go), module.binary), join(temporary, module.binary));
    }
    await rename(temporary, final).catch((error: unknown) => {
      if (!existsSync(final)) {
        throw error;
      }
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return final;
}
