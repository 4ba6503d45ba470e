import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, makeFolder } from "./cache-folder.ts";
import { pulumiVersion } from "./engine-modules.ts";
import { runCommand } from "./run-command.ts";

const probeSeconds = 3;
const downloadSeconds = 600;

const checksumsName = `pulumi-${pulumiVersion}-checksums.txt`;

/** Where official releases come from; a company's mirror can stand in. */
function releaseUrl(name: string): string {
  return `${process.env["ETCD_ROTATION_PULUMI_ORIGIN"] ?? "https://get.pulumi.com"}/releases/sdk/${name}`;
}

let reachable: Promise<boolean> | undefined;

/** Whether the official releases can be reached from here; asked once, and answered within three seconds. */
export function canDownload(): Promise<boolean> {
  reachable ??= fetch(releaseUrl(checksumsName), {
    method: "HEAD",
    signal: AbortSignal.timeout(probeSeconds * 1000),
  }).then(
    ({ ok }) => ok,
    () => false,
  );
  return reachable;
}

/** The folder of the downloaded CLI, there or not. */
export function downloadedFolder(): string {
  return join(cacheFolder(), "engine", `official-${pulumiVersion}`);
}

export function isDownloaded(): boolean {
  return existsSync(join(downloadedFolder(), "pulumi"));
}

/** Downloads the official CLI, compares its checksum and unpacks it. */
export async function downloadCli(): Promise<void> {
  const architecture = process.arch === "arm64" ? "arm64" : "x64";
  const name = `pulumi-v${pulumiVersion}-${process.platform}-${architecture}.tar.gz`;
  const sums = (await download(checksumsName)).toString("utf8");
  const expected = sums
    .split("\n")
    .find((line) => line.trim().endsWith(name))
    ?.split(/\s+/)[0];
  const archive = await download(name);
  const actual = createHash("sha256").update(archive).digest("hex");
  if (expected !== actual) {
    throw new Error(`Cannot use ${name}: its SHA-256 is "${actual}"; expected "${expected ?? "an entry"}"`);
  }
  await makeFolder(downloadedFolder(), async (temporary) => {
    const file = join(temporary, name);
    await writeFile(file, archive);
    const result = await runCommand("tar", ["-xzf", file, "-C", temporary, "--strip-components=1"]);
    if (result.code !== 0) {
      throw new Error(`Cannot unpack ${name}: ${result.output.trim()}`);
    }
    await rm(file);
  });
}

/** Lets a CLI fetch an official plug-in; false when it cannot. */
export async function downloadPlugin(pulumi: string, name: string, version: string): Promise<boolean> {
  const result = await runCommand(pulumi, ["plugin", "install", "resource", name, version], {
    timeoutSeconds: downloadSeconds,
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  return result.code === 0;
}

async function download(name: string): Promise<Buffer> {
  const url = releaseUrl(name);
  const response = await fetch(url, { signal: AbortSignal.timeout(downloadSeconds * 1000) });
  if (!response.ok) {
    throw new Error(`Cannot download ${url}: the answer was ${response.status}; expected 200`);
  }
  return Buffer.from(await response.arrayBuffer());
}
