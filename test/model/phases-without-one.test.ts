import { describe, expect, test, vi } from "vitest";
import { explore } from "../../components/model/exploration/explore.ts";
import { refusedIn } from "../../components/model/exploration/refused.ts";
import { operationsOf } from "../../components/model/exploration/runs.ts";
import { apply, foundIn, restarted, type World } from "../../components/model/exploration/world.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { diskOf, makePems, names } from "./cluster.ts";
import { issuersOf, settled } from "./masters.ts";
import { finish, refusedDuring } from "./one-run.ts";

vi.mock(import("../../components/model/certificate.ts"), async (original) => {
  const { withMemory } = await import("./remembered.ts");
  return withMemory(await original());
});

// The same as phases.test.ts, where not all three masters take part from the beginning.

const shared = makePems("shared", "shared");
const separate = makePems("separate");
const next = makePems("next");
const stranger = makePems("stranger");
const issuers = issuersOf([shared, separate, next, stranger]);

describe("a master that cannot be reached in some of the runs, and can be in others", () => {
  test.each(names)(
    "%s, alive: every connection is accepted in every state, and each of them can be finished",
    (name) => {
      const { refused, worlds } = explore(settled(shared), next, issuers, {
        missing: { name, isAlive: true },
      });
      expect(refused).toEqual([]);
      expect(worlds.length).toBeGreaterThan(100);
      const ends = worlds.map((world) => finish(world, next, issuers));
      expect(
        ends.filter(
          (end) =>
            refusedIn(end, issuers).length > 0 ||
            names.some((each) => end.disks[each]?.["etcd-ca"] !== next.authorities.etcd),
        ),
      ).toEqual([]);
    },
  );

  test.each(names)(
    "%s, dead: the others accept each other, none of them restarts meanwhile, and with it back each state can be finished",
    (name) => {
      const { refused, worlds } = explore(settled(separate), next, issuers, {
        missing: { name, isAlive: false },
      });
      expect(refused).toEqual([]);
      const wanted = Object.fromEntries(names.map((each) => [each, diskOf(next, each)]));
      // what it starts with is what lies there
      const back = worlds.map((world) =>
        restarted.reduce(
          (begun, component) => apply(begun, { kind: "restart", phase: "settle", master: name, component }),
          world,
        ),
      );
      for (const ill of [undefined, name]) {
        const ends = back.map((world) => finish(world, next, issuers, { ill }));
        expect(ends.filter((end) => refusedIn(end, issuers).length > 0)).toEqual([]);
        expect(
          ends.every((end) =>
            names.every((each) => JSON.stringify(end.disks[each]) === JSON.stringify(wanted[each])),
          ),
        ).toBe(true);
      }
    },
  );

  test("going on after trust without one that is alive refuses it", () => {
    const missing = { name: "master-3", isAlive: true };
    expect(refusedDuring(settled(separate), next, issuers, { missing })).toEqual([]);
    const refused = refusedDuring(settled(separate), next, issuers, { missing, ignoresHold: true });
    expect(refused).toContain("etcd-peer-ca on master-3 refuses etcd-peer of master-1");
    expect(refused).toContain("etcd-ca on master-3 refuses apiserver-etcd-client of master-2");
  });

  test("with one of three dead, nothing begins that would restart another, and leaves alone are renewed", () => {
    const missing = { name: "master-2", isAlive: false };
    expect(operationsOf(settled(separate), next, { missing })).toEqual([]);
    const phases = new Set(operationsOf(settled(next), next, { missing }).map(({ phase }) => phase));
    expect([...phases]).toEqual(["trust", "issue"]);
  });
});

