import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Entry, parseRecord } from "../traffic/entry.ts";
import { judge } from "./judge.ts";
import {
  type apiRound,
  failedWrite,
  goodHistory,
  replacing,
  spell,
  watch,
  withEntries,
  write,
} from "./made-up.ts";
import { type Expectations, recovery, rolling, type Violation } from "./verdict.ts";

function violationsOf(entries: readonly Entry[], expectations: Expectations = rolling): readonly Violation[] {
  return judge({ entries }, expectations).violations;
}

function without(kind: Entry["kind"], round: number): Entry[] {
  const gone = kind === "watch" ? watch(round) : write(round);
  return replacing(goodHistory(), (entry) => (entry.kind === kind && entry.t === gone.t ? undefined : entry));
}

function withApiRound(
  role: "read" | "write",
  round: number,
  changed: Partial<ReturnType<typeof apiRound>>,
): Entry[] {
  return replacing(goodHistory(), (entry) =>
    entry.kind === "api" && entry.role === role && entry.round === round ? { ...entry, ...changed } : entry,
  );
}

const refused = { ok: false, ms: 1, error: "refused" };

describe("a run that keeps every rule", () => {
  test("has no violation and these measures", () => {
    expect(judge({ entries: goodHistory() }, rolling)).toEqual({
      violations: [],
      measures: {
        durationMilliseconds: 6200,
        writeRounds: 60,
        failedWriteRounds: 0,
        failovers: 0,
        longestWriteGapMilliseconds: 100,
        apiRequests: 120,
        apiFirstTryFailures: 0,
        apiDoubleFailures: 0,
        longestApiGapMilliseconds: 102,
        watchEvents: 60,
        watchErrors: 0,
        leaderlessMilliseconds: 0,
        outages: {
          etcd: {
            "10.0.0.1": { count: 0, longestMilliseconds: 0 },
            "10.0.0.2": { count: 0, longestMilliseconds: 0 },
            "10.0.0.3": { count: 0, longestMilliseconds: 0 },
          },
          api: {
            "10.0.0.1": { count: 0, longestMilliseconds: 0 },
            "10.0.0.2": { count: 0, longestMilliseconds: 0 },
            "10.0.0.3": { count: 0, longestMilliseconds: 0 },
          },
        },
      },
    });
  });

  test("may restart one member and one API server after the other, with failovers and retries", () => {
    const retried = { first: refused, retry: { ok: true, ms: 3, status: 200 } };
    const failover = {
      ...write(20),
      endpoint: "10.0.0.2",
      failovers: 1,
      attempts: [
        { number: 900, endpoint: "10.0.0.1", ms: 1, ok: false, error: "refused" },
        { number: 21, endpoint: "10.0.0.2", ms: 5, ok: true, revision: 31 },
      ],
    };
    const entries = replacing(withApiRound("write", 30, retried), (entry) =>
      entry.kind === "write" && entry.round === 20 ? failover : entry,
    );
    const { violations, measures } = judge(
      {
        entries: withEntries(entries, [
          ...spell("etcd", "10.0.0.1", "down", 2000, 2600),
          ...spell("etcd", "10.0.0.2", "down", 2600, 3100),
          ...spell("api", "10.0.0.1", "down", 2700, 5000),
        ]),
      },
      rolling,
    );
    expect(violations).toEqual([]);
    expect(measures.failovers).toBe(1);
    expect(measures.apiFirstTryFailures).toBe(1);
    expect(measures.apiDoubleFailures).toBe(0);
    expect(measures.leaderlessMilliseconds).toBe(0);
    expect(measures.outages.etcd).toEqual({
      "10.0.0.1": { count: 1, longestMilliseconds: 600 },
      "10.0.0.2": { count: 1, longestMilliseconds: 500 },
      "10.0.0.3": { count: 0, longestMilliseconds: 0 },
    });
    expect(measures.outages.api["10.0.0.1"]).toEqual({ count: 1, longestMilliseconds: 2300 });
  });

  test("counts one outage for a server that stumbles while it starts, and none for one that is only slow", () => {
    const stumbling = [
      ...spell("api", "10.0.0.1", "down", 2000, 3000),
      ...spell("api", "10.0.0.1", "unhealthy", 3201, 3400),
      ...spell("api", "10.0.0.1", "down", 3601, 4000),
    ].filter((entry) => entry.kind === "state" && (entry.state !== "up" || entry.t > 4000));
    const slow = spell("api", "10.0.0.2", "unhealthy", 5000, 5400);
    const { violations, measures } = judge(
      { entries: withEntries(goodHistory(), [...stumbling, ...slow]) },
      rolling,
    );
    expect(violations).toEqual([]);
    expect(measures.outages.api).toEqual({
      "10.0.0.1": { count: 1, longestMilliseconds: 2000 },
      "10.0.0.2": { count: 0, longestMilliseconds: 0 },
      "10.0.0.3": { count: 0, longestMilliseconds: 0 },
    });
  });

  test("may elect a leader, which leaves no member healthy for a while", () => {
    const { violations, measures } = judge(
      {
        entries: withEntries(goodHistory(), [
          ...spell("etcd", "10.0.0.1", "down", 2000, 4000),
          ...spell("etcd", "10.0.0.2", "unhealthy", 2100, 3300),
          ...spell("etcd", "10.0.0.3", "unhealthy", 2200, 3400),
        ]),
      },
      rolling,
    );
    expect(violations).toEqual([]);
    expect(measures.leaderlessMilliseconds).toBe(1300);
  });

  test.each([0, 500])(
    "may see, late and once, a write that was never acknowledged, with the number %i",
    (number) => {
      const failed = {
        ...write(20),
        failovers: 1,
        attempts: [
          { number, endpoint: "10.0.0.3", ms: 2000, ok: false, error: "timeout" },
          ...write(20).attempts,
        ],
      };
      const entries = replacing(goodHistory(), (entry) => {
        if (entry.kind === "write" && entry.round === 20) {
          return failed;
        }
        // Every later revision moves by one.
        if (entry.kind === "watch" && entry.revision > 40) {
          return { ...entry, revision: entry.revision + 1 };
        }
        return entry;
      });
      expect(violationsOf(withEntries(entries, [{ ...watch(29), t: 3010, number, revision: 41 }]))).toEqual(
        [],
      );
    },
  );
});

