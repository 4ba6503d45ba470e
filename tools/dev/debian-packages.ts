import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import type { Progress } from "../engine/progress.ts";
import { runCommand } from "../engine/run-command.ts";
import { SetupError } from "../engine/setup-error.ts";

/** What the lab and the checks of the bash scripts need from Debian. */
export const debianPackages = [
  "systemd-container",
  "debootstrap",
  "iproute2",
  "haproxy",
  "openssh-client",
  "openssh-server",
  "openssl",
  "shellcheck",
  "shfmt",
  "etcd-client",
] as const;

/** While this file says 101, Debian starts no service that it installs: the lab starts its own. */
const servicePolicy = "/usr/sbin/policy-rc.d";

/** @throws SetupError when packages are missing and cannot be installed. */
export async function setUpDebianPackages(progress: Progress): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) {
    progress.ready("Debian packages", `all ${debianPackages.length} installed`);
    return;
  }
  await progress.make("Debian packages", missing.join(" "), "half a minute", () => install(missing));
}

async function missingPackages(): Promise<string[]> {
  const format = "${Package} ${Status}\n";
  const query = await runCommand("dpkg-query", ["-W", "-f", format, ...debianPackages]);
  const installed = new Set(
    query.output
      .split("\n")
      .filter((line) => line.endsWith(" install ok installed"))
      .map((line) => line.split(" ")[0]),
  );
  return debianPackages.filter((name) => !installed.has(name));
}

async function install(names: readonly string[]): Promise<void> {
  const ownsPolicy = !existsSync(servicePolicy);
  if (ownsPolicy) {
    await writeFile(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  }
  try {
    const first = await aptGet(["install", "-y", "--no-install-recommends", ...names]);
    if (first.code === 0) {
      return;
    }
    // The usual reason is a list of packages that is missing or too old.
    await aptGet(["update"]);
    const second = await aptGet(["install", "-y", "--no-install-recommends", ...names]);
    if (second.code !== 0) {
      throw new SetupError(
        `Cannot install ${names.join(" ")}:\n${second.output.trim().slice(-2000)}\nRun: apt-get update && apt-get install -y ${names.join(" ")}`,
      );
    }
  } finally {
    if (ownsPolicy) {
      await rm(servicePolicy, { force: true });
    }
  }
}

function aptGet(args: readonly string[]) {
  return runCommand("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}
