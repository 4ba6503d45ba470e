import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Found } from "../../components/model/found.ts";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { changed, diskOf, foundAs, makePems, masterWith, receipt, specs } from "../model/cluster.ts";
import { type FakeMasters, startFakeMasters } from "../support/fake-masters.ts";
import { surveyText } from "../support/survey-text.ts";
import { makeProgramFolder } from "./program-folder.ts";

// The real command with real SSH on loopback; the masters' answers are made up. test/lab/status.test.ts has real masters.

const root = mkdtempSync(join(tmpdir(), "status contract "));
const pems = makePems("steady");
const other = makePems("other");
const leaf = other.leaves["master-2"]?.["etcd-server"] ?? { certPem: "", keyPem: "" };
const running: FakeMasters[] = [];

beforeAll(async () => {
  makeProgramFolder(root);
  await cluster("steady", foundAs(pems));
  await cluster("near", foundAs(pems), { certificates: { validity: "50y", renewBefore: "400d" } });
  await cluster(
    "by-hand",
    changed(foundAs(pems), "master-2", () =>
      masterWith("master-2", { ...diskOf(pems, "master-2"), "etcd-server": leaf.certPem }),
    ),
  );
  await cluster("one-out", foundAs(pems), {}, true);
});

afterAll(async () => {
  await Promise.all(running.map((masters) => masters.stop()));
  rmSync(root, { recursive: true, force: true });
});

/** A stack whose masters answer as found; one that is undefined does not listen. */
async function cluster(
  stack: string,
  found: Found,
  settings: Readonly<Record<string, unknown>> = {},
  isOut = false,
  rotation = "2026-11",
): Promise<void> {
  const masters = found.masters.map((master) => ({
    ...master,
    receipt: { ...receipt, owner: `etcd-rotation/${stack}`, rotation },
  }));
  const fakes = await startFakeMasters(masters.map((master) => () => surveyText(master)));
  running.push(fakes);
  const all = {
    rotation: "2026-11",
    masters: specs.map(({ name, address, etcdName }, index) => ({
      name,
      address,
      etcdName,
      host: "127.0.0.1",
      // nobody listens on the first port that there is
      port: isOut && index === 2 ? 1 : fakes.ports[index],
      hostKey: "unchecked",
    })),
    ssh: { privateKeyPath: join(root, "id") },
    ...settings,
  };
  const config = Object.fromEntries(
    Object.entries(all).map(([key, value]) => [`etcd-rotation:${key}`, value]),
  );
  writeFileSync(join(root, "stacks", `Pulumi.${stack}.yaml`), JSON.stringify({ config }));
}

function etcdRotation(...args: string[]): Promise<ProgramResult> {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  return runProgram(process.execPath, [program, ...args, "--cwd", root]);
}

const status = (...args: string[]) => etcdRotation("status", ...args);

describe("one cluster", () => {
  test("that is well: a table on standard output, without colours, and 0", async () => {
    const { code, stdout, stderr } = await status("steady");
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "steady  ok",
      '  rollout 4, rotation "2026-11", complete; last backup rollout-4; etcd healthy',
      "  on 3 of 3, led by master-2",
      "  etcd 3.5.21, 3 members, database 20 KiB; Kubernetes v1.30.14",
    ]);
    expect(lines.find((line) => line.includes("etcd-server :2379"))).toMatch(
      /^ {2}etcd-server :2379 +\d{4}-\d\d-\d\d +36[45] {2}ok +ok +ok$/,
    );
    expect(lines.every((line) => line.length <= 80)).toBe(true);
  });

  test("that has the set which restore asks for again: 0, and what that means", async () => {
    await cluster("restored", foundAs(pems), { restore: 1 }, false, "restore-1");
    const { code, stdout } = await status("restored");
    rmSync(join(root, "stacks", "Pulumi.restored.yaml"));
    expect([code, stdout.split("\n")[0]]).toEqual([0, "restored  ok"]);
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "restore: the files from before rollout 1 are wanted, and nothing is renewed; remove restore to go forward",
    );
  });

  test("whose leaves end soon: 1", async () => {
    const { code, stdout } = await status("near");
    expect([code, stdout.split("\n")[0]]).toEqual([1, "near  due"]);
  });

  test("whose leaves end within the time that was asked for: 1", async () => {
    const { code, stdout } = await status("steady", "--expiring-within", "400d");
    expect([code, stdout.split("\n")[0]]).toEqual([1, "steady  expiring"]);
    expect(stdout).toMatch(/etcd-server :2379 .* expiring +expiring +expiring\n/);
    expect((await status("steady", "--expiring-within", "30d")).code).toBe(0);
  });

  test("with a step at work: 1, in which phase and where, since when and by whom", async () => {
    const now = Math.floor(Date.now() / 1000);
    const at = changed(
      foundAs(pems, { claim: "etcd-rotation/at-work me@here pid 7", claimedAt: now - 60 }),
      "master-2",
      () => ({
        lock: `4711 etcd-rotation/at-work trust ${receipt.attempt} ${now - 5}`,
      }),
    );
    await cluster("at-work", at);
    const { code, stdout } = await status("at-work");
    rmSync(join(root, "stacks", "Pulumi.at-work.yaml"));
    expect([code, stdout.split("\n")[0]]).toEqual([1, "at-work  rotating (rollout 4, trust, master-2)"]);
    expect(stdout.replace(/\s+/g, " ")).toMatch(
      / rotating master-2: rollout 4 is at work in trust, since \d{4}-\d\d-\d\d \d\d:\d\d UTC, by etcd-rotation\/at-work me@here pid 7/,
    );
  });

  test("with a leaf replaced by hand: 2, and why", async () => {
    const { code, stdout } = await status("by-hand");
    expect([code, stdout.split("\n")[0]]).toEqual([2, "by-hand  drifted"]);
    expect(stdout).toContain("master-2: etcd-server does not belong to its key");
    expect(stdout).toContain("master-2: etcd-server is not issued by any authority in etcd-ca of");
  });

  test("with a master that does not answer: 3, the others are shown, and how to try", async () => {
    const { code, stdout } = await status("one-out");
    expect([code, stdout.split("\n")[0]]).toEqual([3, "one-out  unreachable"]);
    expect(stdout).toMatch(/etcd-server :2379 .* ok +ok +\?\n/);
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "unreachable master-3: Cannot connect to 127.0.0.1:1 as root: connect ECONNREFUSED 127.0.0.1:1.",
    );
  });
});

