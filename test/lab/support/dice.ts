import { createHash, randomInt } from "node:crypto";

/** Choices that look random and are the same for the same seed. */
export class Dice {
  readonly #seed: string;
  #throws = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A whole number from 0 up to, and without, `limit`. */
  number(limit: number): number {
    this.#throws += 1;
    return createHash("sha256").update(`${this.#seed}/${this.#throws}`).digest().readUInt32BE(0) % limit;
  }

  /** @throws when there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const [chosen] = this.sample(from, 1);
    if (chosen === undefined) {
      throw new Error("Cannot pick from an empty list");
    }
    return chosen;
  }

  /** `count` different elements, in a random order. */
  sample<T>(from: readonly T[], count: number): T[] {
    const left = [...from];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(this.number(left.length), 1),
    ).flat();
  }
}

/** So many seeds in a row come to all of the lab. */
const turns = 10;

/** What a seed's turn comes to. */
export function deal<T>(seed: string, from: readonly T[]): T[] {
  return from.filter((_, index) => index % turns === Number(seed) % turns);
}

/** The seed of this run, from TEST_SEED or new; printed, so that the run can be repeated. */
export function readSeed(file: string): string {
  const seed = process.env["TEST_SEED"] ?? String(randomInt(1_000_000));
  process.stdout.write(`${file}: TEST_SEED=${seed}${isWholeMatrix() ? " TEST_MATRIX=1" : ""}\n`);
  return seed;
}

/** Whether every case was asked for, instead of a sample. */
export function isWholeMatrix(): boolean {
  return process.env["TEST_MATRIX"] === "1";
}
