import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache-folder.ts";
import { setUpDebianPackages } from "./debian-packages.ts";
import type { Progress } from "./progress.ts";
import { runCommand } from "./run-command.ts";
import { SetupError } from "./setup-error.ts";

/** Makes the image of the lab's masters; ends at once when it is there. */
const imageBuild = join(import.meta.dirname, "..", "..", "test", "lab", "image", "build");

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