describe("a member that is out from the beginning", () => {
  /** Its files are of somebody else's authority, and its processes have run with them since. */
  const broken = (id: string) => {
    const { disks, loaded, backups, ...others } = settled(separate);
    const text = diskOf(stranger, "master-3")[id] ?? "";
    return {
      ...others,
      disks: { ...disks, "master-3": { ...disks["master-3"], [id]: text } },
      loaded: Object.fromEntries(
        Object.entries(loaded).map(([key, texts]) => [key, key === `master-3 ${id}` ? [text] : texts]),
      ),
      backups: backups + settled(stranger).backups,
      out: ["etcd@master-3", "kube-apiserver@master-3"],
    };
  };
  const fromBroken = [
    ["a leaf that nobody accepts", broken("etcd-peer")],
    ["a trust file that accepts nobody", broken("etcd-peer-ca")],
  ] as const;

  test.each(fromBroken)(
    "%s: in every state those that answer accept each other, and one more run finishes",
    (_, start) => {
      const { refused, worlds } = explore(start, next, issuers);
      expect(refused).toEqual([]);
      expect(worlds.length).toBeGreaterThan(100);
      const ends = worlds.map((world) => finish(world, next, issuers));
      const { disks, loaded } = settled(next);
      expect(
        ends.filter(
          (end) => JSON.stringify([end.disks, end.loaded, end.out]) !== JSON.stringify([disks, loaded, []]),
        ),
      ).toEqual([]);
    },
  );

  test("started in settle, it refuses the new leaves of those that it has links to by then", () => {
    const [, start] = fromBroken[0];
    const refused = refusedDuring(start, next, issuers, { startsIn: "settle" });
    expect(refused).toContain("etcd-peer-ca on master-3 refuses etcd-peer of master-1");
  });

  test("files everywhere before anything is restarted, as without quorum, refuse connections between those that answer", () => {
    const [, start] = fromBroken[0];
    const all = Object.fromEntries(names.map((name) => [name, ["etcd", "kube-apiserver"] as const]));
    const plan = { ...planRollout(foundIn(start), ackLayout, [], 0), out: all };
    const refused = refusedDuring(start, next, issuers, { plan });
    expect(refused).toContain("etcd-peer-ca on master-1 refuses etcd-peer of master-2");
    expect(refused).toContain("apiserver-etcd-ca on master-1 refuses etcd-server of master-2");
  });
});

describe("a new machine that is still to join", () => {
  /** Nothing lies on it, and nothing runs there. */
  const replaced = (world: World, name: string): World => ({
    ...world,
    disks: { ...world.disks, [name]: {} },
    loaded: {
      ...world.loaded,
      ...Object.fromEntries(
        Object.keys(world.loaded).flatMap((key) => (key.startsWith(`${name} `) ? [[key, []]] : [])),
      ),
    },
  });
  // master-3 was lost when the others had the trust files of the new authorities, or after the rollout
  const afterTrust = operationsOf(settled(separate), next)
    .filter(({ phase }) => phase === "trust")
    .reduce(apply, settled(separate));

  test.each([
    ["after a rollout", settled(next)],
    ["in the middle of one", afterTrust],
  ])("gets files with which all accept each other, and restarts nothing: %s", (_, before) => {
    const start = replaced(before, "master-3");
    const operations = operationsOf(start, next, { joining: "master-3" });
    let world = start;
    for (const operation of operations) {
      const after = apply(world, operation);
      expect(operation.kind === "write" || after === world).toBe(true);
      world = after;
      expect(refusedIn(world, issuers).filter((each) => !each.includes("master-3"))).toEqual([]);
    }
    expect(world.disks["master-3"]).toEqual(diskOf(next, "master-3"));
    expect(refusedIn(world, issuers)).toEqual([]);
    expect(refusedIn(finish(world, next, issuers), issuers)).toEqual([]);
    expect(finish(world, next, issuers).disks).toEqual(settled(next).disks);
  });

  test("is not waited for by a rotation: none begins, since two members cannot spare one", () => {
    expect(operationsOf(replaced(settled(separate), "master-3"), next, { joining: "master-3" })).toEqual([]);
  });
});
