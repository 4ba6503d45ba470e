import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { describe, expect, test } from "vitest";
import { handOut, matrixOf, unknownIn } from "../../cli/fleet/fleet.ts";
import {
  changesIn,
  describeResults,
  exitCodeOf,
  jsonOf,
  notStarted,
  type Outcome,
  type Result,
  reasonOf,
} from "../../cli/fleet/result.ts";
import { openStack, runStack } from "../../cli/fleet/run-stack.ts";
import { describeOverview } from "../../cli/status/table.ts";
import { drifted, unpainted } from "./made-up.ts";

function result(stack: string, outcome: Outcome, rest: Partial<Result> = {}): Result {
  return {
    stack,
    outcome,
    seconds: 12.34,
    changes: {},
    reason: undefined,
    log: `/logs/${stack}.log`,
    ...rest,
  };
}

/** Hands out with a record of what was started, and how many were at work at once. */
async function recorded(
  options: Partial<Parameters<typeof handOut>[1]>,
  failing: readonly string[] = [],
  waiting: readonly string[] = [],
) {
  const started: string[] = [];
  let [running, most] = [0, 0];
  const results = await handOut(
    ["a", "b", "c", "d", "e"],
    { parallel: 2, canary: undefined, stopsAtFailure: true, isInterrupted: () => false, ...options },
    async (stack) => {
      started.push(stack);
      running += 1;
      most = Math.max(most, running);
      // what fails does so while others are at work
      for (let turn = 0; turn < (failing.includes(stack) ? 1 : 5); turn += 1) {
        await Promise.resolve();
      }
      running -= 1;
      return result(
        stack,
        failing.includes(stack) ? "failed" : waiting.includes(stack) ? "not started" : "updated",
      );
    },
  );
  return { started, most, outcomes: results.map(({ stack, outcome }) => `${stack} ${outcome}`) };
}

describe("stacks are handed out", () => {
  test("a few at a time, in their order", async () => {
    expect(await recorded({})).toEqual({
      started: ["a", "b", "c", "d", "e"],
      most: 2,
      outcomes: ["a updated", "b updated", "c updated", "d updated", "e updated"],
    });
  });

  test("none any more after a failure; what is at work ends", async () => {
    expect(await recorded({}, ["b"])).toEqual({
      started: ["a", "b"],
      most: 2,
      outcomes: ["a updated", "b failed", "c not started", "d not started", "e not started"],
    });
  });

  test("all of them when a failure is no reason to stop", async () => {
    const { started, outcomes } = await recorded({ stopsAtFailure: false }, ["b"]);
    expect([started.length, outcomes[1], outcomes[4]]).toEqual([5, "b failed", "e updated"]);
  });

  test("the canary first and alone", async () => {
    const { started, outcomes } = await recorded({ canary: "d", parallel: 5 });
    expect([started, outcomes[3]]).toEqual([["d", "a", "b", "c", "e"], "d updated"]);
  });

  test("none after a canary that failed", async () => {
    expect((await recorded({ canary: "d" }, ["d"])).started).toEqual(["d"]);
  });

  test("none after a canary whose window is shut; any other that waits holds nobody", async () => {
    expect(await recorded({ canary: "d" }, [], ["d"])).toMatchObject({
      started: ["d"],
      outcomes: expect.arrayContaining(["a not started"]),
    });
    expect((await recorded({ canary: "d" }, [], ["a"])).started).toEqual(["d", "a", "b", "c", "e"]);
  });

  test("none once somebody has interrupted", async () => {
    let asked = 0;
    const { started } = await recorded({ parallel: 1, isInterrupted: () => ++asked > 2 });
    expect(started).toEqual(["a", "b"]);
  });
});

test("what Pulumi's summary says of changes", () => {
  expect(changesIn({ same: 61, read: 1 })).toEqual({});
  expect(changesIn({ same: 1, create: 0, replace: 18, "delete-replaced": 18, read: 1 })).toEqual({
    replace: 18,
    "delete-replaced": 18,
  });
});

test("the exit code tells changes, failures and what was left out apart", () => {
  expect(exitCodeOf([result("a", "unchanged"), result("b", "updated")])).toBe(0);
  expect(exitCodeOf([result("a", "unchanged"), result("b", "changes")])).toBe(1);
  expect(exitCodeOf([result("a", "changes"), result("b", "failed")])).toBe(2);
  expect(exitCodeOf([result("a", "updated"), notStarted("b")])).toBe(2);
});

describe("why a run failed", () => {
  test("is what the engine calls an error, without its marks", () => {
    expect(
      reasonOf(
        ["<{%reset%}>update failed<{%reset%}>", "<{%fg 1%}>Cannot finish trust:\n  x<{%reset%}>"],
        "error: other",
      ),
    ).toBe("Cannot finish trust: x");
  });

  test("or what the CLI calls one", () => {
    expect(
      reasonOf([], "code: 255\n stdout: \n stderr: Command failed\nerror: no stack named 'x' found\n"),
    ).toBe("no stack named 'x' found; make it with: npx etcd-rotation pulumi stack init <stack>");
  });

  test("or the last thing that was said, and never a long text", () => {
    expect(reasonOf([], "spawn pulumi ENOENT\n\n")).toBe("spawn pulumi ENOENT");
    expect(reasonOf(["x".repeat(1000)], "")).toBe(`${"x".repeat(400)}…`);
  });
});

