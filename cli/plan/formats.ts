import { describeCheck } from "../../components/model/exploration/check.ts";
import type { PlanSummary } from "../../components/model/plan-summary.ts";
import { printable } from "../../components/model/text.ts";
import { describeChanges } from "../fleet/result.ts";

/** What an update of a stack would do. */
export interface Plan {
  readonly stack: string;
  /** by operation, such as create or replace: how many resources */
  readonly changes: Readonly<Record<string, number>>;
  /** one, or as many as the stack has */
  readonly clusters: readonly PlanSummary[];
}

/** For a person. */
export function describe({ stack, changes, clusters }: Plan): string {
  const lines = clusters.flatMap((each) => [
    ...(each.cluster === "" ? [] : [`${each.cluster}:`]),
    ...wordsOf(each),
  ]);
  return [`${stack}: ${summaryOf(changes)}`, ...lines, ""].map(printable).join("\n");
}

/** For a comment on a pull request: a heading, then the words as they are. */
export function markdownOf({ stack, changes, clusters }: Plan): string {
  const parts = clusters.flatMap((each) => [
    ...(each.cluster === "" ? [] : [`#### ${each.cluster}`, ""]),
    // no line of a plan begins so
    "~~~~",
    ...wordsOf(each).map(printable),
    "~~~~",
    "",
  ]);
  return [`### ${stack}: ${summaryOf(changes)}`, "", ...parts].join("\n");
}

function wordsOf({ words, check }: PlanSummary): readonly string[] {
  return check === undefined ? words : [...words, ...describeCheck(check)];
}

function summaryOf(changes: Plan["changes"]): string {
  return describeChanges(changes) || "no change";
}
