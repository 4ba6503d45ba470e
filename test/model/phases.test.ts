import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { contentsFor } from "../../components/model/contents.ts";
import { ackLayout } from "../../components/model/layout.ts";
import { type PlannedStep, planRollout, stepName, stepsOf } from "../../components/model/plan.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { diskOf, makeOriginalPems, makePems, names } from "./cluster.ts";
import { explore, finish, refusedDuring } from "./explore.ts";
import { apply, foundIn, issuersOf, operationsOf, refusedIn, restarted, settled, surveyed, type Ways, type World, withTrust } from "./masters.ts";
import { makeAuthority } from "./openssl.ts";

vi.mock(import("../../components/model/certificate.ts"), async (original) => {
  const { withMemory } = await import("./remembered.ts");
  return withMemory(await original());
});

// What this does not prove: the moment between the two renames of one pair (a certificate and its key count as one
// write here), and that the scripts do what the operations say; the lab shows both.

const original = makeOriginalPems();
const shared = makePems("shared", "shared");
const separate = makePems("separate");
const abandoned = makePems("abandoned");
const next = makePems("next");
const stranger = makePems("stranger");
const issuers = issuersOf([original, shared, separate, abandoned, next, stranger]);

/** Masters on which a run towards `pems` stopped after so many operations. */
function halfDone(start: World, pems: WantedPems, count: number): World {
  return operationsOf(start, pems).slice(0, count).reduce(apply, start);
}

