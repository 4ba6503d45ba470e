import { stripVTControlCharacters } from "node:util";
import Anser from "anser";

/** Sizes in pixels of one character's cell, and of the frame around all of them. */
const cell = { width: 8, height: 18 };
const margin = 16;

/** The sixteen colours of a terminal by the name that Anser gives them, on a light and on a dark ground; `fg`: all other text. */
const colours: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  fg: ["#1f2328", "#e6edf3"],
  black: ["#1f2328", "#b1bac4"],
  red: ["#cf222e", "#ff7b72"],
  green: ["#116329", "#3fb950"],
  yellow: ["#7d4e00", "#d29922"],
  blue: ["#0969da", "#58a6ff"],
  magenta: ["#8250df", "#bc8cff"],
  cyan: ["#1b7c83", "#39c5cf"],
  white: ["#57606a", "#b1bac4"],
};

interface Piece {
  readonly text: string;
  readonly classes: readonly string[];
}

/** What a terminal shows of a text with colours, as a picture that goes with a light and a dark page. */
export function terminalSvg(title: string, text: string, columns = 80): string {
  const lines = wrapped(text, columns);
  const width = columns * cell.width + 2 * margin;
  const height = lines.length * cell.height + 2 * margin;
  const rules = (index: 0 | 1) =>
    Object.entries(colours)
      .map(([name, pair]) => `.${name}{fill:${pair[index]}}`)
      .join("");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}.bold{font-weight:bold}`,
    `.page{fill:#f6f8fa;stroke:#d0d7de}${rules(0)}@media(prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#30363d}${rules(1)}}</style>`,
    `<rect class="page" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...lines.flatMap((line, row) => svgLine(line, margin + (row + 0.75) * cell.height)),
    "</svg>",
    "",
  ].join("\n");
}

/** One element for each word, of exactly its cells' width, whatever font is there. */
function svgLine(line: readonly Piece[], y: number): string[] {
  let column = 0;
  return line.flatMap(({ text, classes }) => {
    const word = text.trim();
    const x = margin + (column + text.indexOf(word)) * cell.width;
    column += text.length;
    return word === ""
      ? []
      : `<text class="${classes.join(" ")}" x="${x}" y="${y}" textLength="${word.length * cell.width}" lengthAdjust="spacingAndGlyphs">${escaped(word)}</text>`;
  });
}

/** Lines of at most that many columns, broken between words; what was broken goes on below its own beginning. */
function wrapped(text: string, columns: number): Piece[][] {
  return text
    .replaceAll("\r", "")
    .replace(/^\n+|\n+$/g, "")
    .split("\n")
    .flatMap((line) => {
      const indent = /^\s*/.exec(stripVTControlCharacters(line))?.[0] ?? "";
      const rows: Piece[][] = [[]];
      let room = columns;
      for (const { content, fg, decorations } of Anser.ansiToJson(line, {
        use_classes: true,
        remove_empty: true,
      })) {
        const name = /^ansi-(?:bright-)?(\w+)$/.exec(fg ?? "")?.[1] ?? "fg";
        const classes = [name in colours ? name : "fg", ...(decorations.includes("bold") ? ["bold"] : [])];
        for (const word of content.split(/(?<=\s)(?=\S)/)) {
          if (word.trimEnd().length > room) {
            rows.push([{ text: `${indent}  `, classes: [] }]);
            room = columns - indent.length - 2;
          }
          rows.at(-1)?.push({ text: word, classes });
          room -= word.length;
        }
      }
      return rows;
    });
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
