/** A cell with its look; the look takes no room. */
export interface Cell {
  readonly text: string;
  readonly isRight?: boolean;
  readonly style?: ((text: string) => string) | undefined;
}

/** Lines of cells under each other, two blanks apart, no blank at the end of a line. */
export function columns(rows: readonly (readonly Cell[])[], indent = ""): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach(({ text }, index) => {
      widths[index] = Math.max(widths[index] ?? 0, text.length);
    });
  }
  return rows.map((row) => {
    const last = row.findLastIndex(({ text }) => text !== "");
    const cells = row.slice(0, last + 1).map((cell, index) => paint(cell, index === last && cell.isRight !== true ? 0 : (widths[index] ?? 0)));
    return `${indent}${cells.join("  ")}`;
  });
}

function paint({ text, isRight, style }: Cell, width: number): string {
  const blanks = " ".repeat(Math.max(0, width - text.length));
  const painted = style === undefined || text === "" ? text : style(text);
  return isRight === true ? `${blanks}${painted}` : `${painted}${blanks}`;
}

/** Breaks a text at its blanks; a word that is longer than a line stays whole, so that it can be copied. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
