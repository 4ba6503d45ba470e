import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ignoreWindowVariable,
  type Window,
  windowRefusal,
  windowState,
} from "../../components/model/window.ts";

// Literal cases: each instant is given in UTC, and what the wall clock shows then was looked up with `TZ=… date`.

const allDays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
/** Tuesday and Thursday from 22:00 to 04:00 in Shanghai, which has no daylight saving: UTC+8 */
const nights: Window = { days: ["tue", "thu"], from: 22 * 60, to: 4 * 60, timeZone: "Asia/Shanghai" };
const office: Window = { days: ["mon", "wed"], from: 9 * 60 + 30, to: 17 * 60, timeZone: "UTC" };

function berlin(from: number, to: number, days: Window["days"] = allDays): Window {
  return { days, from, to, timeZone: "Europe/Berlin" };
}

/** "open", or the ISO instant at which it opens. */
function at(window: Window, instant: string): string {
  const { isOpen, opensAt } = windowState(window, Date.parse(instant));
  return isOpen ? "open" : opensAt === undefined ? "never" : new Date(opensAt).toISOString();
}

describe("a window within a day", () => {
  test.each([
    ["2026-11-23T09:29:59Z", "2026-11-23T09:30:00.000Z"], // Monday
    ["2026-11-23T09:30:00Z", "open"],
    ["2026-11-23T16:59:59Z", "open"],
    ["2026-11-23T17:00:00Z", "2026-11-25T09:30:00.000Z"],
    ["2026-11-24T12:00:00Z", "2026-11-25T09:30:00.000Z"], // Tuesday
    ["2026-11-25T17:00:00Z", "2026-11-30T09:30:00.000Z"], // Wednesday evening
  ])("%s: %s", (instant, expected) => {
    expect(at(office, instant)).toBe(expected);
  });
});

describe("a window over midnight belongs to the day on which it opens", () => {
  test.each([
    ["2026-11-24T13:59:00Z", "2026-11-24T14:00:00.000Z"], // Tue 21:59
    ["2026-11-24T14:00:00Z", "open"], // Tue 22:00
    ["2026-11-24T16:00:00Z", "open"], // Wed 00:00
    ["2026-11-24T19:59:59Z", "open"], // Wed 03:59
    ["2026-11-24T20:00:00Z", "2026-11-26T14:00:00.000Z"], // Wed 04:00
    ["2026-11-25T15:00:00Z", "2026-11-26T14:00:00.000Z"], // Wed 23:00
    ["2026-11-27T15:00:00Z", "2026-12-01T14:00:00.000Z"], // Fri 23:00
  ])("%s: %s", (instant, expected) => {
    expect(at(nights, instant)).toBe(expected);
  });

  test("also from the last day of the week to the first", () => {
    const sunday: Window = { days: ["sun"], from: 23 * 60, to: 60, timeZone: "UTC" };
    expect(at(sunday, "2026-11-23T00:59:00Z")).toBe("open"); // Monday
    expect(at(sunday, "2026-11-22T00:30:00Z")).toBe("2026-11-22T23:00:00.000Z"); // Sunday
  });
});

test("a whole day has its midnight and its last minute", () => {
  const friday: Window = { days: ["fri"], from: 0, to: 1440, timeZone: "UTC" };
  expect(at(friday, "2026-11-27T00:00:00Z")).toBe("open");
  expect(at(friday, "2026-11-27T23:59:59Z")).toBe("open");
  expect(at(friday, "2026-11-28T00:00:00Z")).toBe("2026-12-04T00:00:00.000Z");
});

describe("when clocks go forward (Berlin, Sunday 2026-03-29: 01:59 CET is followed by 03:00 CEST)", () => {
  test.each([
    [
      "one that begins in the skipped hour opens at its end",
      berlin(150, 240),
      "2026-03-29T00:00:00Z",
      "2026-03-29T01:00:00.000Z",
    ],
    ["and is open then", berlin(150, 240), "2026-03-29T01:00:00Z", "open"],
    ["until its end by the wall clock", berlin(150, 240), "2026-03-29T02:00:00Z", "2026-03-30T00:30:00.000Z"],
    [
      "one inside the skipped hour stays shut that day",
      berlin(130, 170),
      "2026-03-29T00:59:00Z",
      "2026-03-30T00:10:00.000Z",
    ],
    [
      "and that week, when it is a weekly one",
      berlin(130, 170, ["sun"]),
      "2026-03-29T00:59:00Z",
      "2026-04-05T00:10:00.000Z",
    ],
    ["one over the skipped hour stays open", berlin(60, 240), "2026-03-29T00:59:59Z", "open"],
    ["one over midnight is an hour shorter", berlin(22 * 60, 240), "2026-03-29T01:59:59Z", "open"],
    [
      "and closes by the wall clock",
      berlin(22 * 60, 240),
      "2026-03-29T02:00:00Z",
      "2026-03-29T20:00:00.000Z",
    ],
  ])("%s", (_, window, instant, expected) => {
    expect(at(window, instant)).toBe(expected);
  });
});

