import { describe, expect, test } from "vitest";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import { type Progress, progressOf, progressTitle, progressWords } from "../../components/model/progress.ts";
import { changed, foundAs, makePems, receipt } from "./cluster.ts";

const steady = foundAs(makePems("steady"));
const at = Date.parse("2026-11-25T12:00:00Z") / 1000;
const me = "etcd-rotation/test me@here pid 7";

/** Rollout 5 of the masters that are named, each at its phase; the others still have rollout 4. */
function rollout5(standing: Readonly<Record<string, string>>, change: Partial<FoundMaster> = {}): Found {
  return Object.entries(standing).reduce(
    (found, [name, phase]) =>
      changed(found, name, () => ({
        receipt: { ...receipt, rollout: 5, attempt: "a5", phase, isComplete: false },
        ...change,
      })),
    steady,
  );
}

const everywhere = (phase: string) => rollout5({ "master-1": phase, "master-2": phase, "master-3": phase });
const claimed = (found: Found): Found => ({
  masters: found.masters.map((master) => ({ ...master, claim: me, claimedAt: at })),
});
const working = (found: Found, name: string, phase: string, attempt = "a5"): Found =>
  changed(found, name, () => ({ lock: "held", work: { phase, attempt, since: at + 60 } }));

test("nothing is under way where every receipt is complete, and where there is none", () => {
  expect(progressOf(steady)).toBeUndefined();
  expect(progressOf({ masters: [] })).toBeUndefined();
  expect(progressOf(foundAs(makePems("new"), { receipt: undefined }))).toBeUndefined();
  // nobody knows yet whether this run has anything to do
  expect(progressOf(claimed(steady))).toBeUndefined();
});

describe("at work", () => {
  test("a step is named by its master and phase, its run by the claim, since when that began", () => {
    const found = working(
      claimed(rollout5({ "master-1": "trust", "master-2": "trust", "master-3": "backup" })),
      "master-2",
      "trust",
    );
    expect(progressOf(found)).toEqual({
      state: "rotating",
      rollout: 5,
      phase: "trust",
      masters: ["master-2"],
      since: at * 1000,
      by: me,
    });
  });

  test("steps side by side are all named; of two phases the later one", () => {
    const both = working(working(claimed(everywhere("issue")), "master-1", "settle"), "master-3", "settle");
    expect(progressOf(both)?.masters).toEqual(["master-1", "master-3"]);
    expect(progressOf(working(both, "master-2", "issue"))).toMatchObject({
      phase: "settle",
      masters: ["master-1", "master-3"],
    });
  });

  test("the first step of a rollout has no number yet", () => {
    expect(progressOf(working(claimed(steady), "master-1", "backup"))).toMatchObject({
      state: "rotating",
      rollout: undefined,
      phase: "backup",
    });
  });

  test("between two steps it is where the last one was", () => {
    const found = changed(
      claimed(rollout5({ "master-1": "trust", "master-2": "trust" }, { recordedAt: at })),
      "master-2",
      () => ({
        recordedAt: at + 30,
      }),
    );
    expect(progressOf(found)).toMatchObject({
      state: "rotating",
      phase: "trust",
      masters: ["master-2"],
      since: at * 1000,
    });
  });

  test("it began with the first claim, and without one with the first step that is still at work", () => {
    const early = changed(claimed(everywhere("issue")), "master-2", () => ({ claimedAt: at - 30 }));
    expect(progressOf(early)?.since).toBe((at - 30) * 1000);
    const both = working(working(everywhere("issue"), "master-1", "issue"), "master-3", "issue");
    const later = changed(both, "master-1", () => ({
      work: { phase: "issue", attempt: "a5", since: at + 90 },
    }));
    expect(progressOf(later)?.since).toBe((at + 60) * 1000);
    const untold = changed(everywhere("issue"), "master-1", () => ({ claim: me }));
    expect(progressOf(untold)).toMatchObject({ state: "rotating", by: me, since: undefined });
  });

  test("a step whose run is gone is at work all the same, since it began", () => {
    expect(progressOf(working(everywhere("issue"), "master-3", "issue"))).toMatchObject({
      state: "rotating",
      masters: ["master-3"],
      since: (at + 60) * 1000,
      by: undefined,
    });
  });

  test("what else holds the lock is no step", () => {
    expect(progressOf(working(steady, "master-1", "purge"))).toBeUndefined();
  });
});

