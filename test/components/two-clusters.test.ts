import { expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { args, clusterAs, type Registered, registeredBy, run, valueIn } from "./program.ts";

const stagingArgs = {
  rotation: "2027-01",
  masters: args.masters.map((master) => ({
    ...master,
    address: master.address.replace("10.77.0", "10.77.1"),
  })),
};
const two = await registeredBy(async () => {
  const { EtcdRotation } = await import("../../components/etcd-rotation.ts");
  const prod = new EtcdRotation("prod", { cluster: clusterAs("prod") });
  const staging = new EtcdRotation("staging", { cluster: clusterAs("staging", stagingArgs) });
  return { rollouts: await Promise.all([prod, staging].map(({ outputs }) => valueIn(outputs.rollout))) };
});
const alone = await run();

const urn = (resource: Registered) => `${resource.parent} > ${resource.name} ${resource.type}`;

test("each cluster has the tree of index.ts below its component, with its name in front", () => {
  const below = (name: string) =>
    alone.registered.map(
      (resource) =>
        `${name}${resource.parent === "" ? "" : `-${resource.parent}`} > ${name}-${resource.name} ${resource.type}`,
    );
  const expected = ["prod", "staging"].flatMap((name) => [
    ` > ${name} etcd-rotation:index:EtcdRotation`,
    ...below(name),
  ]);
  expect(alone.registered).toHaveLength(61);
  expect(two.registered.map(urn).sort()).toEqual(expected.sort());
  expect(new Set(two.registered.map(({ name, type }) => `${type} ${name}`)).size).toBe(2 * (61 + 1));
});

test("each cluster has its own rotation, owner, hosts and order of steps", () => {
  const triggers = (name: string) =>
    new Set(
      two.registered
        .filter((each) => each.name.startsWith(name))
        .flatMap(({ replacementTrigger }) => replacementTrigger ?? []),
    );
  expect([triggers("prod"), triggers("staging")]).toEqual([new Set(["2026-12"]), new Set(["2027-01"])]);
  const [step] = two.registered.filter(({ name }) => name === "staging-trust-master-2");
  expect(step?.inputs["connection"]).toMatchObject({ host: "10.77.1.12" });
  expect(String(step?.inputs["stdin"]).split("\n")).toEqual(
    expect.arrayContaining([
      "OWNER='etcd-rotation/test/staging'",
      "ROTATION='2027-01'",
      "PHASE='trust'",
      "MASTER='master-2'",
    ]),
  );
  expect(step?.dependsOn.filter((name) => name.includes("backup") || name.includes("trust"))).toEqual([
    "staging-backup-master-1",
    "staging-backup-master-2",
    "staging-backup-master-3",
    "staging-trust-master-1",
  ]);
  expect(two.rollouts).toEqual([5, 5]);
});

test("a survey of another cluster is refused, since its receipts would name that one", async () => {
  const { EtcdRotation } = await import("../../components/etcd-rotation.ts");
  expect(() => new EtcdRotation("prod", { cluster: clusterAs("staging") })).toThrow(
    'Cannot rotate "prod" by the survey of "staging"; expected one name: surveyCluster(settings, "prod")',
  );
});

test('the package exports no ".": Pulumi would run that instead of index.ts (cmd/run/run.ts), and delete every resource', () => {
  expect(Object.keys(manifest.exports)).toEqual(["./cluster", "./component", "./settings"]);
});