describe("a run that breaks one rule", () => {
  test("a write round that fails on every endpoint", () => {
    const entries = replacing(without("watch", 20), (entry) =>
      entry.kind === "write" && entry.round === 20 ? failedWrite(20) : entry,
    );
    expect(violationsOf(entries)).toEqual([
      {
        rule: "etcd-write",
        at: 2100,
        wall: "2026-01-01T00:00:02.100Z",
        what: "a write round failed on every endpoint",
        evidence: "rounds 20 to 20; first 10.0.0.1: refused; 10.0.0.2: refused; 10.0.0.3: refused",
      },
    ]);
  });

  test("two API requests whose retries fail as well", () => {
    const failed = { ok: false, first: refused, retry: { ok: false, ms: 5000, error: "timeout" } };
    const entries = replacing(withApiRound("read", 20, failed), (entry) =>
      entry.kind === "api" && entry.role === "read" && entry.round === 21 ? { ...entry, ...failed } : entry,
    );
    expect(violationsOf(entries)).toEqual([
      {
        rule: "api-request",
        at: 2102,
        wall: "2026-01-01T00:00:02.102Z",
        what: "2 API reads in a row failed, and so did their retries",
        evidence: "rounds 20 to 21; first refused; retry timeout",
      },
    ]);
  });

  test("an acknowledged write that the watch never saw", () => {
    expect(violationsOf(without("watch", 20))).toEqual([
      {
        rule: "watch-lost",
        at: 2100,
        wall: "2026-01-01T00:00:02.100Z",
        what: "an acknowledged write was never seen by the watch",
        evidence: "number 21 at revision 31",
      },
    ]);
  });

  test("a watch that goes silent", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "watch" && entry.number > 50 ? undefined : entry,
    );
    expect(violationsOf(entries)).toEqual([
      {
        rule: "watch-lost",
        at: 5100,
        wall: "2026-01-01T00:00:05.100Z",
        what: "10 acknowledged writes in a row were never seen by the watch",
        evidence: "from number 51 at revision 61 to number 60 at revision 70",
      },
    ]);
  });

  test("an event that comes twice", () => {
    expect(violationsOf(withEntries(goodHistory(), [{ ...watch(20), t: 2150 }]))).toEqual([
      {
        rule: "watch-duplicate",
        at: 2150,
        wall: "2026-01-01T00:00:02.150Z",
        what: "a write was seen more than once by the watch",
        evidence: "number 21 at revision 31 and again at revision 31",
      },
    ]);
  });

  test("two events that come in the wrong order", () => {
    const entries = replacing(goodHistory(), (entry) => {
      if (entry.kind === "watch" && entry.number === 21) {
        return { ...entry, number: 22, revision: 32 };
      }
      if (entry.kind === "watch" && entry.number === 22) {
        return { ...entry, number: 21, revision: 31 };
      }
      return entry;
    });
    expect(violationsOf(entries)).toEqual([
      {
        rule: "watch-order",
        at: 2201,
        wall: "2026-01-01T00:00:02.201Z",
        what: "a write was seen out of order by the watch",
        evidence: "number 21 at revision 31 after number 22 at revision 32",
      },
    ]);
  });

  test("an event that is behind by its revision alone", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "watch" && entry.number === 22 ? { ...entry, revision: 29 } : entry,
    );
    expect(violationsOf(entries).map(({ rule, evidence }) => [rule, evidence])).toEqual([
      ["watch-order", "number 22 at revision 29 after number 21 at revision 31"],
    ]);
  });

  test("an event that is behind by its number alone", () => {
    const swapped = (number: number) => (number === 21 ? 22 : 21);
    const entries = replacing(goodHistory(), (entry) => {
      if (entry.t < 2100 || entry.t > 2201) {
        return entry;
      }
      if (entry.kind === "watch") {
        return { ...entry, number: swapped(entry.number) };
      }
      if (entry.kind !== "write") {
        return entry;
      }
      return {
        ...entry,
        attempts: entry.attempts.map((made) => ({ ...made, number: swapped(made.number) })),
      };
    });
    expect(violationsOf(entries).map(({ rule, evidence }) => [rule, evidence])).toEqual([
      ["watch-order", "number 21 at revision 32 after number 22 at revision 31"],
    ]);
  });

  test("two API requests in a row, although later ones were answered before them", () => {
    const failed = { ok: false, first: refused, retry: refused };
    const entries = replacing(goodHistory(), (entry) => {
      if (entry.kind !== "api" || entry.role !== "read") {
        return entry;
      }
      // Rounds 20 and 21 end 1.05 s late, after round 22, which is well.
      if (entry.round === 20 || entry.round === 21) {
        return { ...entry, ...failed, t: entry.t + 1050 };
      }
      return entry;
    }).sort((a, b) => a.t - b.t);
    expect(violationsOf(entries).map(({ rule, at, evidence }) => [rule, at, evidence])).toEqual([
      ["api-request", 3152, "rounds 20 to 21; first refused; retry refused"],
    ]);
  });

  test("two etcd members down at once", () => {
    const entries = withEntries(goodHistory(), [
      ...spell("etcd", "10.0.0.1", "down", 2000, 2600),
      ...spell("etcd", "10.0.0.2", "down", 2500, 3100),
    ]);
    expect(violationsOf(entries)).toEqual([
      {
        rule: "etcd-members",
        at: 2500,
        wall: "2026-01-01T00:00:02.500Z",
        what: "more than one of the etcd members were down at once",
        evidence:
          "for at least 100 ms: 10.0.0.1 from 2000 to 2600 ms (down here); 10.0.0.2 from 2500 to 3100 ms (down here)",
      },
    ]);
  });

  test("three etcd members down at once, until the end", () => {
    const back = (entry: Entry) => entry.kind === "state" && entry.t > 100 && entry.state === "up";
    const spells = [
      ...spell("etcd", "10.0.0.1", "down", 2000, 3000),
      ...spell("etcd", "10.0.0.2", "down", 2500, 3100),
      ...spell("etcd", "10.0.0.3", "down", 2800, 3200),
    ];
    const entries = withEntries(
      goodHistory(),
      spells.filter((entry) => !back(entry)),
    );
    expect(violationsOf(entries)).toEqual([
      {
        rule: "etcd-members",
        at: 2500,
        wall: "2026-01-01T00:00:02.500Z",
        what: "more than one of the etcd members were down at once",
        evidence:
          "for at least 3700 ms: 10.0.0.1 from 2000 to 6200 ms (down here); 10.0.0.2 from 2500 to 6200 ms (down here); 10.0.0.3 from 2800 to 6200 ms (down here)",
      },
    ]);
  });

  test("two API servers down at once", () => {
    const entries = withEntries(goodHistory(), [
      ...spell("api", "10.0.0.2", "down", 2000, 5000),
      ...spell("api", "10.0.0.3", "down", 4000, 5500),
    ]);
    expect(violationsOf(entries)).toEqual([
      {
        rule: "api-servers",
        at: 4000,
        wall: "2026-01-01T00:00:04.000Z",
        what: "more than one of the API servers were down at once",
        evidence:
          "for at least 1000 ms: 10.0.0.2 from 2000 to 5000 ms (down here); 10.0.0.3 from 4000 to 5500 ms (down here)",
      },
    ]);
  });

  test("two API servers that say for longer than an election takes that etcd fails", () => {
    const unwell = [
      ...spell("api", "10.0.0.2", "unhealthy", 1000, 5000),
      ...spell("api", "10.0.0.3", "unhealthy", 1500, 5200),
    ];
    expect(violationsOf(withEntries(goodHistory(), unwell))).toEqual([]);
    expect(
      violationsOf(withEntries(goodHistory(), unwell), { ...rolling, electionMilliseconds: 3000 }),
    ).toEqual([
      {
        rule: "api-servers",
        at: 1500,
        wall: "2026-01-01T00:00:01.500Z",
        what: "more than one of the API servers were not well at once, for longer than an election takes",
        evidence:
          "for at least 3500 ms; allowed are 3000 ms: 10.0.0.2 from 1000 to 5000 ms (unhealthy here); 10.0.0.3 from 1500 to 5200 ms (unhealthy here)",
      },
    ]);
  });

  test("a quorum of members that are not healthy, although each answers", () => {
    const entries = withEntries(goodHistory(), [
      ...spell("etcd", "10.0.0.1", "unhealthy", 1000, 5000),
      ...spell("etcd", "10.0.0.2", "unhealthy", 1500, 5200),
    ]);
    expect(violationsOf(entries, { ...rolling, electionMilliseconds: 3000 })).toEqual([
      {
        rule: "quorum",
        at: 1500,
        wall: "2026-01-01T00:00:01.500Z",
        what: "fewer etcd members were healthy than a quorum, for longer than an election takes",
        evidence:
          "for at least 3500 ms; allowed are 3000 ms: 10.0.0.1 from 1000 to 5000 ms (unhealthy here); 10.0.0.2 from 1500 to 5200 ms (unhealthy here)",
      },
    ]);
  });

  test("a gap between acknowledged writes that is longer than this run allows", () => {
    const entries = replacing(goodHistory(), (entry) => {
      const inGap = (entry.kind === "write" || entry.kind === "watch") && entry.t >= 3000 && entry.t < 3900;
      return inGap ? undefined : entry;
    });
    expect(violationsOf(entries, { ...rolling, maximumWriteGapMilliseconds: 500 })).toEqual([
      {
        rule: "etcd-gap",
        at: 2900,
        wall: "2026-01-01T00:00:02.900Z",
        what: "no write was acknowledged for too long",
        evidence: "1000 ms; allowed are 500 ms",
      },
    ]);
  });

  test("a gap between API answers that is longer than this run allows", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "api" && entry.role === "write" && entry.t > 3000 && entry.t < 3900 ? undefined : entry,
    );
    expect(violationsOf(entries, { ...rolling, maximumApiGapMilliseconds: 500 })).toEqual([
      {
        rule: "api-gap",
        at: 2902,
        wall: "2026-01-01T00:00:02.902Z",
        what: "no API write was answered for too long",
        evidence: "1000 ms; allowed are 500 ms",
      },
    ]);
  });
});

