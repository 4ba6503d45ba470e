import { existsSync, readdirSync, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "../engine/cache-folder.ts";
import { Progress, SetupError } from "../engine/progress.ts";
import { runCommand } from "../engine/run-command.ts";
import { engineParts, requireSource, setUpEngine } from "../engine/set-up-engine.ts";

interface SetupParts {
  readonly engine: boolean;
  readonly lab: boolean;
}

export function progressOf(parts: SetupParts): Progress {
  return new Progress((parts.engine ? engineParts : 0) + (parts.lab ? labParts : 0));
}

/**
 * The engine and the lab side by side: while one compiles, the other unpacks Debian.
 *
 * @throws SetupError before anything is made where this machine can be seen not to do.
 */
export async function setUp(parts: SetupParts, progress: Progress = progressOf(parts)): Promise<void> {
  if (parts.lab) {
    await requireLabMachine();
  }
  if (parts.engine) {
    await requireSource();
  }
  const ended = await Promise.allSettled([
    ...(parts.engine ? [setUpEngine(progress)] : []),
    ...(parts.lab ? [setUpLab(progress)] : []),
  ]);
  const failures: unknown[] = ended.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  const expected = failures.filter((failure) => failure instanceof SetupError);
  if (expected.length < failures.length) {
    throw failures.find((failure) => !(failure instanceof SetupError));
  }
  if (expected.length > 0) {
    throw new SetupError(expected.map(({ message }) => message).join("\n"));
  }
}

/** Makes the image of the lab's masters; ends at once when it is there. */
const imageBuild = join(import.meta.dirname, "..", "..", "test", "lab", "image", "build");

/** How many outcomes the lab has in `Progress`. */
const labParts = 2;

/** Makes the lab ready: Debian packages, then the masters' image. @throws SetupError */
async function setUpLab(progress: Progress): Promise<void> {
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

/** What the lab and the checks of the bash scripts need from Debian. */
const debianPackages = [
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
  "acl",
] as const;

/** While this file says 101, Debian starts no service that it installs: the lab starts its own. */
const servicePolicy = "/usr/sbin/policy-rc.d";

/** @throws SetupError when packages are missing and cannot be installed. */
async function setUpDebianPackages(progress: Progress): Promise<void> {
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
    const command = ["install", "-y", "--no-install-recommends", ...names];
    let result = await aptGet(command);
    if (result.code !== 0) {
      // the usual reason is a list of packages that is missing or too old
      await aptGet(["update"]);
      result = await aptGet(command);
    }
    if (result.code !== 0) {
      throw new SetupError(
        `Cannot install ${names.join(" ")}:\n${result.output.trim().slice(-2000)}\nRun: apt-get update && apt-get install -y ${names.join(" ")}`,
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

/**
 * To be called before anything is built or installed.
 *
 * @throws SetupError where the lab cannot run, with what the machine can do and what to do for the rest.
 */
export async function requireLabMachine(): Promise<void> {
  const kernel = (await runCommand("uname", ["-s"])).output.trim();
  if (kernel !== "Linux" || (await runCommand("dpkg-query", ["--version"])).code !== 0) {
    throw new SetupError(
      `Cannot make the lab ready: this is ${kernel === "Linux" ? "no Debian" : kernel}; expected Debian or Ubuntu. ` +
        "Without the lab all commands work, on real clusters. Run: npm run setup -- --engine\n" +
        "The demo and the lab's tests need Debian, in a virtual machine for example. Here: npm test -- --only types,lint,model",
    );
  }
  // sudo may keep HOME, and root's files in it would keep out its owner; it always takes away what PATH has of Node.js and Go
  const home = homedir();
  const isForeign = process.env["SUDO_UID"] !== undefined && statSync(home).uid !== 0;
  if (process.getuid?.() !== 0 || isForeign) {
    throw new SetupError(
      `Cannot make the lab ready: ${isForeign ? `HOME is "${home}", which is not root's` : `this is ${userInfo().username}`}; expected root${isForeign ? "'s own" : ""}. ` +
        `Run: sudo -H env "PATH=$PATH" npm run ${process.env["npm_lifecycle_event"] ?? "setup"}\n` +
        "Without root all commands work, on real clusters: npm run setup -- --engine",
    );
  }
}
