import { expect, test } from "vitest";
import { day } from "../../components/model/text.ts";

test("day is that of UTC", () => {
  expect([day(0), day(Date.UTC(2026, 10, 23, 23, 59, 59, 999))]).toEqual(["1970-01-01", "2026-11-23"]);
});
