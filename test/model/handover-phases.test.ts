import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { contentsFor } from "../../components/model/contents.ts";
import { explore } from "../../components/model/exploration/explore.ts";
import { refusedIn } from "../../components/model/exploration/refused.ts";
import { operationsOf, surveyed, type Ways } from "../../components/model/exploration/runs.ts";
import { apply, type Operation, type World } from "../../components/model/exploration/world.ts";
import { diskOf, type MadePems, makeOriginalPems, makePems, names, signedBy } from "./cluster.ts";
import { issuersOf, mixed, settled, sideBySide } from "./masters.ts";
import { finish, refusedDuring } from "./one-run.ts";
import { makeAuthority } from "./openssl.ts";

vi.mock(import("../../components/model/certificate.ts"), async (original) => {
  const { withMemory } = await import("./remembered.ts");
  return withMemory(await original());
});

// The same as phases.test.ts where the keys of the authorities in use are at hand: one restart instead of two.

const shared = makePems("shared", "shared");
const separate = makePems("separate");
const abandoned = makePems("abandoned");
const next = makePems("next");

/** Everything that one of these may hand over to another. */
function madeOf(all: readonly MadePems[]) {
  const signed = new Map(
    all.map((signer) => [signer, new Map(all.map((wanted) => [wanted, signedBy(signer, wanted)]))]),
  );
  const cross = [...signed].flatMap(([signer, by]) =>
    [...by.values()].flatMap(({ texts }) => [
      [texts.etcd, signer.authorities.etcd] as const,
      [texts["etcd-peer"], signer.authorities["etcd-peer"]] as const,
    ]),
  );
  return {
    issuers: issuersOf(all, cross),
    by: (signer: MadePems | undefined, wanted: MadePems): Pick<Ways, "signed"> => {
      const own = signer && signed.get(signer)?.get(wanted);
      return own === undefined ? {} : { signed: own };
    },
  };
}

const { issuers, by } = madeOf([shared, separate, abandoned, next]);
const ended = Object.fromEntries(names.map((name) => [name, diskOf(next, name)]));

/** What is restarted on the way, phase by phase, in alphabetical order. */
function restartsDuring(start: World, operations: readonly Operation[]): string[] {
  let world = start;
  const restarts = operations.flatMap((operation) => {
    const after = apply(world, operation);
    const isDone = operation.kind === "restart" && after !== world;
    world = after;
    return isDone ? [`${operation.phase} ${operation.component}@${operation.master}`] : [];
  });
  return restarts.toSorted();
}

describe.each([
  ["a shared authority", shared],
  ["separate authorities", separate],
])("from %s whose key is at hand", (_, earlier) => {
  const ways = by(earlier, next);
  const start = settled(earlier);

  test("each process restarts once, and nobody refuses anybody on the way", () => {
    expect(restartsDuring(start, operationsOf(start, next, ways))).toEqual(
      names.flatMap((name) => [`retire etcd@${name}`, `retire kube-apiserver@${name}`]).toSorted(),
    );
    expect(refusedDuring(start, next, issuers, ways)).toEqual([]);
    const end = finish(start, next, issuers, ways);
    expect(end.disks).toEqual(ended);
    expect(end.loaded).toEqual(settled(next).loaded);
  });

  test("without the key it restarts twice", () => {
    expect(restartsDuring(start, operationsOf(start, next))).toHaveLength(12);
    expect(restartsDuring(start, operationsOf(start, next, by(abandoned, next)))).toHaveLength(12);
  });

  test.each([...operationsOf(start, next, ways).keys()])(
    "stopped after %i operations, it is finished; only what was stopped between its two trust files restarts once more",
    (count) => {
      const done = operationsOf(start, next, ways).slice(0, count);
      const stopped = done.reduce(apply, start);
      const restarts = [
        ...restartsDuring(start, done),
        ...restartsDuring(stopped, operationsOf(stopped, next, ways)),
      ];
      const isHalfDone = names.some((name) => {
        const { "etcd-ca": client, "etcd-peer-ca": peer } = stopped.disks[name] ?? {};
        return (client === ended[name]?.["etcd-ca"]) !== (peer === ended[name]?.["etcd-peer-ca"]);
      });
      expect(restarts).toHaveLength(isHalfDone ? 7 : 6);
      expect(finish(stopped, next, issuers, ways).disks).toEqual(ended);
    },
  );
});

