import measured from "fast-string-truncated-width";

/** A cell with its look; the look takes no room. */
export interface Cell {
  readonly text: string;
  readonly isRight?: boolean;
  /** gives way where a line would be wider than it may be: loses its end */
  readonly isFlexible?: boolean;
  readonly style?: ((text: string) => string) | undefined;
}

/** Shorter texts say nothing. */
const leastFlexible = 4;

/** Columns that a text takes on a terminal; Chinese and Japanese characters take two each. */
export function displayWidth(text: string): number {
  return measured(text).width;
}

/** A text without the end for which there is no room. */
export function cut(text: string, width: number): string {
  const { index, ellipsed } = measured(text, { limit: width, ellipsis: "…", ellipsisWidth: 1 });
  return ellipsed ? `${text.slice(0, index)}…` : text;
}

/** Lines of cells under each other, two blanks apart, no blank at the end of a line. */
export function columns(rows: readonly (readonly Cell[])[], width = Number.POSITIVE_INFINITY): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach(({ text }, index) => {
      widths[index] = Math.max(widths[index] ?? 0, displayWidth(text));
    });
  }
  const excess = widths.reduce((sum, each) => sum + each, 2 * (widths.length - 1)) - width;
  const flexible = rows.find((row) => row.some((cell) => cell.isFlexible))?.findIndex((cell) => cell.isFlexible);
  if (flexible !== undefined && excess > 0) {
    widths[flexible] = Math.max(leastFlexible, (widths[flexible] ?? 0) - excess);
  }
  return rows.map((row) => {
    const last = row.findLastIndex(({ text }) => text !== "");
    return row
      .slice(0, last + 1)
      .map((cell, index) => padded(cell, widths[index] ?? 0, index === last))
      .join("  ");
  });
}

function padded({ text, isRight, style }: Cell, width: number, isLast: boolean): string {
  const shown = cut(text, width);
  const blanks = " ".repeat(isLast && isRight !== true ? 0 : width - displayWidth(shown));
  const painted = style === undefined || shown === "" ? shown : style(shown);
  return isRight === true ? `${blanks}${painted}` : `${painted}${blanks}`;
}

/** Breaks a text at its blanks; a word that is longer than a line stays whole, so that it can be copied. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const last = lines.at(-1);
    if (last !== undefined && displayWidth(last) + 1 + displayWidth(word) <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
