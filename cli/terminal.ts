import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { styleText } from "node:util";
import measured from "fast-string-truncated-width";
import { CommandError } from "./command-error.ts";

const formats = {
  good: "green",
  warning: "yellow",
  bad: "red",
  quiet: "dim",
  title: "bold",
  plain: "reset",
} as const;

/** What a text means, and so how it looks. */
export type Tone = keyof typeof formats;

/** Gives a text its look. */
export type Paint = (tone: Tone, text: string) => string;

/** Colours on a terminal; plain text where output is piped or NO_COLOR is set. */
export function painterFor(stream: NodeJS.WriteStream): Paint {
  return (tone, text) => (tone === "plain" ? text : styleText(formats[tone], text, { stream }));
}

/** Columns of a terminal; 80 where there is none, or one that does not say. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : 80;
}

/** The result for programs. */
export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** A cell with its look; the look takes no room. */
export interface Cell {
  readonly text: string;
  readonly isRight?: boolean;
  /** gives way where a line would be wider than it may be: loses its end */
  readonly isFlexible?: boolean;
  readonly style?: ((text: string) => string) | undefined;
}

/** A cell that means something. */
export function toned(paint: Paint, tone: Tone, text: string): Cell {
  return { text, style: (shown) => paint(tone, shown) };
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
export function columns(
  table: readonly (readonly (Cell | string)[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const rows = table.map((row) =>
    row.map((cell): Cell => (typeof cell === "string" ? { text: cell } : cell)),
  );
  const widths: number[] = [];
  for (const [index, { text }] of rows.flatMap((row) => [...row.entries()])) {
    widths[index] = Math.max(widths[index] ?? 0, displayWidth(text));
  }
  const excess = widths.reduce((sum, each) => sum + each, 2 * (widths.length - 1)) - width;
  const flexible = rows.map((row) => row.findIndex((cell) => cell.isFlexible)).find((index) => index >= 0);
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

/** True when a person can answer. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true;
}

/** A question on the terminal; only the word "yes" is one. */
export async function isConfirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const gone = Promise.withResolvers<string>();
  terminal.once("close", () => gone.resolve(""));
  try {
    const answer = await Promise.race([terminal.question(`${question} Type yes to go on: `), gone.promise]);
    return answer.trim() === "yes";
  } finally {
    terminal.close();
  }
}

/**
 * Asks once for the stack's passphrase where no variable has it, since the CLI would ask for each of its runs.
 * @param purpose what it is needed to do
 * @param otherwise what else would do, for the message
 * @returns what to add to the CLI's environment
 * @throws CommandError (declined) at Ctrl-C or Ctrl-D
 */
export async function passphraseFor(
  secretsProvider: string | undefined,
  purpose = "read the keys of the state",
  otherwise = "",
): Promise<NodeJS.ProcessEnv> {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file } = process.env;
  if (secretsProvider !== "passphrase" || given !== undefined || (file !== undefined && file !== "")) {
    return {};
  }
  if (!canAsk()) {
    throw CommandError.usage(
      `Cannot ${purpose}: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE${otherwise}`,
    );
  }
  return { PULUMI_CONFIG_PASSPHRASE: await secretFor("Passphrase of the stack", "passphrase") };
}

/** Asks on the terminal, without showing the answer. @throws CommandError (declined) at Ctrl-C or Ctrl-D */
export async function secretFor(question: string, kind: "passphrase" | "password"): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const gone = Promise.withResolvers<never>();
  terminal.once("close", () => gone.reject(CommandError.declined(`Cannot go on: no ${kind} was given`)));
  try {
    process.stderr.write(`${question}: `);
    return await Promise.race([terminal.question(""), gone.promise]);
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}
