/** What `one_line` (components/node/lib/output.sh) makes of a text. */
export function oneLine(text: string): string {
  return text.replace(/\n$/, "").replaceAll("\n", "\x1F");
}