describe("in every state that interrupted runs can reach, all connections are accepted", () => {
  test.each([
    ["adoption of a shared authority", settled(shared), next],
    ["adoption of separate authorities", settled(separate), next],
    ["rollback to a shared authority", settled(next), shared],
    ["an earlier run towards another authority, stopped in trust", halfDone(settled(shared), abandoned, 7), next],
    ["an earlier run towards another authority, stopped in issue", halfDone(settled(shared), abandoned, 21), next],
    ["an earlier run towards another authority, stopped in retire", halfDone(settled(separate), abandoned, 34), next],
  ])("%s", (_, start, wanted) => {
    const { refused, disks } = explore(start, wanted, issuers);
    expect(refused).toEqual([]);
    // one run without an interruption has 33 at most
    expect(disks).toBeGreaterThan(100);
  });

  test("those by somebody else's authority too, from a take-over on; the cluster's earlier one never stays", () => {
    const foreign = makeAuthority("/O=Elsewhere/CN=backup-ca", 30).certPem;
    const joined = withTrust(withTrust(settled(original), "master-1", "etcd-ca", foreign), "master-2", "etcd-ca", foreign);
    const { refused, worlds } = explore(joined, next, issuers);
    expect(refused).toEqual([]);
    expect(worlds.length).toBeGreaterThan(100);
    const texts = worlds.flatMap(({ disks, loaded }) =>
      ["master-1", "master-2"].flatMap((name) => [disks[name]?.["etcd-ca"] ?? "", ...(loaded[`${name} etcd-ca`] ?? [])]),
    );
    expect(texts.filter((text) => !text.includes(foreign))).toEqual([]);
    const wanted = `${next.authorities.etcd}${foreign}`;
    for (const end of worlds.map((world) => finish(world, next, issuers))) {
      expect(names.map((name) => end.disks[name]?.["etcd-ca"])).toEqual([wanted, wanted, next.authorities.etcd]);
      expect(names.map((name) => end.disks[name]?.["etcd-peer-ca"])).toEqual(names.map(() => next.authorities["etcd-peer"]));
    }
  });

  test("any sequence of targets, interruptions and masters that are out", () => {
    const run = fc.record({ wanted: fc.constantFrom(shared, separate, abandoned, next), count: fc.nat(50), ill: fc.constantFrom(undefined, ...names) });
    const property = fc.property(fc.constantFrom(shared, separate), fc.array(run, { minLength: 1, maxLength: 6 }), (first, runs) => {
      let world = settled(first);
      for (const { wanted, count, ill } of runs) {
        world = surveyed(world, issuers, ill);
        for (const operation of operationsOf(world, wanted, { ill }).slice(0, count)) {
          world = apply(world, operation);
          expect(refusedIn(world, issuers)).toEqual([]);
        }
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});

describe("a master that cannot be reached in some of the runs, and can be in others", () => {
  test.each(names)("%s, alive: every connection is accepted in every state, and each of them can be finished", (name) => {
    const { refused, worlds } = explore(settled(shared), next, issuers, { missing: { name, isAlive: true } });
    expect(refused).toEqual([]);
    expect(worlds.length).toBeGreaterThan(100);
    const ends = worlds.map((world) => finish(world, next, issuers));
    expect(ends.filter((end) => refusedIn(end, issuers).length > 0 || names.some((each) => end.disks[each]?.["etcd-ca"] !== next.authorities.etcd))).toEqual(
      [],
    );
  });

  test.each(names)("%s, dead: the others accept each other, none of them restarts meanwhile, and with it back each state can be finished", (name) => {
    const { refused, worlds } = explore(settled(separate), next, issuers, { missing: { name, isAlive: false } });
    expect(refused).toEqual([]);
    const wanted = Object.fromEntries(names.map((each) => [each, diskOf(next, each)]));
    // what it starts with is what lies there
    const back = worlds.map((world) =>
      restarted.reduce((begun, component) => apply(begun, { kind: "restart", phase: "settle", master: name, component }), world),
    );
    for (const ill of [undefined, name]) {
      const ends = back.map((world) => finish(world, next, issuers, { ill }));
      expect(ends.filter((end) => refusedIn(end, issuers).length > 0)).toEqual([]);
      expect(ends.every((end) => names.every((each) => JSON.stringify(end.disks[each]) === JSON.stringify(wanted[each])))).toBe(true);
    }
  });

  test("going on after trust without one that is alive refuses it", () => {
    const missing = { name: "master-3", isAlive: true };
    expect(refusedDuring(settled(separate), next, issuers, { missing })).toEqual([]);
    const { refused } = explore(settled(separate), next, issuers, { missing, ignoresHold: true });
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
    const { disks, loaded, backups } = settled(separate);
    const text = diskOf(stranger, "master-3")[id] ?? "";
    return {
      disks: { ...disks, "master-3": { ...disks["master-3"], [id]: text } },
      loaded: Object.fromEntries(Object.entries(loaded).map(([key, texts]) => [key, key === `master-3 ${id}` ? [text] : texts])),
      backups: backups + settled(stranger).backups,
      out: ["etcd@master-3", "kube-apiserver@master-3"],
    };
  };
  const fromBroken = [
    ["a leaf that nobody accepts", broken("etcd-peer")],
    ["a trust file that accepts nobody", broken("etcd-peer-ca")],
  ] as const;

  test.each(fromBroken)("%s: in every state those that answer accept each other, and one more run finishes", (_, start) => {
    const { refused, worlds } = explore(start, next, issuers);
    expect(refused).toEqual([]);
    expect(worlds.length).toBeGreaterThan(100);
    const ends = worlds.map((world) => finish(world, next, issuers));
    const { disks, loaded } = settled(next);
    expect(ends.filter((end) => JSON.stringify([end.disks, end.loaded, end.out]) !== JSON.stringify([disks, loaded, []]))).toEqual([]);
  });

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
    loaded: { ...world.loaded, ...Object.fromEntries(Object.keys(world.loaded).flatMap((key) => (key.startsWith(`${name} `) ? [[key, []]] : []))) },
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

describe("a run that nothing interrupts ends as wanted", () => {
  test.each([
    ["from a shared authority", settled(shared)],
    ["from separate authorities", settled(separate)],
    ["from a half-done run", halfDone(settled(shared), abandoned, 21)],
  ])("%s", (_, start) => {
    const end = finish(start, next, issuers);
    expect(end.disks).toEqual(Object.fromEntries(names.map((name) => [name, diskOf(next, name)])));
    expect(end.loaded).toEqual(settled(next).loaded);
  });

  test("from where it ends, another run changes nothing", () => {
    const end = settled(next);
    expect(finish(end, next, issuers)).toEqual(end);
  });
});

test("as it is, the way of those below refuses none", () => {
  expect(refusedDuring(settled(separate), next, issuers, {})).toEqual([]);
});

describe("other ways refuse connections", () => {
  const ways: readonly [string, Ways, string][] = [
    ["issue before trust", { order: ["issue", "trust", "retire"] }, "etcd-ca on master-2 refuses apiserver-etcd-client of master-1"],
    ["retire before issue", { order: ["trust", "retire", "issue"] }, "etcd-ca on master-1 refuses apiserver-etcd-client of master-2"],
    [
      "trust without the union",
      { contents: (phase, ...rest) => contentsFor(phase === "trust" ? "retire" : phase, ...rest) },
      "etcd-peer-ca on master-1 refuses etcd-peer of master-2",
    ],
    [
      "trust without the wanted authority",
      { contents: (phase, ...rest) => (phase === "trust" ? {} : contentsFor(phase, ...rest)) },
      "etcd-peer-ca on master-1 refuses etcd-peer of master-2",
    ],
    ["trust without restarts", { restarts: ["retire"] }, "apiserver-etcd-ca on master-1 refuses etcd-server of master-2"],
  ];
  test.each(ways)("%s", (_, way, expected) => {
    expect(refusedDuring(settled(separate), next, issuers, way)).toContain(expected);
  });

  test("a union from an earlier survey", () => {
    const start = halfDone(settled(separate), abandoned, 21);
    const plan = planRollout(foundIn(settled(separate)), ackLayout, [], 0);
    expect(refusedDuring(start, next, issuers, { plan })).toContain("etcd-peer-ca on master-3 refuses etcd-peer of master-1");
  });
});

describe("the steps that write follow one another", () => {
  test.each([undefined, ...names])("with %s out", (ill) => {
    const steps = stepsOf(planRollout(foundIn(settled(separate), ill), ackLayout, [], 0), names);
    const byName = new Map(steps.map((step) => [stepName(step), step]));
    const allBefore = (step: PlannedStep | undefined): string[] => (step?.after ?? []).flatMap((name) => [name, ...allBefore(byName.get(name))]);
    const changing = steps.filter((step) => ["trust", "issue", "retire"].includes(step.phase));
    expect(changing).toHaveLength(9);
    changing.slice(1).forEach((step, index) => {
      expect(allBefore(step)).toContain(stepName(changing[index] ?? step));
    });
  });
});
