/** What became of one stack. */
export type Outcome = "unchanged" | "changes" | "updated" | "failed" | "not started";

export interface Result {
  readonly stack: string;
  readonly outcome: Outcome;
  /** wall time */
  readonly seconds: number;
  /** by operation, such as create or replace: how many resources */
  readonly changes: Readonly<Record<string, number>>;
  /** why it failed */
  readonly reason: string | undefined;
  /** file with all that Pulumi said; undefined when nothing was run */
  readonly log: string | undefined;
}

/** A stack that nobody has touched, because the run ended before. */
export function notStarted(stack: string): Result {
  return { stack, outcome: "not started", seconds: 0, changes: {}, reason: undefined, log: undefined };
}

/** 0 all is as wanted, 1 a preview has changes, 2 something failed or was not started. */
export function exitCodeOf(results: readonly Result[]): 0 | 1 | 2 {
  if (results.some(({ outcome }) => outcome === "failed" || outcome === "not started")) {
    return 2;
  }
  return results.some(({ outcome }) => outcome === "changes") ? 1 : 0;
}

/** The operations that would do something, out of Pulumi's summary of a preview. */
export function changesIn(summary: Readonly<Partial<Record<string, number>>>): Record<string, number> {
  // a stack reads its own outputs each time
  return Object.fromEntries(
    Object.entries(summary).flatMap(([operation, count = 0]) => (operation === "same" || operation === "read" || count === 0 ? [] : [[operation, count]])),
  );
}
