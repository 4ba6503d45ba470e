import { styleText } from "node:util";

/** What a text means, and so how it looks. */
export type Tone = "good" | "warning" | "bad" | "quiet" | "title" | "plain";

/** Gives a text its look. */
export type Paint = (tone: Tone, text: string) => string;

const formats = { good: "green", warning: "yellow", bad: "red", quiet: "dim", title: "bold", plain: "reset" } as const;

/** Colours on a terminal; plain text where output is piped or NO_COLOR is set. */
export function painterFor(stream: NodeJS.WriteStream): Paint {
  return (tone, text) => (tone === "plain" ? text : styleText(formats[tone], text, { stream }));
}

/** No colours at all. */
export const unpainted: Paint = (_, text) => text;

/** Columns of a terminal; 80 where there is none, or one that does not say. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : 80;
}
