import { inParallel } from "../in-parallel.ts";
import { exitCodeOf, notStarted, type Result } from "./result.ts";

export interface HandOutOptions {
  /** stacks at work at one time */
  readonly parallel: number;
  /** goes first and alone; the others of a run that stops at a failure follow only when it is as wanted */
  readonly canary: string | undefined;
  /** whether a failure keeps the rest from being started */
  readonly stopsAtFailure: boolean;
  /** asked before each stack: whether somebody wants the run to end */
  readonly isInterrupted: () => boolean;
}

/** Hands stacks out to `work`, and none any more after a failure; what is under way is waited for. Results are in the stacks' order. */
export async function handOut(stacks: readonly string[], options: HandOutOptions, work: (stack: string) => Promise<Result>): Promise<Result[]> {
  let isStopped = false;
  const one = async (stack: string): Promise<Result> => {
    if (isStopped || options.isInterrupted()) {
      return notStarted(stack);
    }
    const result = await work(stack);
    isStopped ||= options.stopsAtFailure && result.outcome === "failed";
    return result;
  };
  const { canary } = options;
  const first = canary === undefined ? [] : [await one(canary)];
  // one that waits for its window proves nothing
  isStopped ||= options.stopsAtFailure && exitCodeOf(first) !== 0;
  const others = await inParallel(
    stacks.filter((stack) => stack !== canary),
    options.parallel,
    one,
  );
  const all = [...first, ...others];
  return stacks.flatMap((stack) => all.find((result) => result.stack === stack) ?? []);
}