test("violations are in order of time, whichever rule they break", () => {
  const failed = { ok: false, first: refused, retry: refused };
  const entries = replacing(withApiRound("read", 10, failed), (entry) =>
    entry.kind === "watch" && entry.number === 21 ? undefined : entry,
  );
  expect(violationsOf(entries).map(({ rule, at }) => [rule, at])).toEqual([
    ["api-request", 1102],
    ["watch-lost", 2100],
  ]);
});

describe("a run with an outage that is wanted", () => {
  const failing = (from: number, to: number): Entry[] =>
    withEntries(
      replacing(goodHistory(), (entry) => {
        if (entry.t < from || entry.t > to) {
          return entry;
        }
        if (entry.kind === "write") {
          return failedWrite(entry.round);
        }
        if (entry.kind === "api") {
          return { ...entry, ok: false, first: refused, retry: refused };
        }
        return entry.kind === "watch" ? undefined : entry;
      }),
      [...spell("etcd", "10.0.0.1", "down", 2000, 3000), ...spell("etcd", "10.0.0.2", "down", 2000, 3000)],
    );

  test("may lose quorum for as long as is allowed", () => {
    expect(violationsOf(failing(2000, 3050), recovery(2000))).toEqual([]);
  });

  test("may not stay away longer", () => {
    expect(
      violationsOf(failing(2000, 3050), recovery(1150)).map(({ rule, evidence }) => [rule, evidence]),
    ).toEqual([
      ["etcd-gap", "1200 ms; allowed are 1150 ms"],
      ["api-gap", "1200 ms; allowed are 1150 ms"],
      ["api-gap", "1200 ms; allowed are 1150 ms"],
    ]);
  });

  test("may not end in the outage", () => {
    expect(
      violationsOf(failing(6000, 6003), recovery(2000)).map(({ rule, at, what }) => [rule, at, what]),
    ).toEqual([
      ["etcd-write", 6000, "the last round failed: the cluster did not come back"],
      ["api-request", 6002, "the last round failed: the cluster did not come back"],
      ["api-request", 6002, "the last round failed: the cluster did not come back"],
    ]);
  });

  test("may still lose no event", () => {
    expect(violationsOf(without("watch", 20), recovery(2000)).map(({ rule, at }) => [rule, at])).toEqual([
      ["watch-lost", 2100],
    ]);
  });
});

