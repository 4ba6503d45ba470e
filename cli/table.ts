import { styleText } from "node:util";

export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
  /** gets what is left of the line, and loses its end when that is too little */
  readonly isFlexible?: boolean;
}

export interface Cell {
  readonly text: string;
  readonly style?: Parameters<typeof styleText>[0];
}

/** Lines of at most `width` characters: a head, then the rows. Colours as the stream takes them. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number, stream: NodeJS.WriteStream): string {
  const texts = [columns.map(({ title }) => ({ text: title, style: "dim" as const })), ...rows];
  const wanted = columns.map((_, index) => Math.max(...texts.map((row) => row[index]?.text.length ?? 0)));
  const fixed = wanted.reduce((sum, each, index) => sum + (columns[index]?.isFlexible === true ? 0 : each), 2 * (columns.length - 1));
  const widths = wanted.map((each, index) => (columns[index]?.isFlexible === true ? Math.max(4, Math.min(each, width - fixed)) : each));
  const line = (row: readonly Cell[]) =>
    row
      .map(({ text, style }, index) => {
        const own = widths[index] ?? 0;
        const cut = text.length > own ? `${text.slice(0, own - 1)}…` : text;
        const padded = columns[index]?.isNumber === true ? cut.padStart(own) : index === row.length - 1 ? cut : cut.padEnd(own);
        return style === undefined ? padded : styleText(style, padded, { stream });
      })
      .join("  ")
      .trimEnd();
  return `${texts.map(line).join("\n")}\n`;
}
