import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runOn } from "./master.ts";
import { LabStack } from "./stack.ts";
import { saveEvidence } from "./support/evidence.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { startLab, stopLab } from "./topology.ts";

const labName = `lab-programs-${process.pid}`;

test("the programs of a folder are those that a take-over runs with", async () => {
  const programs = mkdtempSync(join(tmpdir(), "older programs "));
  // the machine's own under their names; each notes that it ran
  mkdirSync(join(programs, "own"));
  for (const [name, path] of [
    ["bash", "/bin/bash"],
    ["openssl", "/usr/bin/openssl"],
  ] as const) {
    copyFileSync(path, join(programs, "own", name));
    writeFileSync(
      join(programs, name),
      `#!/bin/sh\nprintf '%s\\n' ${name} >>/run/ran\nexec "\${0%/*}/own/${name}" "$@"\n`,
    );
    chmodSync(join(programs, name), 0o755);
  }
  onTestFinished(async () => {
    await stopLab(labName);
    rmSync(programs, { recursive: true });
  });
  const lab = await startLab({ name: labName, masters: 1, programs });
  const stack = await LabStack.create(lab, "2026-11");
  onTestFinished(() => stack.remove());
  const master = masterNamed(lab, "master-1");
  expect((await runOn(lab, master, "bash -c 'readlink /proc/$$/exe; :'; command -v openssl")).stdout).toBe(
    "/usr/local/sbin/own/bash\n/usr/local/sbin/openssl\n",
  );
  await inside(master, "rm -f /run/ran");
  const up = await stack.up();
  if (up.code !== 0) {
    await saveEvidence(lab, "programs");
  }
  expect(up.code, up.output).toBe(0);
  // a claim, a survey and six steps
  expect(await inside(master, "sort /run/ran | uniq -c | awk '{ print $2, ($1 >= 8) }'")).toBe(
    "bash 1\nopenssl 1\n",
  );
});
