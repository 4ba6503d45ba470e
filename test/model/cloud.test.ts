import { expect, test } from "vitest";
import { cloudRefusals, diskRefusals, diskSnapshotName, typeRefusal } from "../../components/model/cloud.ts";

const place = { clusterId: "c1", region: "cn-hangzhou" };
const known = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((address, index) => ({
  instanceId: `i-${index + 1}`,
  address,
  systemDisk: `d-${index + 1}`,
}));
const masters = known.map(({ address }, index) => ({ name: `master-${index + 1}`, address }));

test("the same masters on both sides are no reason to refuse; one that is joining may be known, or not yet", () => {
  expect(cloudRefusals(place, known, masters)).toEqual([]);
  const joining = masters.map((master) => ({ ...master, joining: master.name === "master-3" }));
  expect([cloudRefusals(place, known, joining), cloudRefusals(place, known.slice(0, 2), joining)]).toEqual([
    [],
    [],
  ]);
});

test("a master that one side alone knows is named", () => {
  expect(cloudRefusals(place, known, masters.slice(0, 2))).toEqual([
    "Cannot rotate cluster 'c1': Alibaba Cloud lists i-3 at 10.0.0.3 as a master of it; expected it among the masters of the stack file",
  ]);
  expect(cloudRefusals(place, known.slice(1), masters)).toEqual([
    "Cannot rotate cluster 'c1': Alibaba Cloud lists no master at 10.0.0.1 (master-1), its masters are 10.0.0.2, 10.0.0.3; expected the stack file's masters and no others",
  ]);
  expect(cloudRefusals(place, [], masters.slice(0, 1))[0]).toContain("its masters are none");
});

test("an address is the same however it is written", () => {
  const cloud = known.slice(0, 1).map((each) => ({ ...each, address: "2001:db8:0:0::1" }));
  expect(cloudRefusals(place, cloud, [{ name: "master-1", address: "2001:DB8::1" }])).toEqual([]);
});

test("another kind of cluster is called by its type", () => {
  expect(typeRefusal(place, "ManagedKubernetes")).toBe(
    "Cannot rotate cluster 'c1': its type is 'ManagedKubernetes', whose control plane is managed by Alibaba Cloud and needs none of this; expected a dedicated cluster ('Kubernetes')",
  );
  expect(typeRefusal(place, undefined)).toBe(
    "Cannot rotate cluster 'c1': Alibaba Cloud has no cluster of that id in 'cn-hangzhou' that these credentials may see; expected clusterId and region as the console shows them",
  );
  expect(typeRefusal(place, "ExternalKubernetes")).toBe(
    "Cannot rotate cluster 'c1': its type is 'ExternalKubernetes'; expected a dedicated cluster ('Kubernetes')",
  );
});

test("a master without a system disk cannot be copied", () => {
  expect(diskRefusals(place, known)).toEqual([]);
  expect(diskRefusals(place, [{ instanceId: "i-9", address: "10.0.0.9" }])).toEqual([
    "Cannot take a snapshot for cluster 'c1': Alibaba Cloud shows no system disk of i-9 at 10.0.0.9; expected one, and the right ecs:DescribeDisks",
  ]);
});

test("the longest name of a master makes a snapshot's name that ECS takes", () => {
  const name = diskSnapshotName("0123456789abcdef", `m.${"x".repeat(61)}`);
  expect(name).toMatch(/^etcd-rotation-0123456789abcdef-m-x+$/);
  expect(name.length).toBeLessThanOrEqual(128);
});
