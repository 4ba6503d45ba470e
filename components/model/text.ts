/** One line without control characters and invisible ones, so that text from elsewhere can neither move the cursor nor pose as another line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}

/** `2026-11-23` of a time in milliseconds since 1970, UTC. */
export function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** `2026-11-23 14:05 UTC` of a time in milliseconds since 1970. */
export function minute(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Such as `20 KiB`, rounded up. */
export function size(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / (1 << 20))} MiB`;
}

/** Of some lines those that there are: one whose condition does not hold is left out. */
export function linesOf(...all: readonly (string | false | undefined)[]): string[] {
  return all.filter((line) => typeof line === "string");
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
