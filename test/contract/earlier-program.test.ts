import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { foundAs, makePems } from "../model/cluster.ts";
import { project, takeOut } from "../support/earlier-program.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The masters' answers are made up, in records that both programs know; test/lab/upgrade.test.ts has masters that an earlier program has worked on.

const earlier = "b852d01f4369d04c7b739ed6cfe1fd29ad76f13f";
const clusterId = "14841639068965178418";
const rotation = "2026-11";
const folder = mkdtempSync(join(tmpdir(), "earlier program "));
const [program, files] = [join(folder, "program"), join(folder, "stack")];
const masters = await FakeCluster.start(
  foundAs(makePems("by-hand", "shared"), {
    ...{ clusterId, receipt: undefined, backups: [] },
    ...{ databaseBytes: undefined, recordedAt: undefined },
  }),
);

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a stack of an earlier program previews clean: the same resources, and every step as it is", async () => {
  mkdirSync(program);
  takeOut(earlier, program);
  const made = new ClusterStack(files, program, "etcd-rotation");
  await made.init();
  made.configure(
    Object.fromEntries(
      Object.entries(masters.settings(files, rotation)).map(([key, value]) => [
        `etcd-rotation:${key}`,
        value,
      ]),
    ),
  );
  const up = await made.run("up", "--yes", "--skip-preview");
  expect(up.code, up.stdout + up.stderr).toBe(0);

  masters.found = await made.foundAfter("etcd-rotation/dev", { rotation, cluster: clusterId });
  made.program = project;
  const { code, stdout, stderr } = await made.run("preview", "--expect-no-changes");
  expect(code, stdout + stderr).toBe(0);
  expect(stdout + stderr).toMatch(/Nothing to do: every master serves the wanted certificates/);
});