describe("interrupted", () => {
  test("a rollout that nobody is at work on, where its last receipt was written", () => {
    const found = changed(
      rollout5({ "master-1": "trust", "master-2": "trust", "master-3": "backup" }, { recordedAt: at }),
      "master-2",
      () => ({
        recordedAt: at + 30,
      }),
    );
    expect(progressOf(found)).toEqual({
      state: "interrupted",
      rollout: 5,
      phase: "trust",
      masters: ["master-2"],
      since: (at + 30) * 1000,
      by: undefined,
    });
  });

  test("on the master that has a journal, whatever the times say", () => {
    const found = changed(
      rollout5({ "master-1": "trust", "master-2": "trust" }, { recordedAt: at }),
      "master-1",
      () => ({
        recordedAt: at - 9,
        leftovers: ["/var/lib/etcd-rotation/journal"],
      }),
    );
    expect(progressOf(found)).toMatchObject({ masters: ["master-1"], since: (at - 9) * 1000 });
  });

  test("on all masters of that phase, where no time is known", () => {
    const early = rollout5({ "master-1": "trust", "master-2": "trust", "master-3": "backup" });
    expect(progressOf(early)?.masters).toEqual(["master-1", "master-2"]);
    expect(progressOf(everywhere("settle"))).toMatchObject({
      phase: "settle",
      masters: ["master-1", "master-2", "master-3"],
      since: undefined,
    });
  });

  test("in verify it is where that has not ended", () => {
    const found = changed(everywhere("retire"), "master-1", () => ({
      receipt: { ...receipt, rollout: 5, attempt: "a5", phase: "verify", isComplete: true },
    }));
    expect(progressOf(found)).toMatchObject({ phase: "verify", masters: ["master-2", "master-3"] });
  });

  test("a receipt that an earlier rollout left incomplete is none of the last one, which has ended", () => {
    const found = changed(steady, "master-3", () => ({
      receipt: { ...receipt, rollout: 3, attempt: "a3", phase: "trust", isComplete: false },
    }));
    expect(progressOf(found)).toBeUndefined();
  });

  test("a master where an earlier rollout was cut in the same phase is not where this one was", () => {
    const found = changed(rollout5({ "master-1": "trust" }), "master-3", () => ({
      receipt: { ...receipt, rollout: 3, attempt: "a3", phase: "trust", isComplete: false },
    }));
    expect(progressOf(found)).toMatchObject({ rollout: 5, masters: ["master-1"] });
  });

  test("times are by this machine's clock", () => {
    const found = rollout5({ "master-2": "trust" }, { recordedAt: at, clock: 1_000, operatorClock: 1_007 });
    expect(progressOf(found)?.since).toBe((at + 7) * 1000);
  });
});

test("in words", () => {
  const progress: Progress = {
    state: "rotating",
    rollout: 3,
    phase: "trust",
    masters: ["master-2"],
    since: at * 1000,
    by: me,
  };
  const { rollout: _, ...unnumbered } = progress;
  const cut: Progress = { ...progress, state: "interrupted", by: undefined };
  expect([
    progressTitle(progress),
    progressTitle({ ...unnumbered, rollout: undefined, masters: ["a", "b"] }),
    progressTitle(cut),
  ]).toEqual([
    "rotating (rollout 3, trust, master-2)",
    "rotating (trust, a, b)",
    "interrupted (rollout 3, trust, master-2)",
  ]);
  expect([
    progressWords(progress),
    progressWords({ ...progress, rollout: undefined, by: undefined }),
    progressWords(cut),
    progressWords({ ...cut, phase: "retire", since: undefined }),
  ]).toEqual([
    `rollout 3 is at work in trust, since 2026-11-25 12:00 UTC, by ${me}`,
    "a rollout: a step of trust is at work, since 2026-11-25 12:00 UTC; its run is gone, and it finishes or puts back by itself",
    "rollout 3 was interrupted in trust, last at work 2026-11-25 12:00 UTC; pulumi up finishes it, unless it is held: pulumi preview says so",
    "rollout 3 was interrupted in retire; pulumi up finishes it",
  ]);
});
