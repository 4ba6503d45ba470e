import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { cacheFolder } from "../../tools/engine/cache-folder.ts";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, makePems } from "../model/cluster.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { FakeCluster } from "./cluster-stack.ts";

// The steps of examples/github-actions as a runner's shell gets them, in a clone, with the real engine and a `gh` that only takes
// notes. What the masters answer is made up; the actions, and what GitHub does with the file, are not tested.

const project = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "workflow "));
const origin = join(folder, "origin");
const clone = join(folder, "clone");
const home = join(folder, "home");
const programs = join(folder, "programs");
const masters = await FakeCluster.start(
  foundAs(makePems("by-hand", "shared"), { clusterId: "7", receipt: undefined, backups: [] }),
);

const step = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  if: z.string().optional(),
  uses: z.string().optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
});
type Step = z.infer<typeof step>;
const workflow = z
  .object({
    env: z.record(z.string(), z.string()),
    defaults: z.object({ run: z.object({ shell: z.literal("bash") }) }),
    jobs: z.record(z.string(), z.object({ steps: z.array(step) })),
  })
  .parse(parse(readFileSync(join(project, "examples", "github-actions", "etcd-rotation.yaml"), "utf8")));

const values: Record<string, string> = {
  "github.base_ref": "main",
  "github.event.number": "12",
  "github.token": "a token",
  "matrix.stack": "dev",
  "secrets.BUCKET_KEY": "",
  "secrets.BUCKET_KEY_ID": "",
  "secrets.PULUMI_CONFIG_PASSPHRASE": "workflow",
  "secrets.SSH_PRIVATE_KEY": makeSshKey().trimEnd(),
  "vars.PULUMI_BACKEND_URL": pathToFileURL(join(folder, "state")).href,
};

/** With each expression as GitHub would put it in; one that this test does not know is an error. */
function filledIn(variables: Readonly<Record<string, string>> = {}): Record<string, string> {
  const fill = (text: string) =>
    text.replaceAll(/\$\{\{ (.+?) \}\}/g, (_, expression: string) => {
      const value = values[expression];
      if (value === undefined) {
        throw new Error(`Cannot fill in ${expression}`);
      }
      return value;
    });
  return Object.fromEntries(Object.entries(variables).map(([name, text]) => [name, fill(text)]));
}

/** A shell as the runner has it: no variable of this process but PATH, and a home of its own. */
async function inClone(
  script: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  return runProgram(
    "bash",
    ["-c", 'cd "$1" && exec bash --noprofile --norc -eo pipefail -c "$2"', "bash", clone, script],
    {
      environment: {
        ...filledIn(workflow.env),
        ...filledIn(variables),
        PATH: `${programs}${delimiter}${process.env["PATH"]}`,
        HOME: home,
        ETCD_ROTATION_CACHE: cacheFolder(),
        GITHUB_OUTPUT: join(folder, "outputs"),
      },
    },
  );
}

async function must(script: string): Promise<void> {
  const { code, stdout, stderr } = await inClone(script);
  expect(code, stdout + stderr).toBe(0);
}

/** The steps of a job until one fails; then those that always run. `npm ci` is done: node_modules is there. */
async function runJob(name: string): Promise<{ failed: string | undefined; output: string }> {
  let failed: string | undefined;
  let output = "";
  const steps: readonly Step[] = workflow.jobs[name]?.steps ?? [];
  for (const { run, env, ...each } of steps) {
    if (run === undefined || run === "npm ci" || (failed !== undefined && each.if !== "always()")) {
      continue;
    }
    const { code, stdout, stderr } = await inClone(run, env);
    output += stdout + stderr;
    failed ??= code === 0 ? undefined : each.name;
  }
  return { failed, output };
}

function configure(settings: Readonly<Record<string, unknown>>): void {
  const file = join(clone, "stacks", "Pulumi.dev.yaml");
  const { encryptionsalt } = z
    .object({ encryptionsalt: z.string() })
    .parse(parse(readFileSync(file, "utf8")));
  const config = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value]),
  );
  writeFileSync(file, JSON.stringify({ encryptionsalt, config }));
}

const settings = () => ({
  ...masters.settings(folder, "2026-11"),
  ssh: { privateKeyPath: "~/.ssh/etcd-rotation" },
});
const note = (name: string) => readFileSync(join(folder, name), "utf8");

beforeAll(async () => {
  for (const each of [origin, home, programs, join(folder, "state")]) {
    mkdirSync(each);
  }
  for (const file of ["Pulumi.yaml", "package.json", "index.ts", "stacks", "cli"]) {
    cpSync(join(project, file), join(origin, file), {
      recursive: true,
      filter: (path) => !/Pulumi\.(?!example)[^/]*\.yaml$/.test(path),
    });
  }
  for (const part of ["components", "tools", "node_modules"]) {
    symlinkSync(join(project, part), join(origin, part));
  }
  writeFileSync(
    join(programs, "gh"),
    `#!/bin/bash\nprintf '%s\\n' "$*" >'${folder}/asked'\ncat >'${folder}/comment'\n`,
    { mode: 0o755 },
  );
  const git = "git -c user.name=somebody -c user.email=somebody@example.com";
  const made = await runProgram("bash", [
    "-ec",
    `cd "$1" && git init -q -b main && git add . && ${git} commit -qm program && git clone -q . "$2" && cd "$2" && git checkout -qb change`,
    "bash",
    origin,
    clone,
  ]);
  expect(made.code, made.stderr).toBe(0);
  await must("npm run --silent pulumi -- stack init dev --non-interactive");
  configure(settings());
  await must(`git add stacks && ${git} commit -qm dev`);
  cpSync(join(folder, "state"), join(folder, "begun"), { recursive: true });
});

beforeEach(() => {
  for (const each of ["state", "outputs"]) {
    rmSync(join(folder, each), { recursive: true, force: true });
  }
  cpSync(join(folder, "begun"), join(folder, "state"), { recursive: true });
  configure(settings());
});

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a pull request gets the plan as a comment, and the key is gone afterwards", async () => {
  const { failed, output } = await runJob("preview");
  expect([failed, output]).toEqual([undefined, ""]);
  expect(note("asked")).toBe("pr comment 12 --edit-last --create-if-none --body-file -\n");
  expect(note("comment")).toMatch(
    /^### dev: 62 create\n\n~~~~\nRollout 1 \(rotation "2026-11", rolling\):\n.*\n~~~~\n$/s,
  );
  await must("test -d ~/.ssh && test ! -e ~/.ssh/etcd-rotation");
});

test("a preview that is refused fails the job, and the comment says why", async () => {
  configure({ ...settings(), rotation: "" });
  expect(await runJob("preview")).toEqual({ failed: "Preview", output: "" });
  expect(note("comment")).toContain("Cannot use the stack file of dev");
});

test("up goes over the stacks in the folder, and rotates", async () => {
  expect(await runJob("stacks")).toEqual({ failed: undefined, output: "" });
  expect(note("outputs")).toBe('names=["dev"]\n');
  const { failed, output } = await runJob("up");
  expect(failed, output).toBeUndefined();
  expect(output).toMatch(/\+ 62 created/);
});
