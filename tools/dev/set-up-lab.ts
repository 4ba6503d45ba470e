import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../engine/cache-folder.ts";
import type { Progress } from "../engine/progress.ts";
import { runCommand } from "../engine/run-command.ts";
import { SetupError } from "../engine/setup-error.ts";
import { setUpDebianPackages } from "./debian-packages.ts";

/** Makes the image of the lab's masters; ends at once when it is there. */
const imageBuild = join(import.meta.dirname, "..", "..", "test", "lab", "image", "build");

/** How many outcomes the lab has in `Progress`. */
export const labParts = 2;

/** Makes the lab ready: Debian packages, then the masters' image. @throws SetupError */
export async function setUpLab(progress: Progress): Promise<void> {
  await setUpDebianPackages(progress);
  const start = performance.now();
  const before = imageParts();
  const result = await runCommand(imageBuild, [], { live: "stderr" });
  if (result.code !== 0) {
    throw new SetupError(`Cannot make the masters' image: test/lab/image/build ended with ${result.code}`);
  }
  const made = imageParts().filter((part) => !before.includes(part));
  if (made.length === 0) {
    progress.ready("masters' image", "built before");
  } else {
    progress.made("masters' image", made.join(" "), (performance.now() - start) / 1000);
  }
}

/** A part appears under its final name when it is complete. */
function imageParts(): string[] {
  const folder = join(cacheFolder(), "lab");
  return existsSync(folder) ? readdirSync(folder) : [];
}
