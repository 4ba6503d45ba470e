import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { ignoreWindowVariable, windowRefusal } from "../components/model/window.ts";
import { engineEnvironment } from "../tools/engine-environment.ts";
import { defaultBackend } from "../tools/setup/state-backend.ts";
import { chooseStacks } from "./choose-stacks.ts";
import { handOut } from "./fleet/hand-out.ts";
import { progressOn } from "./fleet/progress.ts";
import { exitCodeOf, type Result } from "./fleet/result.ts";
import { previewStack, type RunOptions, updateStack } from "./fleet/run-stack.ts";
import { describeResults, jsonOf } from "./fleet/summary.ts";
import { painterFor, widthOf } from "./paint.ts";
import { type Project, readProject, readWindow } from "./stack-file.ts";
import { jsonOf as statusJsonOf } from "./status/json.ts";
import { lookAtAll } from "./status/look-at-all.ts";
import { exitCodeFor } from "./status/outcome.ts";
import { describeOverview } from "./status/overview.ts";

const usage = `Usage: npm run fleet -- status|preview|up (--stacks <stack>,... | --all) [options]

Works on many stacks, a few at a time; each is one cluster.

  status             a line per cluster, read only; without Pulumi
  preview            what would change, in every stack; a failure stops no other
  up                 previews each stack and updates the ones with changes. After a
                     failure no further stack is started; those at work are waited
                     for. The same command again goes on where it stopped: a stack
                     without changes is skipped. One whose window is shut waits

  --stacks a,b,c     these stacks
  --all              every stack with a file in stacks/
  --parallel <n>     stacks at work at one time (2; see docs/operations.md)
  --canary <stack>   this one first and alone; the others follow when it is done
  --logs <folder>    where each stack's log goes (.fleet/<time>)
  --json             the results for programs, on standard output; progress stays
                     on standard error
  --cwd <folder>     another Pulumi project than this one
  --help             this text

preview and up: all stacks need the same PULUMI_CONFIG_PASSPHRASE, or
PULUMI_CONFIG_PASSPHRASE_FILE, or a secrets provider that asks for none.

Ctrl-C starts no further stack and lets Pulumi end the ones at work; a step that
has begun on a master finishes.

Exit codes of preview and up; those of status are in npm run status -- --help:
  0  every stack is as wanted
  1  preview only: at least one has changes
  2  at least one failed or was not started
  3  bad usage, or nothing could be begun
`;

const commands = ["status", "preview", "up"] as const;
const defaultParallel = 2;
const mostParallel = 32;

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      stacks: { type: "string" },
      all: { type: "boolean", default: false },
      parallel: { type: "string", default: String(defaultParallel) },
      canary: { type: "string" },
      logs: { type: "string" },
      json: { type: "boolean", default: false },
      cwd: { type: "string", default: resolve(import.meta.dirname, "..") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const [word, ...rest] = positionals;
  const command = commands.find((each) => each === word);
  if (command === undefined || rest.length > 0) {
    throw new Error(`Cannot do "${positionals.join(" ")}"; expected ${commands.join(", ")}, and stacks by --stacks or --all`);
  }
  const parallel = Number(values.parallel);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > mostParallel) {
    throw new Error(`Cannot use --parallel "${values.parallel}"; expected 1 to ${mostParallel}`);
  }
  const project = readProject(resolve(values.cwd));
  const stacks = chooseStacks(project, values.stacks?.split(",").filter((name) => name !== "") ?? [], values.all, `fleet -- ${command}`);
  if (values.canary !== undefined && !stacks.includes(values.canary)) {
    throw new Error(`Cannot begin with --canary "${values.canary}"; expected one of the chosen stacks: ${stacks.join(", ")}`);
  }
  if (command === "status") {
    return showStatus(project, stacks, values.json);
  }
  const results = await workOn(project, stacks, { command, parallel, canary: values.canary, logs: values.logs });
  const lines = describeResults(results, command, widthOf(process.stdout), painterFor(process.stdout));
  process.stdout.write(values.json ? jsonOf(results) : `${lines.join("\n")}\n`);
  return exitCodeOf(results);
}

async function showStatus(project: Project, stacks: readonly string[], isJson: boolean): Promise<number> {
  const outcomes = await lookAtAll(project, stacks, { isAgent: false });
  process.stdout.write(isJson ? statusJsonOf(outcomes, Date.now()) : `${describeOverview(outcomes, painterFor(process.stdout)).join("\n")}\n`);
  return exitCodeFor(outcomes);
}

interface WorkOptions {
  readonly command: "preview" | "up";
  readonly parallel: number;
  readonly canary: string | undefined;
  readonly logs: string | undefined;
}

async function workOn(project: Project, stacks: readonly string[], { command, parallel, canary, logs }: WorkOptions): Promise<Result[]> {
  const engine = await findEngine();
  const logFolder = resolve(logs ?? join(project.folder, ".fleet", new Date().toISOString().replaceAll(":", "")));
  mkdirSync(logFolder, { recursive: true, mode: 0o700 });
  const interruption = catchInterrupts();
  const options: RunOptions = {
    folder: project.folder,
    logFolder,
    ...engine,
    signal: interruption.signal,
    refusal: (stack) => windowRefusalOf(project, stack),
  };
  const progress = progressOn(process.stderr, stacks.length, painterFor(process.stderr));
  const work = command === "up" ? updateStack : previewStack;
  try {
    return await handOut(stacks, { parallel, canary, stopsAtFailure: command === "up", isInterrupted: interruption.isWanted }, async (stack) => {
      const result = await work(stack, options, (stage, detail) => progress.tell(stack, stage, detail));
      progress.done(result);
      return result;
    });
  } finally {
    progress.end();
  }
}

/** Outside its window a stack waits, and keeps no other from being updated. */
function windowRefusalOf(project: Project, stack: string): string | undefined {
  return process.env[ignoreWindowVariable] === stack ? undefined : windowRefusal(readWindow(project, stack), Date.now(), stack);
}

/** The CLI that set-up chose, and its environment with the backend. */
async function findEngine(): Promise<{ readonly pulumi: PulumiCommand; readonly env: Readonly<Record<string, string>> }> {
  const { env } = engineEnvironment();
  // the Automation API looks for the CLI on this process's own PATH
  process.env["PATH"] = env["PATH"];
  const backend = defaultBackend();
  const all = { ...env, ...(backend === undefined ? {} : { PULUMI_BACKEND_URL: backend.url }) };
  return {
    pulumi: await PulumiCommand.get(),
    env: Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
  };
}

/** A terminal's interrupt reaches Pulumi by itself; any other signal is passed on to it. */
function catchInterrupts(): { readonly signal: AbortSignal; readonly isWanted: () => boolean } {
  const controller = new AbortController();
  let isWanted = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      isWanted = true;
      process.stderr.write(`${name}: no further stack is started; those at work are ended by Pulumi\n`);
      if (name !== "SIGINT" || process.stdin.isTTY !== true) {
        controller.abort();
      }
    });
  }
  return { signal: controller.signal, isWanted: () => isWanted };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nMore: npm run fleet -- --help\n`);
  process.exitCode = 3;
}
