import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "commands "));
mkdirSync(join(folder, "stacks"));
writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
for (const stack of ["a", "b"]) {
  writeFileSync(join(folder, "stacks", `Pulumi.${stack}.yaml`), "config: {}\n");
}

afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  const {
    status: code,
    stdout,
    stderr,
  } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", cwd: folder });
  return { code, stdout, stderr };
}

test.each([
  ["--help"],
  ["adopt", "--help"],
  ["status", "--help"],
  ["plan", "--help"],
  ["report", "--help"],
  ["rehearse", "--help"],
  ["fleet", "--help"],
  ["fleet", "status", "--help"],
  ["fleet", "matrix", "--help"],
  ["fleet", "forecast", "--help"],
  ["fleet", "preview", "--help"],
  ["fleet", "up", "--help"],
  ["rollback", "--help"],
  ["backups", "--help"],
  ["backups", "purge", "--help"],
])("%s %s: in 80 columns, with the exit codes", (...args) => {
  const { code, stdout, stderr } = run(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("\nExit codes:\n  0  done; nothing is due, or to be changed\n  1  ");
  expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test.each([
  [
    ["rollback", "--stack", "a", "--cwd", folder],
    "--stack <stack> will go with the next release; it is now rollback <stack>",
    "Cannot tell what to do",
  ],
  [
    ["backups", "--stack", "x", "--cwd", folder],
    "--stack <stack> will go with the next release; it is now backups <stack>",
    "Cannot find the stack file of x",
  ],
  [
    ["backups", "purge", "1", "--stack", "a", "--cwd", folder],
    "it is now backups purge <rollout> <stack>",
    "Cannot ask: standard input is not a terminal",
  ],
  [
    ["fleet", "up", "--stacks", "a,x", "--cwd", folder],
    "--stacks a,b will go with the next release; it is now fleet up a b",
    "Cannot find the stack file of x",
  ],
  [
    ["status", "x", "--identity", "key", "--cwd", folder],
    "--identity will go with the next release; it is now --key",
    "Cannot find the stack file of x",
  ],
])("the earlier spelling %j works, and says the present one", (args, notice, end) => {
  const { code, stdout, stderr } = run(...args);
  expect({ code, stdout, stderr }).toEqual({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(`^notice: .*${notice}\n${end}`),
  });
});

test.each([
  [["status", "--cwd", folder], "Cannot choose a stack: none was given; expected a, b"],
  [["rollback", "--list", "--cwd", folder], "Cannot choose a stack: none was given; expected a, b"],
  [["report", "--cwd", folder], "Cannot choose a stack: none was given; expected a, b"],
  [["report", "x", "--cwd", folder], "Cannot find the stack file of x; expected a, b"],
  [["report", "a", "--rollout", "0", "--cwd", folder], "expected the number of a rollout"],
  [["backups", "--cwd", folder], "Cannot choose a stack: none was given; expected a, b"],
  [
    ["fleet", "preview", "a", "--logs", join(folder, "Pulumi.yaml"), "--cwd", folder],
    "Cannot make the folder .*Pulumi.yaml for the logs: EEXIST: .*; expected one that can be made, or another: --logs <folder>. Nothing was begun",
  ],
  [["status", "--cwd", join(folder, "stacks")], "expected a Pulumi program's folder"],
  [["stat"], "unknown command 'stat'\\n\\(Did you mean status\\?\\)\nRun with --help"],
])("%j is bad usage for every command", (args, message) => {
  expect(run(...args)).toEqual({ code: 3, stdout: "", stderr: expect.stringMatching(message) });
});

test("what comes after pulumi is the CLI's own", () => {
  expect(run("pulumi", "stack", "--help")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("pulumi stack [command]"),
  });
});

test("docs/commands.md has the exit codes of --help", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "commands.md"), "utf8");
  const told = [...page.matchAll(/^\| (\d) \| (.*) \|$/gm)].map(
    ([, code, meaning]) => `  ${code}  ${meaning}`,
  );
  expect(run("--help").stdout).toContain(`Exit codes:\n${told.join("\n")}\n`);
  expect(told).toHaveLength(7);
});

describe("what cannot be written", () => {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");

  test("a result on a full disk: 2, and why", () => {
    const full = openSync("/dev/full", "w");
    const { status: code, stderr } = spawnSync(process.execPath, [program, "--help"], {
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    closeSync(full);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        "Cannot write the result to standard output: ENOSPC: no space left on device, write; expected room for all of it\n",
    });
  });

  test.each([
    ["a result that nobody reads", 0, ["--help"]],
    ["an error that nobody reads", 3, ["status", "x", "--cwd", folder]],
  ])("%s: %i, as if it were read", async (_, expected, args) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(expected);
  });
});

describe("an older Node.js ends with 3 and its version, before anything is read that it cannot", () => {
  const older =
    'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.9.0"});Object.defineProperty(process,"version",{value:"v20.9.0"})';
  const cli = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  const end = (program: string) => {
    const { status, stderr } = spawnSync(process.execPath, ["--import", older, program], {
      encoding: "utf8",
    });
    return { status, stderr };
  };

  test("in a checkout", () => {
    expect(end(cli)).toEqual({
      status: 3,
      stderr:
        "Cannot run from sources with Node.js v20.9.0; expected 22.18 or newer, which npm ci puts into node_modules. Run: npx etcd-rotation\n",
    });
  });

  test("in a package", () => {
    const own = join(folder, "package");
    mkdirSync(join(own, "cli"), { recursive: true });
    writeFileSync(join(own, "package.json"), '{ "type": "module" }\n');
    copyFileSync(cli, join(own, "cli", "etcd-rotation.js"));
    expect(end(join(own, "cli", "etcd-rotation.js"))).toEqual({
      status: 3,
      stderr: "Cannot run with Node.js v20.9.0; expected 22.18 or newer\n",
    });
  });
});
