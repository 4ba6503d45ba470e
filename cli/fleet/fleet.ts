import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { State } from "../../components/model/certificate-status.ts";
import { messageOf } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import type { FleetOptions, FleetRunOptions } from "../commands.ts";
import { automationOptions } from "../engine.ts";
import { inParallel } from "../in-parallel.ts";
import { chooseStacks, programOf, readProject } from "../project.ts";
import { windowRefusalOf } from "../stack-file.ts";
import { jsonOf as statusJsonOf } from "../status/formats.ts";
import { exitCodeFor, lookAtChosen, type Outcome, stateOf } from "../status/look.ts";
import { describeOverview } from "../status/table.ts";
import { painterFor, widthOf } from "../terminal.ts";
import { progressOn } from "./progress.ts";
import { describeResults, exitCodeOf, jsonOf, notStarted, type Result } from "./result.ts";
import { type RunOptions, runStack } from "./run-stack.ts";

/** A line per cluster, read only. @returns the exit code */
export async function fleetStatus(named: readonly string[], options: FleetOptions): Promise<number> {
  const outcomes = await lookAtChosen(options, named, { isAgent: false });
  process.stdout.write(
    options.json
      ? statusJsonOf(outcomes, Date.now())
      : `${describeOverview(outcomes, painterFor(process.stdout)).join("\n")}\n`,
  );
  return exitCodeFor(outcomes);
}

/** The clusters that are due, for a CI. @throws CommandError when one could not be looked at; the others are listed nevertheless */
export async function fleetMatrix(named: readonly string[], options: FleetOptions): Promise<void> {
  const outcomes = await lookAtChosen(options, named, { isAgent: false });
  process.stdout.write(`${JSON.stringify(matrixOf(outcomes))}\n`);
  const unknown = unknownIn(outcomes);
  if (unknown.length > 0) {
    throw CommandError.usage(unknown.join("\n"));
  }
}

/** Previews or updates stacks, a few at a time. @returns the exit code */
export async function fleetRun(
  command: "preview" | "up",
  named: readonly string[],
  { all, canary, cwd, json, logs, parallel }: FleetRunOptions,
): Promise<number> {
  const project = readProject(cwd);
  const stacks = chooseStacks(project, named, all);
  if (canary !== undefined && !stacks.includes(canary)) {
    throw CommandError.usage(
      `Cannot begin with --canary "${canary}"; expected one of the chosen stacks: ${stacks.join(", ")}`,
    );
  }
  const automation = await automationOptions();
  // the Automation API passes this process's whole environment on
  process.env = { ...automation.envVars };
  const logFolder = resolve(
    logs ?? join(project.folder, ".fleet", new Date().toISOString().replaceAll(":", "")),
  );
  try {
    mkdirSync(logFolder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw CommandError.usage(
      `Cannot make the folder ${logFolder} for the logs: ${messageOf(error)}; expected one that can be made, or another: --logs <folder>. Nothing was begun`,
      error,
    );
  }
  const { signal, isWanted: isInterrupted } = catchInterrupts();
  // outside its window a stack waits, and keeps no other from being updated
  const refusal = (stack: string) => windowRefusalOf(programOf(project, stack));
  const options: RunOptions = { folder: project.folder, logFolder, automation, signal, refusal };
  const progress = progressOn(process.stderr, stacks.length, painterFor(process.stderr));
  const order = { parallel, canary, stopsAtFailure: command === "up", isInterrupted };
  const results = await handOut(stacks, order, async (stack) => {
    const result = await runStack(command, stack, options, (...at) => progress.tell(stack, ...at));
    progress.done(result);
    return result;
  }).finally(() => progress.end());
  const lines = describeResults(results, command, widthOf(process.stdout), painterFor(process.stdout));
  process.stdout.write(json ? jsonOf(results) : `${lines.join("\n")}\n`);
  return exitCodeOf(results);
}

/** A terminal's interrupt reaches Pulumi by itself; any other signal is passed on to it. */
function catchInterrupts(): { readonly signal: AbortSignal; readonly isWanted: () => boolean } {
  const controller = new AbortController();
  let isWanted = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      isWanted = true;
      process.stderr.write(
        `${name}: no more stacks are started; Pulumi is stopping those that are running\n`,
      );
      if (name !== "SIGINT" || process.stdin.isTTY !== true) {
        controller.abort();
      }
    });
  }
  return { signal: controller.signal, isWanted: () => isWanted };
}

/** The clusters that `pulumi up` has something to do for, as the matrix of a CI: one job each. */
export function matrixOf(outcomes: readonly Outcome[]) {
  const all = outcomes.map((outcome) => ({ stack: outcome.stack, state: stateOf(outcome) }));
  const toRun: readonly State[] = ["due", "expired", "drifted", "interrupted"];
  return { include: all.filter(({ state }) => toRun.includes(state)) };
}

/** Why some clusters are not in the matrix: nobody could look at them. */
export function unknownIn(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => {
    if (stateOf(outcome) !== "unreachable") {
      return [];
    }
    const reasons =
      "problem" in outcome
        ? [outcome.problem]
        : outcome.status.findings.filter(({ state }) => state === "unreachable").map(({ what }) => what);
    return reasons.map((reason) => `${outcome.stack}: ${reason}`);
  });
}

interface HandOutOptions extends Pick<FleetRunOptions, "parallel" | "canary"> {
  /** whether a failure keeps the rest from being started */
  readonly stopsAtFailure: boolean;
  /** asked before each stack: whether somebody wants the run to end */
  readonly isInterrupted: () => boolean;
}

/** Runs `work` for each stack; after a failure it starts no more, and waits for those at work. Results are in the stacks' order. */
export async function handOut(
  stacks: readonly string[],
  options: HandOutOptions,
  work: (stack: string) => Promise<Result>,
): Promise<Result[]> {
  let isStopped = false;
  const one = async (stack: string): Promise<Result> => {
    if (isStopped || options.isInterrupted()) {
      return notStarted(stack);
    }
    const result = await work(stack);
    isStopped ||= options.stopsAtFailure && result.outcome === "failed";
    return result;
  };
  const { canary } = options;
  const first = canary === undefined ? [] : [await one(canary)];
  // a canary that waits for its window proves nothing
  isStopped ||= options.stopsAtFailure && exitCodeOf(first) !== 0;
  const others = await inParallel(
    stacks.filter((stack) => stack !== canary),
    options.parallel,
    one,
  );
  const all = [...first, ...others];
  return stacks.flatMap((stack) => all.find((result) => result.stack === stack) ?? []);
}
