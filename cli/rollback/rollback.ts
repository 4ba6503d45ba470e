import { resolve } from "node:path";
import { CommandError } from "../command-error.ts";
import type { RollbackOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { chooseStack, type Program } from "../project.ts";
import { settingsWithoutLogin, windowRefusalOf } from "../stack-file.ts";
import { certificateSetOf } from "../state/certificate-set.ts";
import { readEntries, readFile, readHistory, readPresent } from "../state/history.ts";
import { formatList, type ListedState, listStates, stateBeforeFailure } from "../state/list.ts";
import { canAsk, isConfirmed, writeJson } from "../terminal.ts";
import { planToOriginal } from "./to-original.ts";
import { planToState } from "./to-state.ts";

/** Lists earlier sets of certificates, or goes back to one after a preview and a question. */
export async function rollback(
  named: string | undefined,
  files: readonly string[],
  options: RollbackOptions,
): Promise<void> {
  const { list: isList, to, abort, previewOnly, yes, reSign, json } = options;
  const program = chooseStack(options.cwd, named);
  const { stack } = program;
  const engine = new Engine({ folder: program.folder, isOutputTaken: json });
  const history = options.history === undefined ? undefined : resolve(options.history);
  if ([isList, to !== undefined, abort].filter(Boolean).length !== 1 || (!isList && files.length > 0)) {
    throw CommandError.usage(
      "Cannot tell what to do: expected one of --list [file...], --to <number or file> and --abort. Run with --help",
    );
  }
  if (isList) {
    const listed = await statesOf(engine, program, history, files);
    process.stdout.write(json ? `${JSON.stringify(listed, null, 2)}\n` : formatList(listed, process.stdout));
    return;
  }
  if (!(yes || previewOnly || canAsk())) {
    throw CommandError.usage(
      "Cannot ask: standard input is not a terminal; expected --yes, or --preview-only",
    );
  }
  // standard output is for the JSON then
  const say = (...lines: readonly string[]) =>
    (json ? process.stderr : process.stdout).write(lines.map((line) => `${line}\n`).join(""));
  const state = async () =>
    to ?? String(stateBeforeFailure(await statesOf(engine, program, history, []), stack).number);
  const plan =
    to === "original"
      ? await planToOriginal(engine, program)
      : await planToState(engine, program, { to: await state(), reSign, history }, say);
  const report = (outcome: string, savedIn?: string) => {
    if (json) {
      writeJson({ stack, outcome, to: plan.to, changes: plan.changes, saved: savedIn });
    }
  };
  say(...plan.description, "");
  const opened = await plan.preview();
  if (previewOnly) {
    say("Nothing was changed.");
    report("previewed");
    return;
  }
  const windowRefusal = windowRefusalOf(program);
  if (windowRefusal !== undefined) {
    report("refused");
    throw CommandError.refused(`${windowRefusal}\nNothing was changed.`);
  }
  if (!(yes || (await isConfirmed(`Go back to ${plan.where}?`)))) {
    report("declined");
    throw CommandError.declined("Nothing was changed.");
  }
  const { done, saved } = await plan.go(opened);
  say(done);
  report("done", saved);
}

async function statesOf(
  engine: Engine,
  program: Program,
  history: string | undefined,
  files: readonly string[],
): Promise<ListedState[]> {
  const present = await readPresent(engine, program);
  const states =
    files.length > 0
      ? files.map((file) => readFile(resolve(file)))
      : readEntries(await readHistory(engine, program, history));
  return listStates(
    states,
    present.deployment && certificateSetOf(present.deployment),
    Date.now(),
    settingsWithoutLogin(program).certificates.renewBefore,
  );
}
