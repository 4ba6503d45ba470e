import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { dedicatedId, managedId } from "../components/alicloud.ts";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The program on the real engine, with real SSH on loopback. Masters and Alibaba Cloud's plug-in are stand-ins:
// this is about what is asked and made when, not about the real service.

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "alicloud "));
const log = join(folder, "alicloud.log");
const stack = new ClusterStack(folder, root, "etcd-rotation");
const cluster = "14841639068965178418";
const untouched = foundAs(makePems("by-hand", "shared"), {
  clusterId: cluster,
  receipt: undefined,
  backups: [],
});
const masters = await FakeCluster.start(untouched);
const place = { clusterId: dedicatedId, region: "cn-hangzhou" };
const backup = { diskSnapshot: true, diskSnapshotRetentionDays: 45 };
const path = process.env["PATH"];

function configure(rotation: string, rest: Readonly<Record<string, unknown>>): void {
  const settings = { ...masters.settings(folder, rotation), ...rest };
  stack.configure(
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value])),
  );
}

/** What the plug-in was asked for since the last time. */
function asked(): string[] {
  const lines = readFileSync(log, "utf8").split("\n").slice(0, -1);
  writeFileSync(log, "");
  return lines;
}

const survey = [
  "alicloud:cs/getKubernetesClusters:getKubernetesClusters",
  ...Array(3).fill("alicloud:ecs/getEcsDisks:getEcsDisks"),
];

beforeEach(async () => {
  rmSync(join(folder, "state", ".pulumi"), { recursive: true, force: true });
  await stack.init();
  masters.found = untouched;
  process.env["PATH"] = `${join(import.meta.dirname, "alicloud")}${delimiter}${path}`;
  process.env["ALICLOUD_STAND_IN_LOG"] = log;
  writeFileSync(log, "");
});

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("without clusterId the plug-in is not even looked for", async () => {
  process.env["PATH"] = path;
  configure("2026-11", {});
  const preview = await stack.run("preview");
  expect(preview.code, preview.stdout + preview.stderr).toBe(0);
  expect(preview.stdout + preview.stderr).not.toContain("alicloud");
});

test("snapshots of the system disks: before a rollout and never else, a new one for each, and none is deleted", async () => {
  configure("2026-11", { ...place, backup });
  const preview = await stack.run("preview");
  expect(preview.code, preview.stdout + preview.stderr).toBe(0);
  expect(preview.stdout).toContain(
    "first:  a snapshot of the system disk of master-1, master-2, master-3, kept for 45 days",
  );
  expect(asked()).toEqual(survey);

  const up = await stack.run("up", "--yes", "--skip-preview");
  expect(up.code, up.stdout + up.stderr).toBe(0);
  expect(asked().slice(survey.length).toSorted()).toEqual(
    [1, 2, 3].map((number) =>
      expect.stringMatching(
        new RegExp(
          `^create etcd-rotation-[0-9a-f]{16}-master-${number} of d-i-master-${number}, kept 45 days$`,
        ),
      ),
    ),
  );
  expect(up.stdout).toMatch(/diskSnapshots: \{\n\s+master-1: "s-/);

  masters.found = await stack.foundAfter("etcd-rotation/dev", { rotation: "2026-11", cluster });
  const steady = await stack.run("up", "--yes", "--skip-preview", "--expect-no-changes");
  expect(steady.code, steady.stdout + steady.stderr).toBe(0);
  expect(asked()).toEqual(survey);

  configure("2027-05", { ...place, backup });
  const rotation = await stack.run("preview");
  expect(
    rotation.stdout.match(/\+-\s+.*alicloud:ecs:EcsSnapshot\s+disk-master-\d\s+replace/g),
    rotation.stdout,
  ).toHaveLength(3);
  asked();
  const second = await stack.run("up", "--yes", "--skip-preview");
  expect(second.code, second.stdout + second.stderr).toBe(0);
  expect(asked().map((line) => line.split(" ")[0])).toEqual([...survey, "create", "create", "create"]);
  masters.found = await stack.foundAfter("etcd-rotation/dev", { rotation: "2027-05", cluster });

  // when clusterId is removed they leave the state and stay in the cloud
  configure("2027-05", {});
  const without = await stack.run("up", "--yes", "--skip-preview");
  expect(without.code, without.stdout + without.stderr).toBe(0);
  expect(asked()).toEqual([]);

  // and none is taken when it is switched on with nothing to rotate
  configure("2027-05", { ...place, backup });
  const again = await stack.run("up", "--yes", "--skip-preview");
  expect(again.code, again.stdout + again.stderr).toBe(0);
  expect(asked()).toEqual(survey);
});

test("a master that Alibaba Cloud alone knows, and a managed cluster, are refused", async () => {
  configure("2027-05", place);
  process.env["ALICLOUD_STAND_IN_MASTERS"] = "10.77.0.11 10.77.0.12 10.77.0.19";
  const other = await stack.run("preview");
  delete process.env["ALICLOUD_STAND_IN_MASTERS"];
  expect(other.code).not.toBe(0);
  expect(other.stdout + other.stderr).toContain(
    `Cannot rotate cluster '${dedicatedId}': Alibaba Cloud lists i-master-3 at 10.77.0.19 as a master of it;`,
  );
  expect(other.stdout + other.stderr).toContain("Alibaba Cloud lists no master at 10.77.0.13 (master-3)");
  configure("2027-05", { ...place, clusterId: managedId });
  const managed = await stack.run("preview");
  expect(managed.code).not.toBe(0);
  expect(managed.stdout + managed.stderr).toContain(
    `Cannot rotate cluster '${managedId}': its type is 'ManagedKubernetes', whose control plane`,
  );
});
