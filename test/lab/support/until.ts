import { setTimeout as wait } from "node:timers/promises";

/**
 * Resolves when the condition holds.
 * @throws when it does not within the limit, which is generous: other work may be going on
 */
export async function until(
  what: string,
  isTrue: () => Promise<boolean> | boolean,
  limitSeconds = 300,
): Promise<void> {
  const end = Date.now() + limitSeconds * 1000;
  while (!(await isTrue())) {
    if (Date.now() > end) {
      throw new Error(`Still waiting after ${limitSeconds} s: ${what}`);
    }
    await wait(100);
  }
}
