import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { changed, foundAs, makePems } from "../model/cluster.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { FakeCluster } from "./cluster-stack.ts";

// The command on the real engine; the masters' answers are made up.

const project = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "plan "));
const stackFile = join(folder, "stacks", "Pulumi.dev.yaml");
const found = foundAs(makePems("by-hand", "shared"), { clusterId: "7", receipt: undefined, backups: [] });
const masters = await FakeCluster.start(found);

function etcdRotation(...args: string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [join(project, "cli", "etcd-rotation.js"), ...args], {
    environment: {
      ...process.env,
      PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
      PULUMI_CONFIG_PASSPHRASE: "plan",
    },
  });
}

const plan = (...args: string[]) => etcdRotation("plan", "dev", "--cwd", folder, ...args);

function configure(changes: Readonly<Record<string, unknown>> = {}): void {
  const settings = { ...masters.settings(folder, "2026-11"), ...changes };
  const config = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value]),
  );
  writeFileSync(stackFile, JSON.stringify({ config }));
}

beforeAll(async () => {
  for (const each of ["state", "stacks"]) {
    mkdirSync(join(folder, each));
  }
  for (const file of ["Pulumi.yaml", "package.json", "index.ts"]) {
    cpSync(join(project, file), join(folder, file));
  }
  for (const file of readdirSync(join(project, "stacks")).filter((name) => name.endsWith(".ts"))) {
    cpSync(join(project, "stacks", file), join(folder, "stacks", file));
  }
  for (const part of ["cli", "components", "tools", "node_modules"]) {
    symlinkSync(join(project, part), join(folder, part));
  }
  writeFileSync(join(folder, "id"), makeSshKey(), { mode: 0o600 });
  const made = await etcdRotation("pulumi", "stack", "init", "dev", "--cwd", folder, "--non-interactive");
  expect(made.code, made.stderr).toBe(0);
});

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a plan as JSON, as Markdown and in words: the same words, and the exit code of changes", async () => {
  configure();
  const { code, stdout, stderr } = await plan("--json");
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  const { clusters, ...rest } = JSON.parse(stdout);
  expect(rest).toEqual({ stack: "dev", changes: { create: 62 } });
  const { words, expires, ...made } = clusters[0];
  expect(made).toEqual({
    cluster: "",
    rotation: "2026-11",
    rollout: 1,
    isNothingToDo: false,
    mode: "rolling",
    because: [
      "new certificates will be issued",
      "master-1: no rollout has been recorded yet",
      "master-2: no rollout has been recorded yet",
      "master-3: no rollout has been recorded yet",
    ],
    out: {},
    order: {
      trust: ["master-1", "master-2", "master-3"],
      issue: ["master-1", "master-2", "master-3"],
      retire: ["master-2", "master-3", "master-1"],
    },
    handover: "no-key",
    heldBefore: null,
    obstacles: [],
    windowRefusal: null,
  });
  expect(words[0]).toBe('Rollout 1 (rotation "2026-11", rolling):');
  expect(expires).toHaveLength(3);
  expect(await plan()).toEqual({ code: 1, stdout: `dev: 62 create\n${words.join("\n")}\n`, stderr: "" });
  expect((await plan("--markdown")).stdout).toBe(`### dev: 62 create\n\n~~~~\n${words.join("\n")}\n~~~~\n`);
});

test("with --check the states of the rollout are walked as well, from the masters as they are", async () => {
  configure();
  const { code, stdout, stderr } = await plan("--json", "--check");
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  const { check, words } = JSON.parse(stdout).clusters[0];
  expect(check).toMatchObject({ refused: [], way: [] });
  expect(check.states).toBeGreaterThan(1);
  expect(words.join("\n")).not.toContain("Check:");
});

test("a connection that is refused ends a check with the code of a refusal", async () => {
  const stranger = foundAs(makePems("stranger")).masters[1]?.files["etcd-client"];
  masters.found = changed(found, "master-2", ({ files }) => ({
    files: stranger === undefined ? files : { ...files, "etcd-client": stranger },
  }));
  configure();
  const { code, stdout } = await plan("--check");
  masters.found = found;
  expect(code).toBe(6);
  expect(stdout).toContain("\nCheck: connections are refused as it is now:\n");
  expect(stdout).toContain("\n  then etcd-ca on master-1 refuses etcd-client of master-2\n");
});

test("what refuses a preview is an error that says all of it, and nothing else is printed", async () => {
  configure({ rotation: "" });
  const { code, stdout, stderr } = await plan("--json");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^Cannot plan dev: Cannot use the stack file of dev:\n.*rotation/s);
  expect(stderr).not.toContain("    at ");
});

test("what the CLI refuses by itself is its reason alone", async () => {
  configure();
  const file = join(folder, "stacks", "Pulumi.none.yaml");
  cpSync(stackFile, file);
  const none = await etcdRotation("plan", "none", "--cwd", folder);
  rmSync(file);
  expect(none).toEqual({
    code: 2,
    stdout: "",
    stderr:
      "Cannot plan none: no stack named 'none' found; make it with: npx etcd-rotation pulumi stack init <stack>\n",
  });
});

test("JSON and Markdown at once is bad usage", async () => {
  const { code, stderr } = await plan("--json", "--markdown");
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: "Cannot print the plan: saw both --json and --markdown; expected one of them\n",
  });
});
