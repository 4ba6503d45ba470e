import type { EcsSnapshotArgs } from "@pulumi/alicloud/ecs/ecsSnapshot.js";
import { describe, expect, test } from "vitest";
import { cloudOf } from "../../components/alicloud/cloud.ts";
import type { Cluster } from "../../components/cluster.ts";
import type { CloudPlace } from "../../components/model/cloud.ts";
import { foundAs, receipt } from "../model/cluster.ts";
import { cloudCalls, dedicatedId, managedId, masterNodes } from "./alicloud.ts";
import { args, clusterAs, pems, type Registered, registeredBy, valueIn } from "./program.ts";

const place: CloudPlace = { clusterId: dedicatedId, region: "cn-hangzhou" };
const backup = { ...args.backup, diskSnapshot: true, diskSnapshotRetentionDays: 45 };
const snapshotType = "alicloud:ecs/ecsSnapshot:EcsSnapshot";

function ask(asked: CloudPlace | undefined, takesDisks: boolean, calls = cloudCalls()) {
  return registeredBy(
    async () => ({ cloud: await cloudOf(asked, "alicloud", takesDisks) }),
    undefined,
    calls.call,
  );
}

/** The program of index.ts on a cluster that Alibaba Cloud knows. */
function rollout(change: Partial<Cluster> = {}) {
  const program = async () => {
    const { makeAuthorities, makeLeaves } = await import("../../components/certificates.ts");
    const { Rollout } = await import("../../components/rollout.ts");
    const cluster = {
      ...clusterAs("", { backup, ...place }),
      cloud: await cloudOf(place, "alicloud", true),
      ...change,
    };
    const authorities = makeAuthorities(cluster);
    const made = new Rollout("rollout", { cluster, authorities, leaves: makeLeaves(cluster, authorities) });
    // every step has been registered then
    await valueIn(made.report);
    return {
      attempt: await valueIn(made.attempt),
      diskSnapshots: made.diskSnapshots && (await valueIn(made.diskSnapshots)),
    };
  };
  return registeredBy(program, undefined, cloudCalls().call);
}

test("the masters are those of the dedicated cluster, asked for by its id in its region, with no key in the state", async () => {
  const calls = cloudCalls();
  const { cloud, registered } = await ask(place, false, calls);
  expect(cloud?.masters).toEqual(
    masterNodes.map(({ id, privateIp }) => ({ instanceId: id, address: privateIp, systemDisk: undefined })),
  );
  expect(calls.asked).toEqual([
    [
      "alicloud:cs/getKubernetesClusters:getKubernetesClusters",
      { ids: [dedicatedId], enableDetails: true },
      "alicloud",
    ],
  ]);
  expect(registered.map(({ name, type, inputs }) => ({ name, type, inputs }))).toEqual([
    { name: "alicloud", type: "pulumi:providers:alicloud", inputs: { region: "cn-hangzhou" } },
  ]);
});

test("their system disks are asked for only where they are copied", async () => {
  const calls = cloudCalls();
  const { cloud } = await ask(place, true, calls);
  expect(cloud?.masters.map(({ systemDisk }) => systemDisk)).toEqual([
    "d-i-master-1",
    "d-i-master-2",
    "d-i-master-3",
  ]);
  expect(calls.asked.slice(1)).toEqual(
    masterNodes.map(({ id }) => [
      "alicloud:ecs/getEcsDisks:getEcsDisks",
      { instanceId: id, diskType: "system" },
      "alicloud",
    ]),
  );
});

test("a managed cluster, and one that is not known, are refused", async () => {
  const calls = cloudCalls();
  await expect(ask({ ...place, clusterId: managedId }, false, calls)).rejects.toThrow(
    `Cannot rotate cluster '${managedId}': its type is 'ManagedKubernetes', whose control plane is managed by Alibaba Cloud and needs none of this; expected a dedicated cluster ('Kubernetes')`,
  );
  expect(calls.asked[1]).toEqual(["alicloud:cs/getClusters:getClusters", { ids: [managedId] }, "alicloud"]);
  await expect(ask({ ...place, clusterId: "c3" }, false)).rejects.toThrow(
    "Cannot rotate cluster 'c3': Alibaba Cloud has no cluster of that id in 'cn-hangzhou'",
  );
});