describe("an unusable record", () => {
  const summary = (entries: readonly Entry[]) =>
    violationsOf(entries).map(({ rule, what, evidence }) => [rule, what, evidence]);

  test("without a start", () => {
    expect(summary(goodHistory().slice(1))).toEqual([
      [
        "record",
        "the record does not have one start, as its first entry",
        "0 starts; the first entry is state",
      ],
    ]);
  });

  test("without an end, whatever else is wrong in it", () => {
    expect(summary(without("watch", 20).slice(0, -1))).toEqual([
      ["record", "the record does not have one end, as its last entry", "0 ends; the last entry is beat"],
    ]);
  });

  test("of two runs", () => {
    expect(summary([...goodHistory(), ...goodHistory()]).map(([, what]) => what)).toEqual([
      "the record does not have one start, as its first entry",
      "the record does not have one end, as its last entry",
    ]);
  });

  test("with too few rounds", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "api" && entry.role === "read" && entry.round > 48 ? undefined : entry,
    );
    expect(summary(entries)).toEqual([
      ["record", "too few rounds of the API reader", "49 rounds; expected at least 50"],
    ]);
  });

  test("with a hole between heartbeats", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "beat" && entry.t > 1000 && entry.t < 5000 ? undefined : entry,
    );
    expect(summary(entries)).toEqual([
      ["record", "the observer gave no heartbeat", "4000 ms; allowed are 3000 ms"],
    ]);
  });

  test("with no heartbeat up to the end", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "beat" && entry.t > 3000 ? undefined : entry,
    );
    expect(summary(entries)).toEqual([
      ["record", "the observer gave no heartbeat", "3200 ms; allowed are 3000 ms"],
    ]);
  });

  test("with heartbeats that do not know a member", () => {
    const entries = replacing(goodHistory(), (entry) =>
      entry.kind === "beat" && entry.t > 1000 && entry.t < 5000
        ? { ...entry, etcd: { ...entry.etcd, "10.0.0.2": "unknown" } }
        : entry,
    );
    expect(summary(entries)).toEqual([
      ["record", "the observer did not know the state of etcd on 10.0.0.2", "4000 ms; allowed are 3000 ms"],
    ]);
  });

  test("with another writer", () => {
    expect(summary(withEntries(goodHistory(), [{ ...watch(20), t: 2150, number: 777 }]))).toEqual([
      ["record", "the watch shows a number that this record did not write", "number 777 at revision 31"],
    ]);
  });
});

// Both properties print their seed when they fail.
describe("a truncated record", () => {
  const lines = goodHistory().map((entry) => JSON.stringify(entry));
  const text = `${lines.join("\n")}\n`;

  test("never makes the judge throw, and only the whole one is clean", () => {
    fc.assert(
      fc.property(fc.nat(text.length), (length) => {
        const { violations } = judge(parseRecord(text.slice(0, length)), rolling);
        // The last line is complete without its line break.
        expect(violations.length === 0).toBe(length >= text.length - 1);
        expect(violations.every(({ rule }) => rule === "record")).toBe(true);
      }),
      { examples: [[0], [text.length - 2], [text.length - 1], [text.length]] },
    );
  });

  test("never makes the judge throw, whatever lines are left of it", () => {
    fc.assert(
      fc.property(fc.subarray(goodHistory()), fc.boolean(), (entries, outageAllowed) => {
        judge({ entries }, { ...rolling, outageAllowed });
      }),
    );
  });
});
