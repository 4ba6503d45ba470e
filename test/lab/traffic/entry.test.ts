import { expect, test } from "vitest";
import { parseRecord } from "./entry.ts";

const line = '{"kind":"watch","number":7,"revision":8,"t":750.128,"wall":"2026-01-01T00:00:00.750Z"}';
const event = { kind: "watch", number: 7, revision: 8, t: 750.128, wall: "2026-01-01T00:00:00.750Z" };

test("a record is one entry per line", () => {
  expect(parseRecord(`${line}\n${line}\n`)).toEqual({ entries: [event, event] });
});

test("a last line that was cut off is left out", () => {
  expect(parseRecord(`${line}\n${line.slice(0, 40)}`)).toEqual({ entries: [event] });
});

test("a last line that lacks only its line break counts", () => {
  expect(parseRecord(line)).toEqual({ entries: [event] });
});

test("any other line that is no entry is an error that names it", () => {
  expect(() => parseRecord(`${line}\n{"kind":"watch"}\n${line}\n`)).toThrow(
    'Cannot read the record: line 2 is "{\\"kind\\":\\"watch\\"}"; expected an entry',
  );
});
