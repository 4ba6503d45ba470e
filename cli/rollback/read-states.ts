import { historyFolder } from "../backend.ts";
import { CommandError, messageOf } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import type { Program } from "../project.ts";
import { certificateSetOf } from "../state/certificate-set.ts";
import { type Deployment, parseDeployment } from "../state/deployment.ts";
import { type Kept, keptIn, readStateFile } from "../state/history.ts";
import type { ReadState } from "../state/listed-state.ts";

/** The history of the stack, the oldest first: the backend's, or the copy in a folder. */
export async function readHistory(engine: Engine, program: Program, copy: string | undefined): Promise<Kept[]> {
  const kept = keptIn(copy ?? (await historyFolder(engine, program)));
  if (kept.length === 0 && copy !== undefined) {
    throw new CommandError(`Cannot find a state in ${copy}; expected files such as ${program.stack}-1795568726202350461.checkpoint.json`, { ending: "usage" });
  }
  return kept;
}

/** Each state, or why it cannot be read: one that was cut must not hide the others. */
export function readKept(kept: readonly Kept[]): ReadState[] {
  return kept.map(({ number, file, time, result }) => {
    const common = { number, file, time, result };
    try {
      return { ...common, set: certificateSetOf(parseDeployment(readStateFile(file), file)) };
    } catch (error) {
      return { ...common, problem: messageOf(error) };
    }
  });
}

/** A file by itself. @throws CommandError when it cannot be read */
export function readFile(file: string): ReadState {
  const deployment = parseDeployment(readStateFile(file), file);
  return { number: undefined, file, time: Date.parse(deployment.time), result: "succeeded", set: certificateSetOf(deployment) };
}

/** What the stack has now. */
export interface Present {
  /** what brings it back */
  readonly text: string;
  /** undefined without resources: before the first update, or after `pulumi destroy` */
  readonly deployment: Deployment | undefined;
}

export async function readPresent(engine: Engine, { stack }: Program): Promise<Present> {
  const text = await engine.read(`export the state of stack "${stack}"`, "stack", "export", "--stack", stack);
  return { text, deployment: /"resources": \[\s*\{/.test(text) ? parseDeployment(text, "the backend") : undefined };
}
