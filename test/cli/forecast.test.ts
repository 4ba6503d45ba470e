import { expect, test } from "vitest";
import { calendarOf, describe, endingOf, fieldsOf } from "../../cli/fleet/forecast.ts";
import { forecast } from "../../components/model/forecast.ts";
import type { Window } from "../../components/model/window.ts";
import { drifted as driftedOf, unpainted } from "./made-up.ts";

const drifted = driftedOf();
const now = Date.parse("2026-11-23T12:00:00Z");
const window: Window = { days: ["tue"], from: 22 * 60, to: 4 * 60, timeZone: "Asia/Shanghai" };
const [dueAt, endsAt] = [Date.parse("2026-12-01T00:00:00Z"), Date.parse("2027-01-30T00:00:00Z")];
const appointments = forecast(
  [
    { stack: "prod", window, dueAt, endsAt },
    { stack: "test", window: undefined, dueAt, endsAt: dueAt + 60_000 },
  ],
  now,
);

test("a table for a person", () => {
  expect(describe(appointments, unpainted)).toEqual([
    "stack  rotate                              first to end  why then",
    "test   2026-12-01 or later                 2026-12-01    at any time",
    "prod   Tue 2026-12-08 22:00 Asia/Shanghai  2027-01-30    tue 22:00 to 04:00 of the next day Asia/Shanghai",
  ]);
});

test("fields for programs", () => {
  expect(appointments.map(fieldsOf)[1]).toEqual({
    stack: "prod",
    from: "2026-12-08T14:00:00.000Z",
    to: "2026-12-08T20:00:00.000Z",
    night: "2026-12-08",
    dueAt: "2026-12-01T00:00:00.000Z",
    endsAt: "2027-01-30T00:00:00.000Z",
    beside: [],
    isLate: false,
  });
});

test("a calendar: an event per cluster, whose name stays from file to file", () => {
  const text = calendarOf(appointments).replaceAll("\r\n ", "");
  expect(text).toContain("UID:etcd-rotation-prod\r\nSEQUENCE:0\r\nDTSTAMP:");
  expect(text).toContain(
    "DTSTART:20261208T140000Z\r\nDTEND:20261208T200000Z\r\nSUMMARY:Rotate the etcd certificates of prod\r\n",
  );
  expect(text).toContain("UID:etcd-rotation-test\r\n");
  expect(text).toContain("DTSTART;VALUE=DATE:20261201\r\n");
});

test("a cluster is due from renewBefore of its first end on, and at once when its status asks for an update", () => {
  const counted = drifted.certificates.filter(({ state }) => state !== "other");
  const first = Math.min(...counted.map(({ notAfter }) => notAfter));
  const outcome = (state: "ok" | "drifted" | "rotating") => ({ stack: "a", status: { ...drifted, state } });
  expect(endingOf(outcome("ok"), window, 3600, now)).toEqual([
    { stack: "a", window, dueAt: first - 3_600_000, endsAt: first },
  ]);
  expect(endingOf(outcome("rotating"), window, 3600, now)).toEqual(
    endingOf(outcome("ok"), window, 3600, now),
  );
  expect(endingOf(outcome("drifted"), window, 3600, now)).toEqual([
    { stack: "a", window, dueAt: now, endsAt: first },
  ]);
  expect(endingOf({ stack: "a", status: { ...drifted, certificates: [] } }, window, 3600, now)).toEqual([]);
});
