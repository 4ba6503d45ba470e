import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The program on the real engine, outside its window. The masters' answers are made up.

const folder = mkdtempSync(join(tmpdir(), "window "));
const stack = new ClusterStack(folder, join(import.meta.dirname, "..", ".."), "etcd-rotation");
const masters = await FakeCluster.start(
  foundAs(makePems("by-hand", "shared"), { clusterId: "7", receipt: undefined, backups: [] }),
);

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Shut now, whatever the hour. */
function inThreeDays() {
  const day = new Date(Date.now() + 3 * 86_400_000).getUTCDay();
  return {
    days: [["sun", "mon", "tue", "wed", "thu", "fri", "sat"][day]],
    from: "01:00",
    to: "02:00",
    timeZone: "UTC",
  };
}

test("up begins outside its window only when the variable names this stack", async () => {
  await stack.init();
  const settings = { ...masters.settings(folder, "2026-11"), window: inThreeDays() };
  stack.configure(
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value])),
  );
  const up = () => stack.run("up", "--yes", "--skip-preview");
  for (const value of ["", "1", "prod"]) {
    vi.stubEnv("ETCD_ROTATION_IGNORE_WINDOW", value);
    const { code, stdout, stderr } = await up();
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("Cannot begin a rollout of dev now:");
    expect(stdout + stderr).not.toContain("etcd-ca");
  }
  vi.stubEnv("ETCD_ROTATION_IGNORE_WINDOW", "dev");
  const { code, stdout, stderr } = await up();
  expect(code, stdout + stderr).toBe(0);
});
