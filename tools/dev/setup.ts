import { parseArgs } from "node:util";
import { SetupError } from "../engine/progress.ts";
import { progressOf, setUp } from "./set-up.ts";

const usage = `Usage: npm run setup [-- --engine | --lab] [--json]

Makes ready, once: the Pulumi engine (--engine) and the lab's packages and masters' image (--lab);
both without an option. --json prints what was done to stdout.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      engine: { type: "boolean", default: false },
      lab: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const both = !(values.engine || values.lab);
  const parts = { engine: values.engine || both, lab: values.lab || both };
  const progress = progressOf(parts);
  try {
    await setUp(parts, progress);
    return 0;
  } catch (error) {
    if (!(error instanceof SetupError)) {
      throw error;
    }
    process.stderr.write(`${error.message}\n`);
    return 1;
  } finally {
    if (values.json) {
      process.stdout.write(`${JSON.stringify(progress.outcomes, undefined, "\t")}\n`);
    }
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
  return 2;
});
