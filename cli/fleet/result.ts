import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { printable } from "../../components/model/text.ts";
import { columns, type Paint, type Tone, toned, wrap } from "../terminal.ts";

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
  if (results.some(isOpen)) {
    return 2;
  }
  return results.some(({ outcome }) => outcome === "changes") ? 1 : 0;
}

/** What the same command has to do again. */
function isOpen({ outcome }: Result): boolean {
  return outcome === "failed" || outcome === "not started";
}

/** The operations that would do something, out of Pulumi's summary of a preview. */
export function changesIn(summary: Readonly<Partial<Record<string, number>>>): Record<string, number> {
  // a stack reads its own outputs each time
  return Object.fromEntries(
    Object.entries(summary).flatMap(([operation, count = 0]) =>
      operation === "same" || operation === "read" || count === 0 ? [] : [[operation, count]],
    ),
  );
}

const tones: Readonly<Record<Outcome, Tone>> = {
  failed: "bad",
  changes: "warning",
  "not started": "warning",
  updated: "good",
  unchanged: "good",
};

/** The results for a person, then why and where to read on. */
export function describeResults(
  results: readonly Result[],
  command: string,
  width: number,
  paint: Paint,
): string[] {
  const header = ["stack", "result", "seconds", "changes"].map((title) => ({
    ...toned(paint, "quiet", title),
    isRight: title === "seconds",
  }));
  const rows = results.map(({ stack, outcome, seconds, changes }) => [
    stack,
    toned(paint, tones[outcome], outcome),
    { text: seconds === 0 ? "" : seconds.toFixed(1), isRight: true },
    describeChanges(changes),
  ]);
  const failures = results.flatMap(({ stack, outcome, reason, log }) =>
    outcome === "failed" || reason !== undefined
      ? [
          "",
          ...wrap(`${stack}: ${reason ?? "unknown"}`, width),
          ...(log === undefined || outcome !== "failed" ? [] : [`  log: ${log}`]),
        ]
      : [],
  );
  const counts = Object.entries(Object.groupBy(results, ({ outcome }) => outcome)).map(
    ([outcome, group]) => `${group.length} ${outcome}`,
  );
  return [
    ...columns([header, ...rows]),
    ...failures,
    "",
    `${results.length} stacks: ${counts.join(", ")}`,
    ...(results.some(isOpen) && command === "up"
      ? ["To go on, the same command again: what is done is skipped."]
      : []),
  ];
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

/** Such as `5 create, 31 replace`. */
export function describeChanges(changes: Readonly<Record<string, number>>): string {
  return Object.entries(changes)
    .map(([operation, count]) => `${count} ${operation}`)
    .join(", ");
}

/** What the engine calls an error: none, or one. */
export function errorsIn({ diagnosticEvent: said }: EngineEvent): string[] {
  return said?.severity === "error" ? [said.message] : [];
}

/** Longer than that, the log is the better place. */
const longest = 400;

/** Why a run failed, in a few words: what the engine called an error, or else the CLI. */
export function reasonOf(diagnostics: readonly string[], output: string): string {
  const diagnostic = diagnostics
    .map(withoutMarks)
    .find((message) => message !== "" && !message.startsWith("update failed"));
  const lines = output.split("\n").map(withoutMarks);
  const called = lines.find((line) => line.startsWith("error: ") && !line.startsWith("error: update failed"));
  const text =
    diagnostic ?? called?.slice("error: ".length) ?? lines.findLast((line) => line !== "") ?? "unknown";
  if (text.startsWith("no stack named ")) {
    return `${text}; make it with: npx etcd-rotation pulumi stack init <stack>`;
  }
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}

/** What the engine says, without its colour directives. */
export function withoutColours(text: string): string {
  return text.replaceAll(/<\{%.*?%\}>/g, "");
}

/** The same on one line. */
function withoutMarks(text: string): string {
  return printable(withoutColours(text)).replaceAll(/\s+/g, " ").trim();
}
