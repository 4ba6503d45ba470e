import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignments, quote } from "../../components/model/shell.ts";

/** What bash reads back, from a script on its standard input as on a master. */
function readBack(script: string): string[] {
  return execFileSync("bash", ["-s"], { input: script, encoding: "utf8" }).split("\0").slice(0, -1);
}

/** Everything that bash can hold: all of Unicode without NUL, and often what is special to it. */
const text = fc.oneof(
  fc.string({ unit: "binary" }).map((each) => each.replaceAll("\0", "")),
  fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        "\\",
        "$",
        "`",
        "\n",
        "\r",
        " ",
        "!",
        "*",
        "~",
        "\u00e9",
        "\u{1f511}",
        "a",
        "-n",
        "EOF\n",
        "$(id)",
      ),
    )
    .map((parts) => parts.join("")),
);

describe("bash reads back what was written", () => {
  test("any texts, quoted", () => {
    const property = fc.property(fc.array(text, { minLength: 1, maxLength: 50 }), (values) => {
      expect(readBack(`printf '%s\\0' ${values.map(quote).join(" ")}\n`)).toEqual(values);
    });
    fc.assert(property, { numRuns: 40 });
  });

  test("any values and lists, assigned", () => {
    const property = fc.property(
      text,
      fc.integer(),
      fc.array(text, { maxLength: 20 }),
      (value, count, list) => {
        const script = `${assignments({ VALUE: value, COUNT: count, LIST: list })}printf '%s\\0' "$VALUE" "$COUNT" "\${#LIST[@]}" \${LIST[@]+"\${LIST[@]}"}\n`;
        expect(readBack(script)).toEqual([value, String(count), String(list.length), ...list]);
      },
    );
    fc.assert(property, { numRuns: 40 });
  });
});

test("assignments are lines that a person can read", () => {
  expect(assignments({ PHASE: "trust", ROLLOUT: 4, EMPTY: [], PATHS: ["/a b", "it's"] })).toBe(
    "PHASE='trust'\nROLLOUT='4'\nEMPTY=()\nPATHS=('/a b' 'it'\\''s')\n",
  );
});

test("a NUL byte cannot be a shell word", () => {
  expect(() => quote("a\0b")).toThrow(new RangeError("Cannot quote a value with a NUL byte for the shell"));
});
