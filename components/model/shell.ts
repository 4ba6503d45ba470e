/** A value as a shell word that bash reads back unchanged, whatever it holds. */
export function quote(value: string): string {
  if (value.includes("\0")) {
    throw new RangeError("Cannot quote a value with a NUL byte for the shell");
  }
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** `NAME='value'` lines, and `NAME=('a' 'b')` for lists. */
export function assignments(values: Readonly<Record<string, string | number | readonly string[]>>): string {
  return Object.entries(values)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "object" ? `(${value.map(quote).join(" ")})` : quote(String(value))}\n`,
    )
    .join("");
}
