import { CommandError } from "../command-error.ts";
import type { StatusOptions } from "../commands.ts";
import { writeAtomically } from "../files.ts";
import { type Paint, painterFor, widthOf } from "../terminal.ts";
import { jsonOf, prometheusOf } from "./formats.ts";
import { exitCodeFor, lookAtChosen, type Outcome } from "./look.ts";
import { countsOf, describeCluster } from "./table.ts";

/** Looks at clusters and shows what it saw. @returns the exit code */
export async function status(
  named: readonly string[],
  { json, prometheus, output, agent, key, expiringWithin, ...chosen }: StatusOptions,
): Promise<number> {
  if ((json && prometheus) || (output !== undefined && !json && !prometheus)) {
    throw CommandError.usage(
      "Cannot write that: expected one of --json and --prometheus, and --output only with one of them",
    );
  }
  const outcomes = await lookAtChosen(chosen, named, { key, isAgent: agent }, expiringWithin);
  const now = Date.now();
  const text = json
    ? jsonOf(outcomes, now)
    : prometheus
      ? prometheusOf(outcomes, now)
      : `${describe(outcomes, widthOf(process.stdout), painterFor(process.stdout)).join("\n")}\n`;
  if (output === undefined) {
    process.stdout.write(text);
  } else {
    // node-exporter runs as another user
    writeAtomically(output, text, 0o644, { isExact: true });
  }
  return exitCodeFor(outcomes);
}

function describe(outcomes: readonly Outcome[], width: number, paint: Paint): string[] {
  const blocks = outcomes.map((outcome) =>
    "status" in outcome
      ? describeCluster(outcome.status, width, paint)
      : [
          `${paint("title", outcome.stack)}  ${paint("bad", "unreachable")}`,
          ...outcome.problem.split("\n").map((line) => `  ${line}`),
        ],
  );
  const lines = blocks.flatMap((block, index) => (index === 0 ? block : ["", ...block]));
  return outcomes.length === 1 ? lines : [...lines, "", countsOf(outcomes, paint)];
}
