import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

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
