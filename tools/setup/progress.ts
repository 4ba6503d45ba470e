/** One thing that set-up looked at or made. */
export interface Outcome {
  readonly what: string;
  readonly why: string;
  readonly state: "ready" | "made";
  readonly seconds: number;
}

/** Tells people on stderr what is going on, and keeps the list for `--json`. */
export class Progress {
  readonly outcomes: Outcome[] = [];

  /** Runs one piece of work; `why` is told before it starts, because it may take minutes. */
  async make<T>(what: string, why: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    process.stderr.write(`  ...    ${what}: ${why}\n`);
    const result = await work();
    this.made(what, why, (performance.now() - start) / 1000);
    return result;
  }

  /** Notes what was made. */
  made(what: string, why: string, seconds: number): void {
    this.outcomes.push({ what, why, state: "made", seconds });
    process.stderr.write(`  made   ${what} (${seconds.toFixed(1)} s)\n`);
  }

  /** Notes what was there already. */
  ready(what: string, why: string): void {
    this.outcomes.push({ what, why, state: "ready", seconds: 0 });
    process.stderr.write(`  ready  ${what}: ${why}\n`);
  }

  /** A remark that is no outcome. */
  note(text: string): void {
    process.stderr.write(`         ${text}\n`);
  }
}
