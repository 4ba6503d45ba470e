import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CommandError, messageOf } from "../command-error.ts";
import { type Engine, saidBy } from "../engine.ts";
import { inScratchFolder, writeAtomically } from "../files.ts";
import type { Program } from "../project.ts";
import { readPresent } from "../state/history.ts";

interface Deploying {
  /** what `pulumi stack import` takes */
  readonly importable: string;
  readonly stackFileText: string;
  /** the state and the stack file that the answer was given for */
  readonly saved: { readonly file: string; readonly text: string; readonly stackFileText: string };
}

/**
 * Puts a state and its stack file in the place of the present ones, and deploys them.
 * @throws CommandError when something has changed since the preview, or a part fails; says what holds then
 */
export async function goBack(engine: Engine, program: Program, { importable, stackFileText, saved }: Deploying): Promise<void> {
  const { stack, stackFile } = program;
  const [now, file] = [await readPresent(engine, program), readFileSync(stackFile, "utf8")];
  requireUnchanged("state", stack, now.text === saved.text);
  requireUnchanged("stack file", stack, file === saved.stackFileText);
  await putState(engine, stack, importable, "Nothing was changed");
  try {
    writeAtomically(stackFile, stackFileText, statSync(stackFile).mode & 0o777);
  } catch (error) {
    await putState(
      engine,
      stack,
      saved.text,
      `The state is the older one; put back the other one: npx etcd-rotation pulumi stack import --stack ${stack} --file ${saved.file}`,
    );
    throw new CommandError(`Cannot write ${stackFile}: ${messageOf(error)}. The state is the one from before; nothing was changed`, {
      ending: "failed",
      cause: error,
    });
  }
  await deploy(engine, stack, { holds: "State and stack file are the older ones", back: `npx etcd-rotation rollback ${stack} --to ${saved.file}` });
}

async function putState(engine: Engine, stack: string, text: string, consequence: string): Promise<void> {
  const { code, stderr } = await inScratchFolder((folder) => {
    const file = join(folder, "state.json");
    writeFileSync(file, text, { mode: 0o600 });
    return engine.capture("stack", "import", "--stack", stack, "--file", file);
  });
  if (code !== 0) {
    throw new CommandError(`Cannot import the state: ${saidBy(stderr)}. ${consequence}`, { ending: "failed" });
  }
}

/** @throws CommandError when what the answer was given for is no more */
export function requireUnchanged(what: string, stack: string, isSame: boolean): void {
  if (!isSame) {
    throw new CommandError(
      `Cannot go back: the ${what} has changed since the preview; expected nobody else to work on "${stack}". Nothing was changed; look, then run this again`,
      { ending: "failed" },
    );
  }
}

/**
 * Brings the masters to what state and stack file say by now.
 * @param said.holds what they say
 * @param said.back the command that undoes this
 * @throws CommandError when `pulumi up` fails; says what holds then, and both ways out
 */
export async function deploy(engine: Engine, stack: string, { holds, back }: { readonly holds: string; readonly back: string }): Promise<void> {
  const code = await engine.show("up", "--stack", stack, "--yes", "--skip-preview");
  if (code !== 0) {
    throw new CommandError(
      [
        `Cannot finish: pulumi up has failed. ${holds}; masters may have either set, and serve with both.`,
        `  go on:   npx etcd-rotation pulumi up --stack ${stack}`,
        `  or back: ${back}`,
      ].join("\n"),
      { ending: "unfinished" },
    );
  }
}

/** Where a state is kept before another one takes its place; outside every checkout. */
export function savedFolder({ project, stack }: Pick<Program, "project" | "stack">, env: NodeJS.ProcessEnv = process.env): string {
  const base = env["XDG_STATE_HOME"];
  return join(base !== undefined && base !== "" ? base : join(homedir(), ".local", "state"), "etcd-rotation", "saved-states", project, stack);
}

/** Writes a state, readable by its owner alone, and never over another one. @returns its path */
export function saveState(text: string, folder: string, now: Date): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${now.toISOString().replaceAll(":", "-")}.json`);
  writeFileSync(file, text, { mode: 0o600, flag: "wx", flush: true });
  return file;
}
