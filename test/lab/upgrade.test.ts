import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { project, takeOut } from "../support/earlier-program.ts";
import { stackFile } from "./stack-file.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell, outputsOf } from "./support/well.ts";

// A cluster that an earlier program has taken over and rotated: its state, its stack file and what it left on the masters are
// of that program, and this one goes on with them without a hand edit and without a restart.

const minutes = 60_000;
const earlier = "5443f0f35f2e6b1d0b4ada3ac9efc4519b196668";
const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-"));
const here = useLab("upgrade", "2026-11", (stack) => stack.configure({ clients: undefined }));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test(
  "a stack of an earlier program: nothing to do, then a rotation",
  async () => {
    takeOut(earlier, folder);
    const file = stackFile(here.stack.name);
    symlinkSync(file, join(folder, "stacks", basename(file)));
    here.stack.project = folder;
    const made = await here.stack.up();
    expect(made.code, made.output).toBe(0);
    here.stack.configure({ rotation: "2026-12" });
    const rotated = await here.stack.up();
    expect(rotated.code, rotated.output).toBe(0);

    here.stack.project = project;
    await assertWell(here.lab, here.stack, here.baseline);
    expect(await outputsOf(here.stack)).toMatchObject({ rollout: 2 });

    here.stack.configure({ rotation: "2027-01" });
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    expect(await outputsOf(here.stack)).toMatchObject({ rollout: 3 });
    await assertWell(here.lab, here.stack, here.baseline);
  },
  20 * minutes,
);
