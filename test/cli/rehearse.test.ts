import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

// What rehearse says before it asks a master or starts a lab; test/contract/rehearse.test.ts has the survey, test/lab/rehearse.test.ts the lab.

const folder = mkdtempSync(join(tmpdir(), "rehearse "));
mkdirSync(join(folder, "stacks"));
writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
writeFileSync(join(folder, "stacks", "Pulumi.a.yaml"), "config: {}\n");
writeFileSync(join(folder, "no-json"), "stack: a\n");
writeFileSync(join(folder, "other.json"), '{"format": 2, "stack": "a"}\n');

afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  [["a", "--save", "x", "--kill"], "Cannot save a survey and rehearse at once: expected --save by itself"],
  [["--save", "x", "--from", "y"], "Cannot save a survey and rehearse at once: expected --save by itself"],
  [["a", "--from", "y"], "Cannot rehearse: saw both the stack a and --from; expected one of them"],
  [["--from", "y", "--seed", "7"], "Cannot use --seed: it draws the moment of --kill; expected both"],
  [["--from", "y", "--kill", "--seed", "x"], "expected a whole number"],
  [["--from", "absent"], "Cannot read the survey: ENOENT"],
  [["--from", "no-json"], "Cannot read the survey no-json: Unexpected token"],
  [["--from", "other.json"], "Cannot read the survey other.json: format: Invalid input: expected 1; time: "],
  [["b"], "Cannot find the stack file of b; expected a"],
])("rehearse %j is bad usage: %s", (args, message) => {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, "rehearse", ...args, "--cwd", folder],
    { encoding: "utf8", cwd: folder },
  );
  expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
  expect(stderr).toContain(message);
});
