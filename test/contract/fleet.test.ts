import { spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import type { CommandSpec } from "./spec.ts";
import { type KeyPair, makeKeyPair, type SshServer, startSshServer } from "./ssh-server.ts";

// Seven small stacks with the real engine and a real sshd. What has been done is read from a file that the commands write.

const project = join(import.meta.dirname, "..", "..");
const root = mkdtempSync(join(tmpdir(), "fleet-contract-"));
const done = join(root, "done");
const stacks = ["s01", "s02", "s03", "s04", "s05", "s06", "s07"];
/** what each test begins with: no stack has been updated */
const kept = ["state", "stacks"] as const;
const engine = engineEnvironment();
// an agent that is gone is nobody's business here
const env = {
  ...engine.env,
  SSH_AUTH_SOCK: join(root, "agent"),
  PULUMI_BACKEND_URL: pathToFileURL(join(root, "state")).href,
  PULUMI_CONFIG_PASSPHRASE: "fleet",
};
let server: SshServer;
let key: KeyPair;

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Results {
  readonly exitCode: number;
  readonly stacks: readonly {
    readonly stack: string;
    readonly outcome: string;
    readonly changes: Record<string, number>;
    readonly reason: string | null;
    readonly log: string | null;
  }[];
}

beforeAll(async () => {
  key = makeKeyPair(root, "key");
  server = await startSshServer(root, "server", [key]);
  for (const folder of ["state", "stacks"]) {
    mkdirSync(join(root, folder));
  }
  writeFileSync(
    join(root, "Pulumi.yaml"),
    "name: fleet\nstackConfigDir: stacks\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
  );
  writeFileSync(join(root, "package.json"), '{ "type": "module", "main": "fleet-program.ts" }\n');
  for (const file of ["fleet-program.ts", "spec.ts"]) {
    copyFileSync(join(import.meta.dirname, file), join(root, file));
  }
  symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
  for (const stack of stacks) {
    const made = await run(engine.pulumi, ["stack", "init", stack, "--no-select", "--non-interactive"]);
    expect(made.code, made.stderr).toBe(0);
  }
  for (const name of kept) {
    cpSync(join(root, name), join(root, "begun", name), { recursive: true });
  }
});

beforeEach(() => {
  for (const name of kept) {
    rmSync(join(root, name), { recursive: true });
    cpSync(join(root, "begun", name), join(root, name), { recursive: true });
  }
  rmSync(done, { force: true });
  askFor("first");
});

afterAll(async () => {
  await server?.stop();
  rmSync(root, { recursive: true, force: true });
});

/** What each stack is to do; another turn is another trigger. */
function askFor(turn: string, before = ""): void {
  const connection = {
    host: server.host,
    port: server.port,
    user: server.user,
    hostKey: server.hostKey,
    privateKey: key.privateKey,
  };
  const work = Object.fromEntries(
    stacks.map((stack): [string, CommandSpec] => [
      stack,
      {
        connection,
        create: `${before}test ! -e "${root}/broken-${stack}" || exit 7; echo ${stack} >>"${done}"`,
        triggers: [turn],
        addPreviousOutputInEnv: false,
      },
    ]),
  );
  writeFileSync(join(root, "work.json"), JSON.stringify(work), { mode: 0o600 });
}

function run(program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Run> {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...text }));
  });
}