describe("when clocks go back (Berlin, Sunday 2026-10-25: 02:59 CEST is followed by 02:00 CET)", () => {
  const repeated = berlin(135, 165); // 02:15 to 02:45
  test.each([
    ["inside the first time", repeated, "2026-10-25T00:15:00Z", "open"],
    ["shut in between", repeated, "2026-10-25T00:45:00Z", "2026-10-25T01:15:00.000Z"],
    ["inside the second time", repeated, "2026-10-25T01:15:00Z", "open"],
    ["until the second end", repeated, "2026-10-25T01:45:00Z", "2026-10-26T01:15:00.000Z"],
    ["one over the repeated hour stays open through it", berlin(60, 180), "2026-10-25T01:59:59Z", "open"],
    ["and is shut after it", berlin(60, 180), "2026-10-25T02:00:00Z", "2026-10-26T00:00:00.000Z"],
  ])("%s", (_, window, instant, expected) => {
    expect(at(window, instant)).toBe(expected);
  });
});

test("half an hour that is skipped counts too (Lord Howe, Sunday 2026-10-04: 01:59 is followed by 02:30)", () => {
  const window: Window = { days: ["sun"], from: 125, to: 180, timeZone: "Australia/Lord_Howe" };
  expect(at(window, "2026-10-03T15:00:00Z")).toBe("2026-10-03T15:30:00.000Z");
});

test("a day that is skipped does not open (Apia had no Friday 2011-12-30)", () => {
  const window: Window = { days: ["fri"], from: 600, to: 660, timeZone: "Pacific/Apia" };
  expect(at(window, "2011-12-29T12:00:00Z")).toBe("2012-01-05T20:00:00.000Z");
});

test("where it is said to open it is open, and it is shut the minute before", () => {
  const day = fc.constantFrom(...allDays);
  const anyWindow = fc.record({
    days: fc.uniqueArray(day, { minLength: 1 }),
    from: fc.integer({ min: 0, max: 1439 }),
    to: fc.integer({ min: 1, max: 1440 }),
    timeZone: fc.constantFrom("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
  });
  const start = Date.parse("2026-01-01T00:00:00Z");
  fc.assert(
    fc.property(anyWindow, fc.integer({ min: 0, max: 366 * 86_400 }), (window, seconds) => {
      const { isOpen, opensAt } = windowState(window, start + seconds * 1000);
      fc.pre(!isOpen && opensAt !== undefined);
      expect(windowState(window, opensAt).isOpen).toBe(true);
      expect(windowState(window, opensAt - 1).isOpen).toBe(false);
    }),
    { numRuns: 60 },
  );
});

test("a refusal says what time it is, when the window opens and how to go ahead", () => {
  expect(windowRefusal(nights, Date.parse("2026-11-25T12:00:00Z"), "prod-a")).toBe(
    "Cannot begin a rollout of prod-a now: it is Wed 2026-11-25 20:00 Asia/Shanghai; expected a time inside the window tue, thu 22:00 to 04:00 of the next day Asia/Shanghai, which opens next on Thu 2026-11-26 22:00 Asia/Shanghai (Thu 2026-11-26 14:00 UTC). Preview works at any time. To begin outside the window, for this command alone: ETCD_ROTATION_IGNORE_WINDOW=prod-a npx etcd-rotation pulumi up --stack prod-a",
  );
});

test("one within a day says nothing of the next; one that opens on no day says so", () => {
  const refusal = (window: Window) => windowRefusal(window, Date.parse("2026-11-24T12:00:00Z"), "prod-a");
  expect(refusal(office)).toContain(
    "inside the window mon, wed 09:30 to 17:00 UTC, which opens next on Wed 2026-11-25 09:30 UTC (",
  );
  expect(at({ ...office, days: [] }, "2026-11-24T12:00:00Z")).toBe("never");
  expect(windowState({ ...office, days: [] }, 0)).toEqual({ isOpen: false, opensAt: undefined });
  expect(refusal({ ...office, days: [] })).toContain(
    "09:30 to 17:00 UTC, which does not open within 15 days. Preview",
  );
});

test("the variable has the name that the documents tell", () => {
  expect(ignoreWindowVariable).toBe("ETCD_ROTATION_IGNORE_WINDOW");
});

test("nothing is refused inside the window, or without one", () => {
  expect(windowRefusal(nights, Date.parse("2026-11-24T14:00:00Z"), "prod-a")).toBeUndefined();
  expect(windowRefusal(undefined, Date.parse("2026-11-25T12:00:00Z"), "prod-a")).toBeUndefined();
});
