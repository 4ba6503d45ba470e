import type { Found, FoundMaster, Receipt } from "./found.ts";
import { phases } from "./plan.ts";
import { minute } from "./text.ts";

/** A rollout that has begun and has not ended, as far as the masters tell. */
export interface Progress {
  /** whether a run or a step is at work, or none is any more */
  readonly state: "rotating" | "interrupted";
  /** undefined until a receipt has it */
  readonly rollout: number | undefined;
  /** the last that has begun */
  readonly phase: string;
  /** where that is at work, or was last */
  readonly masters: readonly string[];
  /** when the run has begun, or was last seen; milliseconds since 1970 */
  readonly since: number | undefined;
  /** owner, user, machine and process; undefined when the run is gone */
  readonly by: string | undefined;
}

/** What locks, claims and receipts tell of a rollout; undefined when none has begun, or the last one has ended. */
export function progressOf({ masters }: Pick<Found, "masters">): Progress | undefined {
  const run = runOn(masters);
  return stepsAtWork(masters, run) ?? lastRecorded(masters, run);
}

/** What is known of a run by its claims. */
interface Run {
  readonly by: string;
  /** milliseconds since 1970 */
  readonly since: number | undefined;
}

/** The run that has claimed masters; a run claims them before it knows whether there is anything to do. */
export function runOn(masters: readonly FoundMaster[]): Run | undefined {
  const claimed = masters.filter(({ claim }) => claim !== undefined);
  const [by] = claimed.flatMap(({ claim }) => claim ?? []);
  return by === undefined
    ? undefined
    : { by, since: least(claimed.flatMap((master) => timeOn(master, master.claimedAt))) };
}

function stepsAtWork(masters: readonly FoundMaster[], run: Run | undefined): Progress | undefined {
  const steps = masters.flatMap((master) =>
    master.work === undefined ? [] : [{ master, work: master.work }],
  );
  const phase = phases.findLast((each) => steps.some(({ work }) => work.phase === each));
  if (phase === undefined) {
    return undefined;
  }
  const own = steps.filter(({ work }) => work.phase === phase);
  const attempt = own[0]?.work.attempt;
  const begun = least(own.flatMap(({ master, work }) => timeOn(master, work.since)));
  return {
    state: "rotating",
    rollout: masters.find(({ receipt }) => receipt?.attempt === attempt)?.receipt?.rollout,
    phase,
    masters: own.map(({ master }) => master.name),
    since: run?.since ?? begun,
    by: run?.by,
  };
}

/** How far the newest rollout has come by its receipts, while there is one that is not complete. */
function lastRecorded(masters: readonly FoundMaster[], run: Run | undefined): Progress | undefined {
  const receipts = masters.flatMap(({ receipt }) => receipt ?? []);
  const rollout = Math.max(...receipts.map((receipt) => receipt.rollout));
  const own = receipts.filter((receipt) => receipt.rollout === rollout);
  if (own.every(({ isComplete }) => isComplete)) {
    return undefined;
  }
  const phase = phases.findLast((each) => own.some((receipt) => receipt.phase === each)) ?? "backup";
  const last = lastAtWork(
    masters.filter(({ receipt }) => receipt !== undefined && isAt(receipt, rollout, phase)),
  );
  const seen = last.flatMap((master) => timeOn(master, master.recordedAt));
  return {
    state: run === undefined ? "interrupted" : "rotating",
    rollout,
    phase,
    masters: last.map(({ name }) => name),
    since: run === undefined ? greatest(seen) : run.since,
    by: run?.by,
  };
}

/** Its receipt stands at this phase; after verify, which is the last one, there is nothing left to do. */
function isAt(receipt: Receipt, rollout: number, phase: string): boolean {
  return phase === "verify" ? !receipt.isComplete : receipt.rollout === rollout && receipt.phase === phase;
}

/** Of masters at one phase those with a journal, which a step leaves only when it is cut, else those whose receipt is the newest. */
function lastAtWork(masters: readonly FoundMaster[]): readonly FoundMaster[] {
  const cut = masters.filter(({ leftovers }) => leftovers.length > 0);
  const newest = greatest(masters.flatMap((master) => timeOn(master, master.recordedAt)));
  const last = masters.filter((master) => timeOn(master, master.recordedAt).some((time) => time === newest));
  return [cut, last].find((some) => some.length > 0) ?? masters;
}

/** By this machine's clock, in milliseconds since 1970; none where the master does not tell. */
function timeOn({ clock, operatorClock }: FoundMaster, seconds: number | undefined): number[] {
  return seconds === undefined ? [] : [(seconds + operatorClock - clock) * 1000];
}

function least(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.min(...times);
}

function greatest(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.max(...times);
}

/** Where receipts stand while a rollout is held before issue or retire; whether it is does not show on the masters alone. */
const mayBeHeldAfter: readonly string[] = ["trust", "issue", "settle"];

/** Such as `rotating (rollout 3, trust, master-2)`. */
export function progressTitle({ state, rollout, phase, masters }: Progress): string {
  const place = [...(rollout === undefined ? [] : [`rollout ${rollout}`]), phase, ...masters];
  return `${state} (${place.join(", ")})`;
}

/** What is at work, since when and by whom; or what was, until when, and what to do. */
export function progressWords({ state, rollout, phase, since, by }: Progress): string {
  const name = rollout === undefined ? "a rollout" : `rollout ${rollout}`;
  const when = since === undefined ? "" : minute(since);
  if (state === "interrupted") {
    const unlessHeld = mayBeHeldAfter.includes(phase) ? ", unless it is held: pulumi preview says so" : "";
    return `${name} was interrupted in ${phase}${when && `, last at work ${when}`}; pulumi up finishes it${unlessHeld}`;
  }
  return by === undefined
    ? `${name}: a step of ${phase} is at work${when && `, since ${when}`}; its run is gone, and it finishes or puts back by itself`
    : `${name} is at work in ${phase}${when && `, since ${when}`}, by ${by}`;
}
