import { expect, test } from "vitest";
import { terminalSvg } from "../../tools/dev/terminal-svg.ts";

/** What a line shows, by its height; and the class of each word. */
function shown(svg: string): { readonly lines: string[]; readonly classes: Record<string, string> } {
  const words = [...svg.matchAll(/<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</g)];
  const lines = Map.groupBy(words, ([, , , y = ""]) => Number(y));
  return {
    lines: [...lines].map(([, line]) =>
      line.reduce((text, [, , x, , word = ""]) => text.padEnd((Number(x) - 16) / 8) + word, ""),
    ),
    classes: Object.fromEntries(words.map(([, classes = "", , , word = ""]) => [word, classes])),
  };
}

test("colours and weight are classes, so that a page's light or dark ground decides; control characters are gone", () => {
  const svg = terminalSvg(
    "a title",
    "\x1b[38;5;2mgreen\x1b[0m \x1b[1mbold\x1b[0m \x1b[91mred\x1b[0m \x1b[38;5;208mother\x1b[0m\r\n",
  );
  expect(shown(svg).classes).toEqual({ green: "green", bold: "fg bold", red: "red", other: "fg" });
  expect(svg).toContain("prefers-color-scheme:dark");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none
  expect(svg).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
});

test("a line that is too long goes on below its own beginning", () => {
  expect(shown(terminalSvg("", "\n  one two three\n    \x1b[32mfour\x1b[0m\n", 11)).lines).toEqual([
    "  one two",
    "    three",
    "    four",
  ]);
});

test("what means something in XML is text", () => {
  expect(terminalSvg('<&">', 'a <b> & "c"')).toContain("&lt;b&gt;");
  expect(terminalSvg('<&">', "")).toContain("<title>&lt;&amp;&quot;&gt;</title>");
});
