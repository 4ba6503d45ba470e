import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

// The official engine is played by scripts and its releases by a server on loopback: this proves the
// choice, the checksum and the messages, not that Pulumi's real releases unpack as these do.

const project = join(import.meta.dirname, "..", "..");
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

function writeTool(name: string, script: string): void {
  writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

interface SetupRun {
  readonly code: number | null;
  readonly told: string;
  readonly json: string;
}

interface Circumstances {
  /** the program and its arguments, in place of set-up */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly uid?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs set-up with no Go on PATH and nothing of this machine's engine. */
function runSetup(
  releasesOrigin: string,
  { args = ["--engine"], command = ["tools/dev/setup.ts", "--json", ...args], uid, env }: Circumstances = {},
): Promise<SetupRun> {
  const child = spawn(process.execPath, command, {
    cwd: project,
    ...(uid === undefined ? {} : { uid }),
    env: {
      HOME: folder,
      PATH: join(folder, "bin"),
      PULUMI_HOME: join(folder, "home"),
      ETCD_ROTATION_CACHE: join(folder, "cache"),
      ETCD_ROTATION_PULUMI_ORIGIN: releasesOrigin,
      ...env,
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
  expect(existsSync(join(folder, "cache", "engine", "official-3.259.0", "pulumi-language-nodejs"))).toBe(
    true,
  );
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

test("a Go that is too old builds nothing", async () => {
  writeTool("go", "echo go1.19.8");
  const run = await runSetup("http://127.0.0.1:9");
  expect(run.code).toBe(1);
  expect(run.told).toMatch(
    /^Cannot build the Pulumi engine: no usable Go was found \(go1\.19\.8\); expected Go 1\.26 or newer/,
  );
});

test("what is built goes to a home of its own, with the user's plug-ins; the user's has nothing more", async () => {
  writeTool(
    "go",
    'if [ "$1" = env ]; then echo go1.26.8; exit; fi\nwhile [ "$1" != -o ]; do shift; done\necho "$3" >"$2"',
  );
  const other = join(folder, "home", "plugins", "resource-random-v4.0.0");
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, "pulumi-resource-random"), "random");
  const run = await runSetup("http://127.0.0.1:9");
  expect(run.code, run.told).toBe(0);
  expect(states(run.json)).toEqual(["pulumi made", "plug-in tls made", "plug-in command made"]);
  expect(run.told).toContain("plug-in command (");
  expect(run.told).toContain("[3 of 3]");
  const engine = join(folder, "cache", "engine");
  const home = readdirSync(engine).find((name) => name.startsWith("home-")) ?? "";
  const inHome = (name: string, version: string) =>
    readFileSync(
      join(engine, home, "plugins", `resource-${name}-v${version}`, `pulumi-resource-${name}`),
      "utf8",
    );
  expect([inHome("tls", "5.6.1"), inHome("command", "1.2.1"), inHome("random", "4.0.0")]).toEqual([
    ".\n",
    ".\n",
    "random",
  ]);
  expect(readdirSync(join(folder, "home", "plugins"))).toEqual(["resource-random-v4.0.0"]);
});

/** Set-up of everything; nothing must have been made. */
async function expectRefused(circumstances: Circumstances, first: RegExp): Promise<void> {
  const run = await runSetup(origin, { args: [], ...circumstances });
  expect(run.told).toMatch(first);
  expect({ code: run.code, json: JSON.parse(run.json), made: existsSync(join(folder, "cache")) }).toEqual({
    code: 1,
    json: [],
    made: false,
  });
}

test("on a Mac the first line says what it can do and what the rest needs", async () => {
  writeTool("uname", "echo Darwin");
  await expectRefused(
    {},
    /^Cannot make the lab ready: this is Darwin; expected Debian or Ubuntu\. .* Run: npm run setup -- --engine\n/,
  );
});

test.each([
  "tools/dev/demo.ts",
  "tools/dev/test.ts",
  "tools/dev/test.ts --only lab",
  "test/lab/lab.ts up --name mac",
])("and so does that of %s", async (line) => {
  writeTool("uname", "echo Darwin");
  const { code, told, json } = await runSetup(origin, { command: line.split(" ") });
  expect(told).toMatch(
    /^Cannot make the lab ready: this is Darwin; expected Debian or Ubuntu\. .* Run: npm run setup -- --engine\n/,
  );
  expect([code === 0, json, existsSync(join(folder, "cache"))]).toEqual([false, "", false]);
});

test("so it does on a Linux that is no Debian", async () => {
  writeTool("uname", "echo Linux");
  await expectRefused(
    {},
    /^Cannot make the lab ready: this is no Debian; expected Debian or Ubuntu\. .* Run: npm run setup -- --engine\n/,
  );
});

describe.skipIf(process.getuid?.() !== 0)("on Debian", () => {
  beforeEach(() => {
    writeTool("uname", "echo Linux");
    writeTool("dpkg-query", "");
    chmodSync(root, 0o755);
  });

  test("who is not root is told how to become root and keep PATH", async () => {
    await expectRefused(
      { uid: 65_534, env: { npm_lifecycle_event: "demo" } },
      /^Cannot make the lab ready: this is nobody; expected root\. Run: sudo -H env "PATH=\$PATH" npm run demo\nWithout root .* npm run setup -- --engine\n/,
    );
  });

  test("a sudo that keeps HOME would leave root's files in it", async () => {
    chownSync(folder, 65_534, 65_534);
    await expectRefused(
      { env: { SUDO_UID: "65534" } },
      /^Cannot make the lab ready: HOME is ".*", which is not root's; expected root's own\. Run: sudo -H /,
    );
  });
});
