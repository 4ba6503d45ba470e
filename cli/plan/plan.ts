import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { planCheckVariable } from "../../components/model/exploration/check.ts";
import { planFileVariable } from "../../components/model/plan-summary.ts";
import { CommandError, exitCodes, messageOf } from "../command-error.ts";
import type { PlanOptions } from "../commands.ts";
import { automationOptions } from "../engine.ts";
import { inScratchFolder } from "../files.ts";
import { changesIn, reasonOf, withoutColours } from "../fleet/result.ts";
import { openStack } from "../fleet/run-stack.ts";
import { chooseStack, type Program } from "../project.ts";
import { readStackFile, secretsProviderIn } from "../stack-file.ts";
import { passphraseFor, writeJson } from "../terminal.ts";
import { describe, markdownOf, type Plan } from "./formats.ts";

/** Previews one stack and prints what it plans, without the diff of resources. @returns the exit code */
export async function plan(named: string | undefined, options: PlanOptions): Promise<number> {
  if (options.json && options.markdown) {
    throw CommandError.usage("Cannot print the plan: saw both --json and --markdown; expected one of them");
  }
  const program = chooseStack(options.cwd, named);
  const made = await inScratchFolder((scratch) => preview(program, join(scratch, "plan"), options.check));
  if (options.json) {
    writeJson(made);
  } else {
    process.stdout.write(options.markdown ? markdownOf(made) : describe(made));
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
      onEvent: ({ diagnosticEvent: said }) => {
        if (said?.severity === "error") {
          errors.push(withoutColours(said.message).trimEnd());
        }
      },
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
