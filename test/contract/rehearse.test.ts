import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { readSurvey } from "../../cli/rehearse/survey-file.ts";
import { runProgram } from "../lab/machine.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import { type FakeMasters, startFakeMasters } from "../support/fake-masters.ts";
import { surveyText } from "../support/survey-text.ts";
import { makeProgramFolder } from "./program-folder.ts";

// The real command with real SSH on loopback; the masters' answers are made up. test/lab/rehearse.test.ts has what follows.

const root = mkdtempSync(join(tmpdir(), "rehearse contract "));
const file = join(root, "survey.json");
const found = foundAs(makePems("steady"));
let fakes: FakeMasters;

beforeAll(async () => {
  makeProgramFolder(root);
  fakes = await startFakeMasters(found.masters.map((master) => () => surveyText(master)));
});

beforeEach(() => rmSync(file, { force: true }));

afterAll(async () => {
  await fakes.stop();
  rmSync(root, { recursive: true, force: true });
});

/** Saves the survey of a stack whose last master is at that port. */
function save(lastPort: number | undefined, to = file) {
  const settings = {
    rotation: "2026-11",
    masters: specs.map(({ name, address, etcdName }, index) => ({
      ...{ name, address, etcdName, host: "127.0.0.1", hostKey: "unchecked" },
      port: index === 2 ? lastPort : fakes.ports[index],
    })),
    ssh: { privateKeyPath: join(root, "id") },
  };
  const config = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value]),
  );
  writeFileSync(join(root, "stacks", "Pulumi.prod.yaml"), JSON.stringify({ config }));
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  return runProgram(process.execPath, [program, "rehearse", "prod", "--save", to, "--cwd", root]);
}

test("with a master that cannot be reached no survey is written, and it ends with 3", async () => {
  const { code, stderr } = await save(1);
  expect([code, existsSync(file)]).toEqual([3, false]);
  expect(stderr).toContain("Cannot connect to 127.0.0.1:1 as root: connect ECONNREFUSED");
});

test("a survey that cannot be written ends with 3, since 2 is for what a rehearsal has found", async () => {
  const { code, stderr } = await save(fakes.ports[2], join(root, "nowhere", "survey.json"));
  expect([code, stderr]).toEqual([3, expect.stringMatching(/^Cannot write .*survey\.json: ENOENT/)]);
});

test("a survey is written that a rehearsal can read: the files' certificates, no way to the masters, nothing secret", async () => {
  const { code, stdout, stderr } = await save(fakes.ports[2]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toBe(`Saved; where the lab can run: npx etcd-rotation rehearse --from ${file}\n`);
  const text = readFileSync(file, "utf8");
  expect(text).not.toMatch(/PRIVATE|"ssh|127\.0\.0\.1"|hostKey|unchecked|privateKeyPath/);
  const { stack, masters } = readSurvey(file);
  expect([stack, masters.map(({ name }) => name)]).toEqual(["prod", specs.map(({ name }) => name)]);
  for (const [index, master] of masters.entries()) {
    expect(Object.keys(master.files).toSorted()).toEqual(
      Object.keys(found.masters[index]?.files ?? {}).toSorted(),
    );
    expect(master.files["etcd-server"]?.certificates).toEqual(
      found.masters[index]?.files["etcd-server"]?.certificates,
    );
  }
});
