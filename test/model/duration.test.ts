import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { durationSeconds } from "../../components/model/duration.ts";

describe("durationSeconds", () => {
  test.each([
    ["0s", 0],
    ["10s", 10],
    ["2m", 120],
    ["3h", 10_800],
    ["60d", 5_184_000],
    ["50y", 1_576_800_000],
  ])("%s is %d seconds", (text, seconds) => {
    expect(durationSeconds(text)).toBe(seconds);
  });

  test.each(["", "10", "s", "-1s", "1.5h", "10 s", "10S", "10s ", "1w", "10s10m", "１s"])(
    "refuses %j",
    (text) => {
      expect(() => durationSeconds(text)).toThrow(
        new RangeError(
          `Cannot read duration "${text}": expected a whole number and s, m, h, d or y, such as "60d"`,
        ),
      );
    },
  );

  test("grows with the number", () => {
    const property = fc.property(fc.nat(), fc.constantFrom("s", "m", "h", "d", "y"), (count, unit) => {
      expect(durationSeconds(`${count + 1}${unit}`) - durationSeconds(`${count}${unit}`)).toBe(
        durationSeconds(`1${unit}`),
      );
    });
    fc.assert(property);
  });
});
