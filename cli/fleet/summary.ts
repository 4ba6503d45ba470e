import { columns, wrap } from "../columns.ts";
import type { Paint, Tone } from "../paint.ts";
import { exitCodeOf, type Outcome, type Result } from "./result.ts";

/** The results for a person, then why and where to read on. */
export function describeResults(results: readonly Result[], command: string, width: number, paint: Paint): string[] {
  const quiet = (text: string) => paint("quiet", text);
  const table = columns([
    [{ text: "stack" }, { text: "result" }, { text: "seconds", isRight: true }, { text: "changes" }].map((cell) => ({ ...cell, style: quiet })),
    ...results.map(({ stack, outcome, seconds, changes }) => [
      { text: stack },
      { text: outcome, style: (text: string) => paint(toneOf(outcome), text) },
      { text: seconds === 0 ? "" : seconds.toFixed(1), isRight: true },
      { text: describeChanges(changes) },
    ]),
  ]);
  const failures = results.flatMap(({ stack, outcome, reason, log }) =>
    outcome === "failed" || reason !== undefined
      ? ["", ...wrap(`${stack}: ${reason ?? "unknown"}`, width), ...(log === undefined || outcome !== "failed" ? [] : [`  log: ${log}`])]
      : [],
  );
  const isOpen = results.some(({ outcome }) => outcome === "failed" || outcome === "not started");
  return [...table, ...failures, "", countsOf(results), ...(isOpen && command === "up" ? ["To go on, the same command again: what is done is skipped."] : [])];
}

/** For programs. */
export function jsonOf(results: readonly Result[]): string {
  const stacks = results.map(({ reason = null, log = null, ...rest }) => ({ ...rest, reason, log }));
  return `${JSON.stringify({ exitCode: exitCodeOf(results), stacks }, null, 2)}\n`;
}

/** Such as `updated after 89.0 s` or `failed after 3.1 s: …`. */
export function describeResult({ outcome, seconds, reason }: Result): string {
  return `${outcome} after ${seconds.toFixed(1)} s${reason === undefined ? "" : `: ${reason}`}`;
}

function describeChanges(changes: Readonly<Record<string, number>>): string {
  return Object.entries(changes)
    .map(([operation, count]) => `${count} ${operation}`)
    .join(", ");
}

function countsOf(results: readonly Result[]): string {
  const counts = Object.entries(Object.groupBy(results, ({ outcome }) => outcome)).map(([outcome, group = []]) => `${group.length} ${outcome}`);
  return `${results.length} stacks: ${counts.join(", ")}`;
}

function toneOf(outcome: Outcome): Tone {
  switch (outcome) {
    case "failed":
      return "bad";
    case "changes":
    case "not started":
      return "warning";
    case "updated":
    case "unchanged":
      return "good";
    default:
      return outcome satisfies never;
  }
}