async function fleet(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Run & Results> {
  const ended = await run(
    process.execPath,
    [join(project, "cli", "etcd-rotation.js"), "fleet", ...args, "--json", "--cwd", root],
    more,
  );
  const results: Results = ended.stdout === "" ? { exitCode: -1, stacks: [] } : JSON.parse(ended.stdout);
  return { ...ended, ...results };
}

function outcomes({ stacks: all }: Results): Record<string, string> {
  return Object.fromEntries(all.map(({ stack, outcome }) => [stack, outcome]));
}

function doneStacks(): string[] {
  return existsSync(done) ? readFileSync(done, "utf8").split("\n").slice(0, -1) : [];
}

test("preview shows every stack's changes and does nothing", async () => {
  const previewed = await fleet(["preview", "--all", "--parallel", "3"]);
  expect([previewed.code, outcomes(previewed)], previewed.stderr).toEqual([
    1,
    Object.fromEntries(stacks.map((stack) => [stack, "changes"])),
  ]);
  expect(previewed.stacks[0]?.changes).toEqual({ create: 2 });
  expect(doneStacks()).toEqual([]);
});

test("up: the canary first, and after a failure no further stack; the same command goes on", async () => {
  writeFileSync(join(root, "broken-s03"), "");
  const logs = join(root, "logs");
  const failed = await fleet(["up", "--all", "--parallel", "2", "--canary", "s05", "--logs", logs]);
  expect([failed.code, failed.exitCode], failed.stderr).toEqual([2, 2]);
  const before = outcomes(failed);
  expect([before["s05"], before["s03"], before["s07"]]).toEqual(["updated", "failed", "not started"]);
  const first = doneStacks();
  expect(first[0]).toBe("s05");
  expect(first.toSorted()).toEqual(stacks.filter((stack) => before[stack] === "updated"));

  const third = failed.stacks.find(({ stack }) => stack === "s03");
  expect(third?.reason).toContain("Process exited with status 7");
  expect(third?.log).toBe(join(logs, "s03.log"));
  expect(readFileSync(join(logs, "s03.log"), "utf8")).toContain("Process exited with status 7");
  expect(readdirSync(logs).map((name) => name.replace(".log", ""))).toEqual(
    stacks.filter((stack) => before[stack] !== "not started"),
  );
  for (const name of readdirSync(logs)) {
    expect(statSync(join(logs, name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(logs, name), "utf8")).not.toContain("PRIVATE KEY");
  }
  expect(failed.stderr).toMatch(/^s05: previewing\ns05: updating\ns05: updated after \d+\.\d s\n/);

  rmSync(join(root, "broken-s03"));
  const finished = await fleet(["up", "--all", "--parallel", "3"]);
  expect([finished.code, finished.exitCode], finished.stderr).toEqual([0, 0]);
  expect(outcomes(finished)).toEqual(
    Object.fromEntries(stacks.map((stack) => [stack, before[stack] === "updated" ? "unchanged" : "updated"])),
  );
  expect(doneStacks().toSorted()).toEqual(stacks);
});

test("what the user has selected stays", async () => {
  await run(engine.pulumi, ["stack", "select", "s02"]);
  const { code, stacks: all } = await fleet(["up", "s04", "s05"]);
  expect([code, all.map(({ stack, outcome }) => `${stack} ${outcome}`)]).toEqual([
    0,
    ["s04 updated", "s05 updated"],
  ]);
  expect((await run(engine.pulumi, ["stack", "--show-name"])).stdout.trim()).toBe("s02");
});

test("reasons are those of Pulumi: no such stack, another password", async () => {
  writeFileSync(join(root, "stacks", "Pulumi.unknown.yaml"), "config: {}\n");
  const unknown = await fleet(["preview", "unknown", "s01"]);
  expect([unknown.code, outcomes(unknown)]).toEqual([2, { unknown: "failed", s01: "changes" }]);
  expect(unknown.stacks[0]?.reason).toContain("no stack named 'unknown' found");
  const locked = await fleet(["preview", "s01"], { PULUMI_CONFIG_PASSPHRASE: "wrong" });
  expect([locked.code, locked.stacks[0]?.reason]).toEqual([
    2,
    expect.stringContaining("incorrect passphrase"),
  ]);
});

test("a signal: Pulumi ends the stack at work, no further one is started, and the same command goes on", async () => {
  const go = join(root, "go");
  askFor("second", `until test -e "${go}"; do sleep 0.1; done; `);
  const child = spawn(
    process.execPath,
    [
      join(project, "cli", "etcd-rotation.js"),
      "fleet",
      "up",
      "--all",
      "--parallel",
      "1",
      "--json",
      "--cwd",
      root,
    ],
    {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  const told = new Promise<void>((resolve) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (stderr.includes("s01: updating") && !child.killed) {
        child.kill("SIGTERM");
      }
      if (stderr.includes("no more stacks are started")) {
        resolve();
      }
    });
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  await told;
  writeFileSync(go, "");
  expect(await ended).toBe(2);
  const results: Results = JSON.parse(stdout);
  expect(results.stacks.slice(1).every(({ outcome }) => outcome === "not started")).toBe(true);
  const finished = await fleet(["up", "s01", "s02", "--parallel", "2"]);
  expect(finished.code, finished.stderr).toBe(0);
  expect(new Set(doneStacks())).toEqual(new Set(["s01", "s02"]));
});

test("a stack whose window is shut waits, and keeps no other from being updated", async () => {
  const file = join(root, "stacks", "Pulumi.s01.yaml");
  const before = readFileSync(file, "utf8");
  // a window of one minute, half a day from now
  const half = (new Date().getUTCHours() + 12) % 24;
  const time = (minute: number) => `"${String(half).padStart(2, "0")}:${String(minute).padStart(2, "0")}"`;
  writeFileSync(
    file,
    `${before}config:\n  fleet:window: { from: ${time(0)}, to: ${time(1)}, timeZone: UTC }\n`,
  );
  const shut = await fleet(["up", "s01", "s02", "--parallel", "1"]);
  expect([shut.code, outcomes(shut)], shut.stderr).toEqual([2, { s01: "not started", s02: "updated" }]);
  expect(shut.stacks[0]?.reason).toMatch(
    /^Cannot begin a rollout of s01 now: it is .*ETCD_ROTATION_IGNORE_WINDOW=s01 /,
  );
  const other = await fleet(["up", "s01"], { ETCD_ROTATION_IGNORE_WINDOW: "s02" });
  expect(other.code).toBe(2);
  const ignored = await fleet(["up", "s01"], { ETCD_ROTATION_IGNORE_WINDOW: "s01" });
  expect([ignored.code, outcomes(ignored)], ignored.stderr).toEqual([0, { s01: "updated" }]);
});

test("bad usage begins nothing", async () => {
  for (const [args, message] of [
    [["destroy", "--all"], "unknown command 'destroy'"],
    [["up"], "Cannot choose a stack: none was given; expected s01, "],
    [["up", "--all", "--parallel", "0"], "expected 1 to 32"],
    [
      ["up", "s01", "--canary", "s02"],
      'Cannot begin with --canary "s02"; expected one of the chosen stacks: s01',
    ],
  ] as const) {
    expect(await fleet(args)).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringContaining(message),
    });
  }
});