describe("all clusters", () => {
  test("the gravest decides the exit code, and a stack file that is wrong hides no other", async () => {
    writeFileSync(
      join(root, "stacks", "Pulumi.wrong.yaml"),
      JSON.stringify({ config: { "etcd-rotation:rotation": "2026-11" } }),
    );
    const { code, stdout } = await status("--all", "--json");
    const answer: { exitCode: number; clusters: { stack: string; state: string; problem?: string }[] } =
      JSON.parse(stdout);
    expect([code, answer.exitCode]).toEqual([2, 2]);
    expect(answer.clusters.map(({ stack, state }) => `${stack} ${state}`)).toEqual([
      "by-hand drifted",
      "near due",
      "one-out unreachable",
      "steady ok",
      "wrong unreachable",
    ]);
    expect(answer.clusters[4]?.problem).toContain("Cannot use the stack file of wrong:");
    rmSync(join(root, "stacks", "Pulumi.wrong.yaml"));
  });

  test("metrics go to a file that everybody may read, replaced at once", async () => {
    const file = join(root, "etcd.prom");
    const { code, stdout } = await status("steady", "near", "--prometheus", "--output", file);
    expect([code, stdout]).toEqual([1, ""]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const text = readFileSync(file, "utf8");
    expect(text).toContain('etcd_rotation_cluster_state{stack="near",state="due"} 1\n');
    expect(text.match(/^etcd_rotation_certificate_not_after_seconds\{/gm)).toHaveLength(42);
  });
});

test("forecast: a night for each cluster that could be looked at, in a calendar too, and 3 for the one that could not", async () => {
  const file = join(root, "rotations.ics");
  const { code, stdout } = await etcdRotation(
    "fleet",
    "forecast",
    "near",
    "steady",
    "one-out",
    "--json",
    "--ics",
    file,
  );
  expect(code).toBe(3);
  const answer: { clusters: { stack: string; night: string; isLate: boolean }[]; unknown: string[] } =
    JSON.parse(stdout);
  expect(answer.clusters.map(({ stack, isLate }) => [stack, isLate])).toEqual([
    ["near", false],
    ["steady", false],
    ["one-out", false],
  ]);
  const nights = answer.clusters.map(({ night }) => night);
  expect(new Set(nights).size).toBe(3);
  expect(answer.unknown).toEqual([
    expect.stringMatching(/^one-out: Cannot connect to 127\.0\.0\.1:1 as root/),
  ]);
  expect(readFileSync(file, "utf8").match(/^UID:.*/gm)).toEqual([
    "UID:etcd-rotation-near",
    "UID:etcd-rotation-steady",
    "UID:etcd-rotation-one-out",
  ]);
});

test("bad usage is told and counts as not having looked", async () => {
  expect(await status("nowhere")).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(/^Cannot find the stack file of nowhere; expected by-hand, /),
  });
  expect(await status("--jason")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("unknown option '--jason'"),
  });
  expect(await status("steady", "--expiring-within", "30")).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(
      /'--expiring-within <duration>' argument '30' is invalid\. expected a whole number and s, m, h, d or y, such as "60d"/,
    ),
  });
  expect(await status("steady", "--output", "x")).toMatchObject({ code: 3 });
  expect(await status("--help")).toMatchObject({ code: 0, stderr: "" });
});
