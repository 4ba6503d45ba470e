/** One thing that set-up looked at or made. */
interface Outcome {
  readonly what: string;
  readonly why: string;
  readonly state: "ready" | "made";
  readonly seconds: number;
}

/** How often something that takes long says that it is still at work. */
const beatMilliseconds = 30_000;

/** Tells people on stderr what is going on and how far it is, and keeps the list for `--json`. */
export class Progress {
  readonly outcomes: Outcome[] = [];
  readonly #total: number;

  /** @param total how many outcomes there will be */
  constructor(total: number) {
    this.#total = total;
  }

  /** Runs one piece of work; `why` and the usual time are told before it starts, because it may take minutes. */
  async make<T>(what: string, why: string, usually: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const seconds = () => (performance.now() - start) / 1000;
    process.stderr.write(`  ...    ${what}: ${why}; usually ${usually}\n`);
    const beat = setInterval(
      () => process.stderr.write(`  ...    ${what}: ${seconds().toFixed()} s of usually ${usually}\n`),
      beatMilliseconds,
    );
    try {
      const result = await work();
      this.made(what, why, seconds());
      return result;
    } finally {
      clearInterval(beat);
    }
  }

  /** Notes what was made. */
  made(what: string, why: string, seconds: number): void {
    this.#add({ what, why, state: "made", seconds }, `made   ${what} (${seconds.toFixed(1)} s)`);
  }

  /** Notes what was there already. */
  ready(what: string, why: string): void {
    this.#add({ what, why, state: "ready", seconds: 0 }, `ready  ${what}: ${why}`);
  }

  #add(outcome: Outcome, text: string): void {
    this.outcomes.push(outcome);
    process.stderr.write(`  ${text} [${this.outcomes.length} of ${this.#total}]\n`);
  }

  /** A remark that is no outcome. */
  note(text: string): void {
    process.stderr.write(`         ${text}\n`);
  }
}

/** Something that set-up may not do by itself; the message says what to do instead. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}
