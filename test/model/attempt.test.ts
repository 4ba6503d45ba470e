import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Attempt, decideAttempt, nextRollout } from "../../components/model/attempt.ts";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { phases, planRollout, stepsOf } from "../../components/model/plan.ts";
import { noRenewals } from "../../components/model/restore.ts";
import type { Wanted } from "../../components/model/wanted.ts";
import { changed, foundAs, makePems, names, receipt, wantedOf } from "./cluster.ts";

const pems = makePems("wanted");
const wanted = wantedOf(pems);
const asWanted = foundAs(pems);
const other = makePems("other");

function decide(found: Found, asked: Wanted = wanted): Attempt {
  return decideAttempt(found, asked, ackLayout, planRollout(found, ackLayout, [], 0));
}

describe("decideAttempt", () => {
  test("without a difference is the attempt of the receipts, again and again", () => {
    expect(decide(asWanted)).toEqual({ rollout: 4, id: "a4" });
    expect(
      decide(foundAs(pems, { clock: 1, clients: ["10.0.0.9"], isLeader: true, backups: [2, 9] })),
    ).toEqual({ rollout: 4, id: "a4" });
  });

  test("with one is new, with a number that no receipt and no backup has", () => {
    const attempt = decide(asWanted, wantedOf(other));
    expect(attempt.rollout).toBe(5);
    expect(attempt.id).toMatch(/^[0-9a-f]{16}$/);
    expect(decide(foundAs(pems, { backups: [3, 11] }), wantedOf(other)).rollout).toBe(12);
  });

  test("is the same for the same survey, taken again at another time", () => {
    const again = foundAs(pems, { clock: 9, operatorClock: 9, clients: [], isLeader: true, lock: "someone" });
    expect(decide(again, wantedOf(other))).toEqual(decide(asWanted, wantedOf(other)));
  });

  test("does not say complete to lost receipts: their backups count", () => {
    expect(decide(foundAs(pems, { receipt: undefined })).rollout).toBe(5);
    expect(decide(foundAs(pems, { receipt: undefined, backups: [] })).rollout).toBe(1);
    expect(decide({ masters: [] }).rollout).toBe(1);
  });

  test("takes a new number for an older state that was imported", () => {
    const found = foundAs(pems);
    expect(decide(found, wantedOf(other)).rollout).toBe(5);
    const back = foundAs(other, { receipt: { ...receipt, rollout: 5, attempt: "a5" }, backups: [3, 4, 5] });
    expect(decide(back, wanted).rollout).toBe(6);
  });

  const changes: readonly [string, (master: FoundMaster) => Partial<FoundMaster>][] = [
    ["another cluster id", () => ({ clusterId: "1" })],
    [
      "a restarted process",
      (master) => ({
        processes: { ...master.processes, etcd: { identity: "boot-9 1 2", isStale: false, flags: [] } },
      }),
    ],
    [
      "a stale process",
      (master) => ({
        processes: { ...master.processes, etcd: { identity: "boot-2 101 5000", isStale: true, flags: [] } },
      }),
    ],
    ["a further backup", () => ({ backups: [1, 3, 4] })],
    ["a leftover", () => ({ leftovers: ["/var/lib/etcd-rotation/journal"] })],
    [
      "another file",
      (master) => ({
        files: { ...master.files, "etcd-ca": { ...fileIn(master, "etcd-ca"), certificates: [] } },
      }),
    ],
    [
      "another owner of a file",
      (master) => ({
        files: {
          ...master.files,
          "etcd-ca": { ...fileIn(master, "etcd-ca"), ownerAndMode: "root:root 600" },
        },
      }),
    ],
    [
      "another key",
      (master) => ({
        files: {
          ...master.files,
          "etcd-server-key": { ...fileIn(master, "etcd-server-key"), publicKey: "x" },
        },
      }),
    ],
    [
      "a missing file",
      (master) => ({
        files: { ...master.files, "etcd-ca": { ...fileIn(master, "etcd-ca"), isPresent: false } },
      }),
    ],
  ];
  test.each(changes)("is another one after %s", (_, change) => {
    const before = decide(asWanted, wantedOf(other));
    expect(decide(changed(asWanted, "master-2", change), wantedOf(other)).id).not.toBe(before.id);
  });

  test("is another one in another mode", () => {
    const plan = planRollout(asWanted, ackLayout, [], 0);
    const before = decideAttempt(asWanted, wantedOf(other), ackLayout, plan);
    expect(decideAttempt(asWanted, wantedOf(other), ackLayout, { ...plan, mode: "recovery" }).id).not.toBe(
      before.id,
    );
  });

  test("counts what a new machine has: its numbers, and its files", () => {
    const joining = asWanted.masters
      .slice(2)
      .map((master) => ({ ...master, name: "master-4", backups: [8], receipt: undefined }));
    const of = (change: Partial<FoundMaster>) =>
      decide({ ...asWanted, joining: joining.map((master) => ({ ...master, ...change })) }, wantedOf(other));
    expect([of({}).rollout, of({ backups: [], receipt: { ...receipt, rollout: 6 } }).rollout]).toEqual([
      9, 7,
    ]);
    expect(of({ files: {} }).id).not.toBe(of({}).id);
  });

  test("is another one for another purpose of renewals", () => {
    const plan = planRollout(asWanted, ackLayout, [], 0);
    const [one, two] = ["ab/1", "ab/2"].map(
      (purpose) =>
        decideAttempt(asWanted, wantedOf(other), ackLayout, plan, {
          ...noRenewals({ notices: [], kept: [] }),
          purpose,
        }).id,
    );
    expect(one).not.toBe(two);
    const none = noRenewals({ notices: [], kept: [] });
    expect(decideAttempt(asWanted, wantedOf(other), ackLayout, plan, none)).toEqual(
      decide(asWanted, wantedOf(other)),
    );
    expect(one).toMatch(/^[0-9a-f]{16}$/);
  });

  test("is another one after every step of a run that was interrupted there", () => {
    let found = asWanted;
    const seen = new Set<string>();
    const first = decide(found, wantedOf(other));
    seen.add(first.id);
    const steps = stepsOf(planRollout(found, ackLayout, [], 0), names).filter(
      ({ phase }) => phase !== "verify",
    );
    for (const { phase, master } of steps) {
      found = changed(found, master, () => ({
        receipt: { ...receipt, rollout: first.rollout, attempt: first.id, phase, isComplete: false },
      }));
      seen.add(decide(found, wantedOf(other)).id);
    }
    expect(seen.size).toBe(1 + 15);
  });
});

function fileIn(master: FoundMaster, id: string) {
  const file = master.files[id];
  if (file === undefined) {
    throw new Error(`Cannot find ${id}`);
  }
  return file;
}

test("nextRollout is above every number on every master", () => {
  const number = fc.nat(1000);
  const property = fc.property(
    fc.array(fc.tuple(fc.option(number), fc.array(number)), { minLength: 3, maxLength: 3 }),
    (used) => {
      const found = {
        masters: asWanted.masters.map((master, index) => {
          const [rollout, backups] = used[index] ?? [null, []];
          return {
            ...master,
            backups,
            receipt: rollout === null ? undefined : { ...receipt, rollout, phase: phases[0] },
          };
        }),
      };
      const highest = Math.max(0, ...used.flatMap(([rollout, backups]) => [rollout ?? 0, ...backups]));
      expect(nextRollout(found)).toBe(highest + 1);
    },
  );
  fc.assert(property);
});
