import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, messageOf } from "../command-error.ts";
import { type Engine, saidBy } from "../engine.ts";
import type { Program } from "../project.ts";
import { inScratchFolder } from "../scratch-folder.ts";
import { writeAtomically } from "../write-atomically.ts";
import { deploy, requireUnchanged } from "./deploy.ts";
import { readPresent } from "./read-states.ts";

export interface Deploying {
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
