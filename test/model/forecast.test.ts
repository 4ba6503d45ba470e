import fc from "fast-check";
import { expect, test } from "vitest";
import { describeAppointment, type Ending, forecast } from "../../components/model/forecast.ts";
import type { Window } from "../../components/model/window.ts";

const now = Date.parse("2026-11-23T12:00:00Z"); // a Monday
/** Tuesday and Thursday from 22:00 to 04:00 in Shanghai, UTC+8 */
const nights: Window = { days: ["tue", "thu"], from: 22 * 60, to: 4 * 60, timeZone: "Asia/Shanghai" };

function ending(stack: string, dueAt: string, endsAt: string, window: Window | undefined = nights): Ending {
  return { stack, window, dueAt: Date.parse(dueAt), endsAt: Date.parse(endsAt) };
}

const inShort = (endings: readonly Ending[], at = now) =>
  forecast(endings, at).map(({ stack, at: from, until, night, beside, isLate }) =>
    [
      stack,
      new Date(from).toISOString(),
      until === undefined ? "any time" : new Date(until).toISOString(),
      night,
      ...(isLate ? ["late"] : []),
      ...beside.map((other) => `beside ${other}`),
    ].join(" "),
  );

test("a cluster is rotated in the first window after it is due", () => {
  expect(inShort([ending("a", "2027-01-06T00:00:00Z", "2027-03-07T00:00:00Z")])).toEqual([
    "a 2027-01-07T14:00:00.000Z 2027-01-07T20:00:00.000Z 2027-01-07",
  ]);
});

test("one that is due already is rotated in the next window, or in what is left of an open one", () => {
  const due = [ending("a", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z")];
  expect(inShort(due)).toEqual(["a 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24"]);
  // Wednesday 01:00 in Shanghai: the night of Tuesday
  expect(inShort(due, Date.parse("2026-11-24T17:00:00Z"))).toEqual([
    "a 2026-11-24T17:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24",
  ]);
});

test("what is left of a window by day is of that very day", () => {
  // Monday, 20:00 in Shanghai
  const byDay = { ...nights, days: ["mon"], from: 10 * 60, to: 23 * 60 } as const;
  expect(inShort([ending("a", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z", byDay)])).toEqual([
    "a 2026-11-23T12:00:00.000Z 2026-11-23T15:00:00.000Z 2026-11-23",
  ]);
});

test("two of one night are spread over two; what ends first keeps the first", () => {
  expect(
    inShort([
      ending("later", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z"),
      ending("sooner", "2026-11-01T00:00:00Z", "2026-12-30T00:00:00Z"),
    ]),
  ).toEqual([
    "sooner 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24",
    "later 2026-11-26T14:00:00.000Z 2026-11-26T20:00:00.000Z 2026-11-26",
  ]);
});

test("one that could go later gives way to one that has no other night", () => {
  expect(
    inShort([
      ending("sooner", "2026-11-01T00:00:00Z", "2026-12-04T00:00:00Z"),
      {
        ...ending("only", "2026-11-24T00:00:00Z", "2026-12-05T00:00:00Z"),
        window: { ...nights, days: ["tue"] },
      },
      ending("last", "2026-11-25T00:00:00Z", "2026-12-02T00:00:00Z"),
    ]),
  ).toEqual([
    "sooner 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24",
    "last 2026-11-26T14:00:00.000Z 2026-11-26T20:00:00.000Z 2026-11-26",
    "only 2026-12-01T14:00:00.000Z 2026-12-01T20:00:00.000Z 2026-12-01",
  ]);
});

test("more clusters than nights: two in one night, and both say so", () => {
  const both = ["a", "b"].map((stack) => ending(stack, "2026-11-01T00:00:00Z", "2026-11-25T00:00:00Z"));
  expect(inShort(both)).toEqual([
    "a 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24 beside b",
    "b 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24 beside a",
  ]);
  expect(forecast(both, now).map(describeAppointment)).toEqual([
    "tue, thu 22:00 to 04:00 of the next day Asia/Shanghai; in one night with b",
    "tue, thu 22:00 to 04:00 of the next day Asia/Shanghai; in one night with a",
  ]);
});

test("no window opens in time, or the end is past: the next one, and it is said", () => {
  const late = [ending("a", "2026-11-01T00:00:00Z", "2026-11-24T00:00:00Z")];
  expect(inShort(late)).toEqual(["a 2026-11-24T14:00:00.000Z 2026-11-24T20:00:00.000Z 2026-11-24 late"]);
  expect(forecast(late, now).map(describeAppointment)).toEqual([
    "tue, thu 22:00 to 04:00 of the next day Asia/Shanghai; no window opens before its first certificate ends",
  ]);
});

test("without a window: the first day that is free, in UTC", () => {
  const free = { window: undefined };
  expect(
    inShort([
      { ...ending("a", "2026-12-01T10:00:00Z", "2027-01-01T00:00:00Z"), ...free },
      { ...ending("b", "2026-12-01T11:00:00Z", "2027-01-01T00:00:01Z"), ...free },
    ]),
  ).toEqual([
    "a 2026-12-01T10:00:00.000Z any time 2026-12-01",
    "b 2026-12-02T11:00:00.000Z any time 2026-12-02",
  ]);
});

test("each in its window once it is due; in one night only with as many clusters as it has nights", () => {
  const days = fc.integer({ min: 0, max: 20 });
  const cluster = fc.record({ due: days, lasts: fc.integer({ min: 1, max: 12 }), hasWindow: fc.boolean() });
  fc.assert(
    fc.property(fc.array(cluster, { maxLength: 6 }), (clusters) => {
      const endings = clusters.map(({ due, lasts, hasWindow }, index): Ending => {
        const dueAt = now + due * 86_400_000;
        const window = hasWindow ? nights : undefined;
        return { stack: String(index), window, dueAt, endsAt: dueAt + lasts * 86_400_000 };
      });
      const all = forecast(endings, now);
      expect(all.map(({ stack }) => stack).sort()).toEqual(endings.map(({ stack }) => stack).sort());
      for (const { at, dueAt, endsAt, isLate, beside } of all) {
        expect(at).toBeGreaterThanOrEqual(dueAt);
        expect(isLate).toBe(at >= endsAt);
        expect(beside.length).toBeLessThan(endings.length);
      }
      // without windows, and with as many days as clusters, nobody shares one
      if (clusters.every(({ lasts, hasWindow }) => !hasWindow && lasts >= clusters.length)) {
        expect(all.flatMap(({ beside }) => beside)).toEqual([]);
      }
    }),
    { numRuns: 30 },
  );
});
