import { type Component, components } from "./layout/rows.ts";
import { type Phase, phases } from "./plan.ts";
import { answerLines, readRecords, stepRecords } from "./records.ts";
import { printable } from "./text.ts";

/** A step's resource in a state. Times are the engine's, in milliseconds since 1970. */
export interface StateStep {
  readonly ended: number;
  /** when what it waited for had ended */
  readonly after: readonly number[];
  readonly stdout: string;
  readonly stderr: string;
}

/** A step that has ended well, its gate included. */
export interface EndedStep {
  readonly attempt: string;
  readonly phase: Phase;
  readonly master: string;
  /** ISO 8601, the earliest that is possible: when the last thing that it waited for had ended */
  readonly started: string;
  readonly ended: string;
  readonly restarts: readonly Component[];
  /** what it said on the way */
  readonly words: readonly string[];
  /** what the probe of its master has seen since the step before */
  readonly probe: readonly (Probed & { readonly target: ProbeTarget; readonly gapEnded: string })[];
}

export type ProbeTarget = "etcd" | "kube-apiserver";

/** What the probe on a master has seen of its own etcd, by writes, and of its kube-apiserver. */
export interface Probed {
  /** silent: none has succeeded; refused: the first answer was that it may not, and it has not tried again */
  readonly state: "answers" | "silent" | "refused";
  readonly tries: number;
  readonly failures: number;
  /** between two tries that succeeded */
  readonly longestGapMilliseconds: number;
  /** of those that succeeded */
  readonly slowestMilliseconds: number;
}

/**
 * Those that have said that they are done, in the order of their ends.
 * @param began when their update did, in ISO 8601; undefined where nobody tells
 */
export function endedSteps(steps: readonly StateStep[], began: string | undefined): EndedStep[] {
  const begin = Date.parse(began ?? "");
  return steps
    .toSorted((a, b) => a.ended - b.ended)
    .flatMap((step) => {
      const records = readRecords(answerLines(step.stdout), stepRecords);
      const done = records.done.at(-1);
      const phase = phases.find((each) => each === done?.phase);
      if (done === undefined || phase === undefined) {
        return [];
      }
      const { attempt, master } = done;
      // other lines are of the login, or of a program that it ran
      const beginning = `${master} ${phase}: `;
      const said = answerLines(step.stderr).map(printable);
      const own = said.filter((line) => line.startsWith(beginning));
      const words = own.map((line) => line.slice(beginning.length));
      const starts = [begin, ...step.after].filter((time) => time <= step.ended);
      const started = iso(starts.length === 0 ? step.ended : Math.max(...starts));
      const probe = records.probe.map(({ target, state, tries, failures, ...seen }) => ({
        ...{ target, state, tries, failures },
        longestGapMilliseconds: seen.gapMilliseconds,
        gapEnded: iso(step.ended - seen.endedBeforeMilliseconds),
        slowestMilliseconds: seen.slowestMilliseconds,
      }));
      const ended = iso(step.ended);
      return { attempt, phase, master, started, ended, restarts: restartsIn(words), words, probe };
    });
}

/** As the scripts in components/node/lib say it: no record has it. */
function restartsIn(words: readonly string[]): Component[] {
  const begin = /^(?:re)?starting (?:the )?(etcd|kube[a-z-]*)(?:, with (kube-apiserver))?(?: \(|$)/;
  const begun = words.flatMap((line) => begin.exec(line)?.slice(1) ?? []);
  return begun.flatMap((name) => components.find((component) => component === name) ?? []);
}

/** ISO 8601. */
export function iso(time: number): string {
  return Number.isNaN(time) ? "unknown" : new Date(time).toISOString();
}
