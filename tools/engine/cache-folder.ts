import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The folder of everything that can be made again; deleting it costs only time. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return (
    env["ETCD_ROTATION_CACHE"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "etcd-rotation")
  );
}

/** The folder in which Node keeps modules compiled from one run to the next. */
export function compiledFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), "node");
}

/** Fills a folder aside and renames it into place: an unfinished one is never used. */
export async function makeFolder(final: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(final), { recursive: true });
  const temporary = await mkdtemp(`${final}.`);
  try {
    await fill(temporary);
    await rename(temporary, final).catch((error: unknown) => {
      // Another set-up was faster with the same.
      if (!existsSync(final)) {
        throw error;
      }
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
