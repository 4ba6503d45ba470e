import { readFileSync, statSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import { writeAtomically } from "../files.ts";
import type { Program } from "../project.ts";
import type { Change } from "../stack-file.ts";

/** A plan to go back to earlier certificates that nothing speaks against. Until `go` nothing is changed. */
export interface RollbackPlan {
  /** for a person, before the preview */
  readonly description: readonly string[];
  /** for the question */
  readonly where: string;
  /** for --json */
  readonly to: Readonly<Record<string, unknown>>;
  readonly changes: readonly Change[];
  /** Shows a preview. @returns the engine to go on with @throws CommandError when it fails, or shows something else than is asked for */
  preview(): Promise<Engine>;
  /** @returns what to say at the end, and where the state from before is saved @throws CommandError when it fails; says what holds then */
  go(engine: Engine): Promise<{ readonly done: string; readonly saved?: string }>;
}

/** Words for a person. */
export type Say = (...lines: readonly string[]) => void;

/** One line for a change to the stack file. */
export function describeChange({ path, from, to }: Change): string {
  return `stack file: ${path.join(".")}: ${from ?? "nothing"} -> ${to ?? "nothing"}`;
}

/** Shows a preview with another stack file than the stack's own. @throws CommandError when it fails */
export async function showPreview(
  engine: Engine,
  stack: string,
  file: string,
  ...more: string[]
): Promise<void> {
  const code = await engine.show("preview", "--stack", stack, "--config-file", file, ...more);
  if (code !== 0) {
    throw CommandError.failed("Cannot go back: the preview has failed. Nothing was changed.");
  }
}

/** @throws CommandError when what the answer was given for is no more */
export function requireUnchanged(what: string, stack: string, isSame: boolean): void {
  if (!isSame) {
    throw CommandError.failed(
      `Cannot go back: the ${what} has changed since the preview; expected nobody else to work on "${stack}". Nothing was changed; check who did, then run this again`,
    );
  }
}

/** @throws CommandError when the stack file is another one than the answer was given for */
export function requireSameFile({ stack, stackFile }: Program, text: string): void {
  requireUnchanged("stack file", stack, readFileSync(stackFile, "utf8") === text);
}

/** Replaces a stack file's text; its mode stays. */
export function writeStackFile({ stackFile }: Program, text: string): void {
  writeAtomically(stackFile, text, statSync(stackFile).mode & 0o777, { isExact: true });
}

/**
 * Brings the masters to what state and stack file say by now.
 * @param after.holds what they say
 * @param after.back the command that undoes this
 * @throws CommandError when `pulumi up` fails; says what holds then, and both ways out
 */
export async function deploy(
  engine: Engine,
  stack: string,
  { holds, back }: { readonly holds: string; readonly back: string },
): Promise<void> {
  const code = await engine.show("up", "--stack", stack, "--yes", "--skip-preview");
  if (code !== 0) {
    throw CommandError.unfinished(
      [
        `Cannot finish: pulumi up has failed. ${holds}; masters may have either set, and serve with both.`,
        `  go on:   npx etcd-rotation pulumi up --stack ${stack}`,
        `  or back: ${back}`,
      ].join("\n"),
    );
  }
}
