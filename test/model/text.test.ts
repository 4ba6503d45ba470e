import { expect, test } from "vitest";
import { day, minute, size } from "../../components/model/text.ts";

test("day is that of UTC", () => {
  expect([day(0), day(Date.UTC(2026, 10, 23, 23, 59, 59, 999))]).toEqual(["1970-01-01", "2026-11-23"]);
});

test("minute is one of UTC, and none is rounded up", () => {
  expect(minute(Date.UTC(2026, 10, 23, 23, 59, 59, 999))).toBe("2026-11-23 23:59 UTC");
});

test("size is in the unit that suits it, rounded up", () => {
  expect([0, 1, 20_480, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 * 2 ** 31].map(size)).toEqual([
    "0 KiB",
    "1 KiB",
    "20 KiB",
    "1024 KiB",
    "1 MiB",
    "2 MiB",
    "6144 MiB",
  ]);
});
