import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";

// The official engine is played by scripts and its releases by a server on loopback: this proves the
// choice, the checksum and the messages, not that Pulumi's real releases unpack as these do.

const setup = join(import.meta.dirname, "..", "..", "tools", "setup.ts");
const archive = `pulumi-v3.259.0-${process.platform}-${process.arch === "arm64" ? "arm64" : "x64"}.tar.gz`;
vi.setConfig({ testTimeout: 60_000 });

const root = mkdtempSync(join(tmpdir(), "setup-engine-"));
let releases: Server;
let origin: string;
let sums = "";
let folder: string;
let turns = 0;

/** A CLI that knows its version and "installs" plug-ins. */
function writeCli(where: string, version: string): void {
  mkdirSync(where, { recursive: true });
  const install = '"$PULUMI_HOME/plugins/resource-$4-v$5"';
  const script = `#!/bin/sh
case "$1" in
version) echo ${version} ;;
plugin) mkdir -p ${install} && : >${install}/pulumi-resource-"$4" ;;
esac
`;
  writeFileSync(join(where, "pulumi"), script, { mode: 0o755 });
  writeFileSync(join(where, "pulumi-language-nodejs"), "#!/bin/sh\n", { mode: 0o755 });
}

function writePlugins(): void {
  for (const plugin of ["tls-v5.6.1/pulumi-resource-tls", "command-v1.2.1/pulumi-resource-command"]) {
    const file = join(folder, "home", "plugins", `resource-${plugin}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
  }
}

interface SetupRun {
  readonly code: number | null;
  readonly told: string;
  readonly json: string;
}

/** Runs set-up with no Go on PATH and nothing of this machine's engine. */
function runSetup(releasesOrigin: string): Promise<SetupRun> {
  const child = spawn(process.execPath, [setup, "--engine", "--json"], {
    env: {
      HOME: folder,
      PATH: join(folder, "bin"),
      PULUMI_HOME: join(folder, "home"),
      ETCD_ROTATION_CACHE: join(folder, "cache"),
      ETCD_ROTATION_PULUMI_ORIGIN: releasesOrigin,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  let json = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    json += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, told, json })));
}

function states(json: string): string[] {
  const outcomes: { what: string; state: string }[] = JSON.parse(json);
  return outcomes.map(({ what, state }) => `${what} ${state}`);
}

beforeAll(async () => {
  writeCli(join(root, "release", "pulumi"), "v3.259.0");
  execFileSync("tar", ["-czf", join(root, archive), "-C", join(root, "release"), "pulumi"]);
  releases = createServer((request, response) => {
    if (request.url === "/releases/sdk/pulumi-3.259.0-checksums.txt") {
      response.end(sums);
    } else if (request.url === `/releases/sdk/${archive}`) {
      response.end(readFileSync(join(root, archive)));
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => releases.listen(0, "127.0.0.1", resolve));
  const address = releases.address();
  origin = typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
});

afterAll(() => {
  releases.close();
  rmSync(root, { recursive: true, force: true });
});

beforeEach(() => {
  turns += 1;
  folder = join(root, `turn-${turns}`);
  mkdirSync(join(folder, "bin"), { recursive: true });
  for (const tool of ["tar", "gzip", "mkdir", "sh"]) {
    symlinkSync(execFileSync("which", [tool], { encoding: "utf8" }).trim(), join(folder, "bin", tool));
  }
  const sum = createHash("sha256")
    .update(readFileSync(join(root, archive)))
    .digest("hex");
  sums = `${sum}  ${archive}\n`;
});

test("an official engine that is there is chosen, and nothing is made", async () => {
  writeCli(join(folder, "bin"), "v3.260.0");
  writePlugins();
  const run = await runSetup("http://127.0.0.1:9");
  expect(run.code, run.told).toBe(0);
  expect(states(run.json)).toEqual(["pulumi ready", "plug-in tls ready", "plug-in command ready"]);
  expect(run.told).toContain(join(folder, "bin", "pulumi"));
});

test("without one, the official release is downloaded, and used the next time", async () => {
  const first = await runSetup(origin);
  expect(first.code, first.told).toBe(0);
  expect(states(first.json)).toEqual(["pulumi made", "plug-in tls made", "plug-in command made"]);
  expect(existsSync(join(folder, "cache", "engine", "official-3.259.0", "pulumi-language-nodejs"))).toBe(true);
  const second = await runSetup("http://127.0.0.1:9");
  expect(second.code, second.told).toBe(0);
  expect(states(second.json)).toEqual(["pulumi ready", "plug-in tls ready", "plug-in command ready"]);
});

test("a CLI that is too old is passed over", async () => {
  writeCli(join(folder, "bin"), "v3.210.9");
  const run = await runSetup(origin);
  expect(run.code, run.told).toBe(0);
  expect(states(run.json)[0]).toBe("pulumi made");
});

test("a release with another checksum is not used", async () => {
  sums = `${"0".repeat(64)}  ${archive}\n`;
  const run = await runSetup(origin);
  expect(run.told).toContain(`Cannot use ${archive}: its SHA-256 is`);
  expect(existsSync(join(folder, "cache", "engine", "official-3.259.0"))).toBe(false);
  expect(run.code).toBe(1);
});

test("with no way at all, set-up says what to install", async () => {
  const run = await runSetup("http://127.0.0.1:9");
  expect(run.code).toBe(1);
  expect(run.told).toContain("expected Go 1.26 or newer");
  expect(run.told).toContain("https://www.pulumi.com/docs/install/");
});
