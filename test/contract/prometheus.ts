import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../tools/engine/cache-folder.ts";
import { type CommandResult, runCommand } from "../../tools/engine/run-command.ts";

/** The folder with Debian's prometheus and promtool: unpacked once, never installed, since the package would start a server. */
export async function prometheusFolder(): Promise<string> {
  const folder = join(cacheFolder(), "prometheus");
  if (!existsSync(folder)) {
    mkdirSync(cacheFolder(), { recursive: true });
    const fresh = mkdtempSync(`${folder}-`);
    try {
      const download = () => runCommand("apt-get", ["download", "prometheus"], { folder: fresh });
      if ((await download()).code !== 0) {
        // the list of packages is missing or too old
        mustPass(await runCommand("apt-get", ["update"]));
        mustPass(await download());
      }
      const [file = ""] = readdirSync(fresh);
      mustPass(await runCommand("dpkg-deb", ["--extract", file, "."], { folder: fresh }));
      renameSync(fresh, folder);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  return join(folder, "usr", "bin");
}

function mustPass({ code, output }: CommandResult): void {
  if (code !== 0) {
    throw new Error(`Cannot get Debian's prometheus: ${output}`);
  }
}
