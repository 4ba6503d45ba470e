import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeCheck, planCheckVariable } from "../../components/model/exploration/check.ts";
import { type PlanSummary, planFileVariable } from "../../components/model/plan-summary.ts";
import { messageOf, printable } from "../../components/model/text.ts";
import { CommandError, exitCodes } from "../command-error.ts";
import type { PlanOptions } from "../commands.ts";
import { automationOptions } from "../engine.ts";
import { inScratchFolder } from "../files.ts";
import { changesIn, describeChanges, errorsIn, reasonOf, withoutColours } from "../fleet/result.ts";
import { openStack } from "../fleet/run-stack.ts";
import { chooseStack, type Program } from "../project.ts";
import { readStackFile, secretsProviderIn } from "../stack-file.ts";
import { passphraseFor, writeJson } from "../terminal.ts";

/** What an update of a stack would do. */
interface Plan {
  readonly stack: string;
  /** by operation, such as create or replace: how many resources */
  readonly changes: Readonly<Record<string, number>>;
  /** one, or as many as the stack has */
  readonly clusters: readonly PlanSummary[];
}

/** Previews one stack and prints what it plans, without the diff of resources. @returns the exit code */
export async function plan(named: string | undefined, options: PlanOptions): Promise<number> {
  if (options.json && options.markdown) {
    throw CommandError.usage("Cannot print the plan: saw both --json and --markdown; expected one of them");
  }
  const program = chooseStack(options.cwd, named);
  const made = await inScratchFolder((scratch) => preview(program, join(scratch, "plan"), options.check));
  const heading = `${made.stack}: ${describeChanges(made.changes) || "no change"}`;
  if (options.json) {
    writeJson(made);
  } else {
    process.stdout.write((options.markdown ? markdownOf : describe)(heading, made.clusters));
  }
  if (made.clusters.some(({ check }) => check !== undefined && check.refused.length > 0)) {
    return exitCodes.refused;
  }
  return Object.keys(made.changes).length === 0 ? exitCodes.done : exitCodes.due;
}

/** @param file where the program is to write its plan; not there yet */
async function preview(program: Program, file: string, isChecked: boolean): Promise<Plan> {
  const { folder, stack } = program;
  const { pulumiCommand, envVars } = await automationOptions();
  const passphrase = await passphraseFor(secretsProviderIn(readStackFile(program)));
  // the Automation API passes this process's whole environment on
  const check = isChecked ? { [planCheckVariable]: "yes" } : {};
  process.env = { ...envVars, ...passphrase, [planFileVariable]: file, ...check };
  const opened = await openStack(stack, { folder, automation: { pulumiCommand, envVars: {} } });
  const errors: string[] = [];
  try {
    const { changeSummary } = await opened.preview({
      color: "never",
      onEvent: (event) => errors.push(...errorsIn(event).map((message) => withoutColours(message).trimEnd())),
    });
    const lines = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
    return { stack, changes: changesIn(changeSummary), clusters: lines.map((line) => JSON.parse(line)) };
  } catch (error) {
    // of a CLI that has not come as far as the program it is the error alone, without the command line
    throw CommandError.failed(
      `Cannot plan ${stack}: ${errors.join("\n") || reasonOf([], messageOf(error))}`,
      error,
    );
  }
}

/** For a person. */
function describe(heading: string, clusters: Plan["clusters"]): string {
  const lines = clusters.flatMap((each) => [
    ...(each.cluster === "" ? [] : [`${each.cluster}:`]),
    ...wordsOf(each),
  ]);
  return [heading, ...lines, ""].map(printable).join("\n");
}

/** For a comment on a pull request: a heading, then the words as they are. */
function markdownOf(heading: string, clusters: Plan["clusters"]): string {
  const parts = clusters.flatMap((each) => [
    ...(each.cluster === "" ? [] : [`#### ${each.cluster}`, ""]),
    // no line of a plan begins so
    "~~~~",
    ...wordsOf(each).map(printable),
    "~~~~",
    "",
  ]);
  return [`### ${heading}`, "", ...parts].join("\n");
}

function wordsOf({ words, check }: PlanSummary): readonly string[] {
  return check === undefined ? words : [...words, ...describeCheck(check)];
}
