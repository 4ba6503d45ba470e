import { setTimeout as wait } from "node:timers/promises";
import type { Phase } from "../../../components/model/plan.ts";
import type { LabStack, Run, RunningUp } from "../stack.ts";
import type { LabMaster } from "../topology.ts";
import type { Dice } from "./dice.ts";
import { masterNamed } from "./inside.ts";
import { killTree } from "./process-tree.ts";
import { type Blow, knownAttempts, strikeAt } from "./step-watch.ts";

/**
 * What is killed: the engine with all its plug-ins, sshd's process for the step's connection, or the script on the
 * master with its children; `freeze` stops that process of sshd for good, `interrupt` is Ctrl-C, `none` leaves that to the caller.
 */
export type Kill = "pulumi" | "session" | "script" | "freeze" | "interrupt" | "none";

/** The moment: after so many lines of progress of the step, or so long after its first sign of life. */
export interface Hit {
  readonly kill: Kill;
  readonly phase: Phase;
  readonly master: string;
  readonly lines: number;
  readonly delayMilliseconds: number;
}

/** How long a step of each phase takes at the least, on an idle machine, in milliseconds, and how many lines it prints. */
const extents: Readonly<Record<Phase, { readonly milliseconds: number; readonly lines: number }>> = {
  backup: { milliseconds: 150, lines: 0 },
  trust: { milliseconds: 12_000, lines: 7 },
  issue: { milliseconds: 500, lines: 3 },
  settle: { milliseconds: 200, lines: 0 },
  retire: { milliseconds: 12_000, lines: 7 },
  verify: { milliseconds: 600, lines: 0 },
};

/** A master and a moment of a phase. */
export function drawHit(dice: Dice, kill: Kill, phase: Phase, masters: readonly LabMaster[]): Hit {
  const { milliseconds, lines } = extents[phase];
  const master = dice.pick(masters).name;
  const byLines = lines > 0 && dice.number(2) === 0;
  return {
    kill,
    phase,
    master,
    lines: byLines ? 1 + dice.number(lines) : 0,
    delayMilliseconds: byLines ? 0 : dice.number(milliseconds),
  };
}

/** In words, for the log of a test. */
export function describeHit({ kill, phase, master, lines, delayMilliseconds }: Hit): string {
  return `${kill} in ${phase} on ${master}, ${lines > 0 ? `after line ${lines}` : `after ${delayMilliseconds} ms`}`;
}

/** An `up` that was struck; `run` resolves when the engine has ended. */
export interface StruckUp {
  readonly running: RunningUp;
  readonly hit: Hit;
}

/**
 * Starts `up` and strikes at the moment. When the step was over before, a further rotation is struck at the step's beginning.
 * @throws when no step could be struck
 */
export async function startStruckUp(
  stack: LabStack,
  rotate: () => void | Promise<void>,
  first: Hit,
): Promise<StruckUp> {
  for (const hit of [
    first,
    { ...first, lines: 0, delayMilliseconds: 0 },
    { ...first, lines: 0, delayMilliseconds: 0 },
  ]) {
    await rotate();
    process.stdout.write(`${stack.name}: ${describeHit(hit)}\n`);
    const notAttempts = await knownAttempts(stack.lab);
    const running = stack.startUp();
    if (await strike(stack, running, hit, notAttempts)) {
      return { running, hit };
    }
    const { code, output } = await running.done;
    if (code !== 0) {
      throw new Error(`up failed before ${describeHit(hit)}:\n${output}`);
    }
  }
  throw new Error(`Too late three times: ${describeHit(first)}`);
}

async function strike(
  stack: LabStack,
  running: RunningUp,
  hit: Hit,
  notAttempts: readonly string[],
): Promise<boolean> {
  const abort = new AbortController();
  const ended = running.done.then(() => false);
  const blow: Blow =
    hit.kill === "script" || hit.kill === "session" || hit.kill === "freeze" ? hit.kill : "report";
  const moment = { phase: hit.phase, delayMilliseconds: hit.delayMilliseconds, notAttempts };
  const struck = hasPrinted(running, hit).then(
    (isThere) => isThere && strikeAt(masterNamed(stack.lab, hit.master), moment, blow, abort.signal),
  );
  try {
    if (!(await Promise.race([struck, ended]))) {
      return false;
    }
  } finally {
    abort.abort();
    await struck.catch(() => false);
  }
  if (running.child.pid !== undefined) {
    switch (hit.kill) {
      case "pulumi":
        killTree(running.child.pid);
        break;
      case "interrupt":
        process.kill(running.child.pid, "SIGINT");
        break;
      case "script":
      case "session":
      case "freeze":
      case "none":
        break;
      default:
        return hit.kill satisfies never;
    }
  }
  return true;
}

/** Resolves when the step has printed that many lines; false when the run ended before. */
async function hasPrinted(running: RunningUp, { phase, master, lines }: Hit): Promise<boolean> {
  let isOver = false;
  const ended = running.done.then(() => {
    isOver = true;
  });
  while (running.output().split(`${master} ${phase}: `).length - 1 < lines) {
    if (isOver) {
      return false;
    }
    await Promise.race([wait(50), ended]);
  }
  return true;
}

/** What a person does after a run that was cut off: `pulumi cancel`, then `pulumi up`. */
export async function finish(stack: LabStack): Promise<Run> {
  // without a lock to remove it fails, and that is all right
  await cancel(stack);
  return stack.up();
}

/** Removes the lock that a killed engine has left on the state. */
export function cancel(stack: LabStack): Promise<Run> {
  return stack.run("cancel", "--yes", "--stack", stack.name);
}