test("the summary: a line per stack, why it failed, and how to go on", () => {
  const results = [
    result("prod-a", "updated", { changes: { replace: 62 }, seconds: 89 }),
    result("prod-b", "failed", {
      changes: { replace: 62 },
      reason: "trust-master-2: Process exited with status 5",
    }),
    notStarted("prod-c"),
  ];
  expect(describeResults(results, "up", 80, unpainted).join("\n")).toBe(`stack   result       seconds  changes
prod-a  updated         89.0  62 replace
prod-b  failed          12.3  62 replace
prod-c  not started

prod-b: trust-master-2: Process exited with status 5
  log: /logs/prod-b.log

3 stacks: 1 updated, 1 failed, 1 not started
To go on, the same command again: what is done is skipped.`);
  expect(JSON.parse(jsonOf(results.slice(2)))).toEqual({
    exitCode: 2,
    stacks: [{ stack: "prod-c", outcome: "not started", seconds: 0, changes: {}, reason: null, log: null }],
  });
});

test("a matrix has what is to be updated; what nobody could look at is told", () => {
  const outcomes = [
    { stack: "a", status: drifted() },
    { stack: "b", problem: "no such file" },
    { stack: "c", status: { ...drifted(), state: "ok" as const } },
    { stack: "d", status: { ...drifted(), state: "due" as const } },
    { stack: "e", status: { ...drifted(), state: "unreachable" as const } },
    { stack: "f", status: { ...drifted(), state: "interrupted" as const } },
    // its own run is at work
    { stack: "g", status: { ...drifted(), state: "rotating" as const } },
  ];
  expect(matrixOf(outcomes)).toEqual({
    include: [
      { stack: "a", state: "drifted" },
      { stack: "d", state: "due" },
      { stack: "f", state: "interrupted" },
    ],
  });
  expect(unknownIn(outcomes)).toEqual([
    "b: no such file",
    expect.stringMatching(/^e: Cannot connect to 10\.0\.0\.3:22/),
  ]);
});

test("many clusters at a glance", () => {
  expect(
    describeOverview(
      [
        { stack: "prod-a", status: drifted() },
        { stack: "b", problem: "no" },
      ],
      unpainted,
    ).join("\n"),
  ).toBe(`stack   state        rollout  rotation  first to end  days  masters
prod-a  drifted            4  2026-11   2026-11-20      -6  2 of 3
b       unreachable  -        -         -             -     -

2 clusters: 1 drifted, 1 unreachable`);
});

/** A project's folder with a CLI that notes in `log` what it is told. */
function folderWithCli(): string {
  const folder = mkdtempSync(join(tmpdir(), "fleet-cli-"));
  const log = join(folder, "log");
  mkdirSync(join(folder, "bin"));
  const cli = `#!/bin/sh\nif [ "$1" = version ]; then echo v3.259.0; else echo "$*" >>'${log}'; echo '{}'; fi\n`;
  writeFileSync(join(folder, "bin", "pulumi"), cli, { mode: 0o755 });
  writeFileSync(join(folder, "Pulumi.yaml"), "name: fleet\nruntime: nodejs\n");
  return folder;
}

test.each([
  [
    "whose log does not fit on the disk is run, and its log is said not to be whole",
    "/dev/full",
    "unchanged",
    "its log is not whole: ENOSPC: no space left on device, write",
  ],
  [
    "that can have no log is not begun",
    "/nowhere/log",
    "failed",
    /^Cannot write the log .*prod\.log: ENOENT: .*; expected a folder with room, or another one: --logs <folder>$/,
  ],
])("a stack %s", async (_, target, outcome, reason) => {
  const folder = folderWithCli();
  symlinkSync(target, join(folder, "prod.log"));
  const automation = { pulumiCommand: await PulumiCommand.get({ root: folder }), envVars: {} };
  const { signal } = new AbortController();
  const options = { folder, automation, logFolder: folder, signal, refusal: () => undefined };
  const seen = await runStack("up", "prod", options, () => undefined);
  const isBegun = existsSync(join(folder, "log"));
  rmSync(folder, { recursive: true });
  expect({ ...seen, isBegun }).toMatchObject({
    outcome,
    reason: typeof reason === "string" ? reason : expect.stringMatching(reason),
    isBegun: outcome === "unchanged",
  });
});

test("an update starts the CLI once, and asks for no outputs with secrets in clear", async () => {
  const folder = folderWithCli();
  const pulumiCommand = await PulumiCommand.get({ root: folder });
  const stack = await openStack("prod", { folder, automation: { pulumiCommand, envVars: {} } });
  await stack.up({ color: "never" });
  const started = readFileSync(join(folder, "log"), "utf8").trimEnd().split("\n");
  rmSync(folder, { recursive: true });
  expect(started).toEqual([
    "up --yes --skip-preview --color never --exec-kind auto.local --stack prod --non-interactive",
  ]);
});