test("in every state that interrupted runs can reach, whoever is ill, all connections are accepted, and each is finished", () => {
  const ways = by(shared, next);
  const { refused, disks, worlds } = explore(settled(shared), next, issuers, ways);
  expect(refused).toEqual([]);
  expect(disks).toBeGreaterThan(5000);
  const ends = worlds.map((world) => finish(world, next, issuers, ways));
  expect(ends.filter((end) => refusedIn(end, issuers).length > 0)).toEqual([]);
}, 900_000);

test.each(["issue", "verify"] as const)(
  "masters that do %s side by side refuse nobody, wherever each has come to, nor does a run from there",
  (phase) => {
    const ways = by(shared, next);
    const worlds = sideBySide(settled(shared), operationsOf(settled(shared), next, ways), phase);
    expect(worlds.length).toBeGreaterThan(20);
    for (const world of worlds) {
      expect([...refusedIn(world, issuers), ...refusedDuring(world, next, issuers, ways)]).toEqual([]);
      expect(finish(world, next, issuers, ways).disks).toEqual(ended);
    }
  },
);

test("any sequence of targets, keys at hand, interruptions and masters that are out", () => {
  const all = [shared, separate, abandoned, next];
  const run = fc.record({
    wanted: fc.constantFrom(...all),
    signer: fc.constantFrom(undefined, ...all),
    count: fc.nat(60),
    ill: fc.constantFrom(undefined, undefined, undefined, ...names),
    draws: fc.array(fc.nat(9), { minLength: 60, maxLength: 60 }),
  });
  const property = fc.property(
    fc.constantFrom(shared, separate),
    fc.array(run, { minLength: 1, maxLength: 6 }),
    (first, runs) => {
      let world = settled(first);
      for (const { wanted, signer, count, ill, draws } of runs) {
        world = surveyed(world, issuers, ill);
        const operations = mixed(operationsOf(world, wanted, { ...by(signer, wanted), ill }), draws);
        for (const operation of operations.slice(0, count)) {
          world = apply(world, operation);
          expect(refusedIn(world, issuers)).toEqual([]);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 100 });
});

describe("other ways refuse connections", () => {
  const ways = by(separate, next);
  const others: readonly [string, Ways, string][] = [
    [
      "leaves that lose the cross-certificate before all have retired",
      { order: ["issue", "verify", "retire"] },
      "etcd-ca on master-2 refuses apiserver-etcd-client of master-1",
    ],
    [
      "one master without the cross-certificate",
      {
        contents: (phase, master, rows, plan, pems, cross) =>
          phase === "issue" && master === "master-2"
            ? contentsFor(phase, master, rows, plan, pems)
            : contentsFor(phase, master, rows, plan, pems, cross),
      },
      "etcd-peer-ca on master-1 refuses etcd-peer of master-2",
    ],
    [
      "trust left as it is without cross-certificates",
      {
        contents: (phase, master, rows, plan, pems) =>
          phase === "trust" ? {} : contentsFor(phase, master, rows, plan, pems),
      },
      "etcd-peer-ca on master-1 refuses etcd-peer of master-2",
    ],
    [
      "retire before issue",
      { order: ["trust", "retire", "issue", "verify"] },
      "etcd-ca on master-1 refuses apiserver-etcd-client of master-2",
    ],
  ];
  test.each(others)("%s", (_, way, expected) => {
    expect(refusedDuring(settled(separate), next, issuers, { ...ways, ...way })).toContain(expected);
  });
});

test("an authority that may have none below it signs nothing", () => {
  const narrow = makeOriginalPems(
    makeAuthority("/CN=narrow", 3650, ["basicConstraints=critical,CA:TRUE,pathlen:0"]),
  );
  const { by: made } = madeOf([narrow, next]);
  expect(
    restartsDuring(settled(narrow), operationsOf(settled(narrow), next, made(narrow, next))),
  ).toHaveLength(12);
});
