const secondsPer: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, y: 31_536_000 };

/** What a duration looks like in a stack file: a whole number and a unit; `y` is 365 days. */
export const durationPattern = /^(\d+)(s|m|h|d|y)$/;

/** The same in words. */
export const durationForm = 'a whole number and s, m, h, d or y, such as "60d"';

/**
 * Reads a duration such as `10s`, `60d` or `50y`.
 * @returns seconds
 * @throws RangeError when the text is not a duration
 */
export function durationSeconds(text: string): number {
  const [, count, unit = ""] = durationPattern.exec(text) ?? [];
  const seconds = secondsPer[unit];
  if (seconds === undefined) {
    throw new RangeError(`Cannot read duration "${text}": expected ${durationForm}`);
  }
  return Number(count) * seconds;
}
