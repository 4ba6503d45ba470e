import { parseArgs } from "node:util";
import { Progress } from "./setup/progress.ts";
import { setUpEngine } from "./setup/set-up-engine.ts";
import { setUpLab } from "./setup/set-up-lab.ts";
import { SetupError } from "./setup/setup-error.ts";

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
  const progress = new Progress();
  try {
    if (values.engine || both) {
      await setUpEngine(progress);
    }
    if (values.lab || both) {
      await setUpLab(progress);
    }
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