test("what the provider says is passed on, with the way out", async () => {
  const call = () => {
    // as gRPC has it
    throw Object.assign(new Error("2 UNKNOWN"), {
      details: "no valid credential sources for the alicloud provider",
    });
  };
  const asked = registeredBy(
    () => cloudOf(place, "alicloud", false).then((cloud) => ({ cloud })),
    undefined,
    call,
  );
  await expect(asked).rejects.toThrow(
    /^Cannot ask Alibaba Cloud for cluster 'c1{32}' in 'cn-hangzhou': .*no valid credential sources .*; expected credentials in the environment/s,
  );
});

test("a snapshot of each system disk comes before every backup, and none is ever deleted", async () => {
  const { registered, attempt, diskSnapshots } = await rollout();
  const snapshots = registered.filter(({ type }) => type === snapshotType);
  const expected = (master: string): EcsSnapshotArgs => ({
    diskId: `d-i-${master}`,
    snapshotName: `etcd-rotation-${attempt.id}-${master}`,
    description: `${master}, before rollout 5 of etcd-rotation/test`,
    retentionDays: 45,
    waitUntil: "available",
  });
  const brief = ({
    name,
    parent,
    inputs,
    retainOnDelete,
    replaceOnChanges,
    ignoreChanges,
    provider,
  }: Registered) => [name, { parent, inputs, retainOnDelete, replaceOnChanges, ignoreChanges, provider }];
  const common = {
    parent: "rollout",
    retainOnDelete: true,
    replaceOnChanges: ["snapshotName"],
    ignoreChanges: [],
    provider: "alicloud",
  };
  expect(snapshots.map(brief)).toEqual(
    ["master-1", "master-2", "master-3"].map((master) => [
      `disk-${master}`,
      { inputs: expected(master), ...common },
    ]),
  );
  expect(diskSnapshots).toEqual({
    "master-1": "disk-master-1",
    "master-2": "disk-master-2",
    "master-3": "disk-master-3",
  });
  const backups = registered.filter(({ name }) => name.startsWith("backup-"));
  expect(backups.map(({ dependsOn }) => dependsOn.filter((name) => name.startsWith("disk-")))).toEqual(
    Array(3).fill(["disk-master-1", "disk-master-2", "disk-master-3"]),
  );
  expect(
    registered.filter(
      ({ name, dependsOn }) =>
        name.startsWith("trust-") && dependsOn.some((each) => each.startsWith("disk-")),
    ),
  ).toEqual([]);
});

describe("with nothing to rotate", () => {
  const done = foundAs(pems, { receipt: { ...receipt, owner: "etcd-rotation/test", rotation: "2026-12" } });

  test("no snapshot is taken", async () => {
    const { registered, diskSnapshots } = await rollout({ found: done });
    expect(registered.filter(({ type }) => type === snapshotType)).toEqual([]);
    expect(diskSnapshots).toEqual({});
    expect(registered.filter(({ name }) => name.startsWith("backup-"))).toHaveLength(3);
  });

  test("those that the state has stay as they are, also on another disk or to be kept for longer", async () => {
    const { registered } = await rollout({
      found: done,
      last: {
        cluster: undefined,
        rotation: undefined,
        authorities: [],
        hasDiskSnapshots: true,
        keys: { current: undefined, previous: undefined },
      },
    });
    const snapshots = registered.filter(({ type }) => type === snapshotType);
    expect(snapshots.map(({ ignoreChanges }) => ignoreChanges)).toEqual(
      Array(3).fill(["diskId", "snapshotName", "description", "retentionDays", "waitUntil"]),
    );
    expect(snapshots.map(({ inputs }) => inputs["snapshotName"])).toEqual(
      ["master-1", "master-2", "master-3"].map((master) => `etcd-rotation-${receipt.attempt}-${master}`),
    );
  });
});
