import { resolve } from "node:path";
import { CommandError } from "../command-error.ts";
import type { RollbackOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { chooseStack, type Program } from "../project.ts";
import { secretsProviderIn, settingsWithoutLogin, windowRefusalOf } from "../stack-file.ts";
import { certificateSetOf } from "../state/certificate-set.ts";
import { readFile, readHistory, readKept, readPresent } from "../state/history.ts";
import { formatList, type ListedState, listStates, stateBeforeFailure } from "../state/list.ts";
import { canAsk, isConfirmed, passphraseFor } from "../terminal.ts";
import { decide, describeChange, describeDecision, isNumber, type Wish } from "./decision.ts";
import { goBack, savedFolder, saveState } from "./go-back.ts";
import { planOriginal, previewOriginal, restoreOriginal } from "./original.ts";
import { type NewMaterial, tryOut } from "./try-out.ts";

/** Lists earlier sets of certificates, or goes back to one after a preview and a question. */
export async function rollback(
  stack: string | undefined,
  files: readonly string[],
  { list: isList, to, abort, previewOnly, yes, reSign, history, json, cwd }: RollbackOptions,
): Promise<void> {
  const program = chooseStack(cwd, stack);
  const request: Request = {
    program,
    engine: new Engine({ folder: program.folder, isOutputTaken: json }),
    history: history === undefined ? undefined : resolve(history),
    isJson: json,
  };
  if ([isList, to !== undefined, abort].filter(Boolean).length !== 1 || (!isList && files.length > 0)) {
    throw new CommandError("Cannot tell what to do: expected one of --list [file...], --to <number or file> and --abort. Run with --help", {
      ending: "usage",
    });
  }
  if (isList) {
    await list(request, files);
    return;
  }
  const isAsking = !(yes || previewOnly);
  if (isAsking && !canAsk()) {
    throw new CommandError("Cannot ask: standard input is no terminal; expected --yes, or --preview-only", { ending: "usage" });
  }
  const asking = { isAsking, isPreviewOnly: previewOnly };
  if (to === "original") {
    await rollBackToOriginal(request, asking);
    return;
  }
  const wish = { to: to ?? String(stateBeforeFailure(await statesOf(request, []), program.stack).number), isReSigning: reSign, history: request.history };
  await rollBack(request, wish, asking);
}

interface Request {
  readonly program: Program;
  readonly engine: Engine;
  readonly history: string | undefined;
  readonly isJson: boolean;
}

async function list(request: Request, files: readonly string[]): Promise<void> {
  const listed = await statesOf(request, files);
  process.stdout.write(request.isJson ? `${JSON.stringify(listed, null, 2)}\n` : formatList(listed, process.stdout));
}

async function statesOf({ engine, program, history }: Request, files: readonly string[]): Promise<ListedState[]> {
  const present = await readPresent(engine, program);
  const states = files.length > 0 ? files.map((file) => readFile(resolve(file))) : readKept(await readHistory(engine, program, history));
  return listStates(states, present.deployment && certificateSetOf(present.deployment), Date.now(), settingsWithoutLogin(program).certificates.renewBefore);
}

interface Asking {
  readonly isAsking: boolean;
  readonly isPreviewOnly: boolean;
}

async function rollBack(request: Request, wish: Wish, { isAsking, isPreviewOnly }: Asking): Promise<void> {
  const { program, isJson } = request;
  const now = new Date();
  const decision = await decide(request.engine, program, wish, now.getTime());
  const { present, importable, stackFileText, wantedText, set } = decision;
  const say = sayerFor(isJson);
  const report = (outcome: string, savedIn?: string) => {
    if (isJson) {
      const to = {
        number: isNumber(wish.to) ? Number(wish.to) : undefined,
        file: decision.file,
        rotation: set.rotation,
        rollout: set.rollout,
        authority: set.authority,
      };
      process.stdout.write(`${JSON.stringify({ stack: program.stack, outcome, to, changes: decision.changes, saved: savedIn }, null, 2)}\n`);
    }
  };
  say(...describeDecision(decision), "");

  // the state has its provider, the stack file the one that is used from now on
  const provider = [decision.deployment.secretsProvider, secretsProviderIn(stackFileText)].find((each) => each === "passphrase");
  const engine = request.engine.with({ env: await passphraseFor(provider) });
  const { code, made } = await tryOut(engine, program, importable, wantedText);
  requireGood(code, made, wish);
  if (made.leaves.length > 0) {
    say(`notice: not in that state, or signed anew since the stack file has changed: ${made.leaves.join(", ")}`);
  }
  if (isPreviewOnly) {
    say("Nothing was changed.");
    report("previewed");
    return;
  }
  await requireGo(program, isAsking, `state ${wish.to}`, report);
  const saved = saveState(present.text, savedFolder(program), now);
  say(`The present state is saved in ${saved}`);
  await goBack(engine, program, { importable, stackFileText: wantedText, saved: { file: saved, text: present.text, stackFileText } });
  // after pulumi destroy there is nothing to go forward to
  say(present.deployment === undefined ? "Done." : `Done. Forward again: npx etcd-rotation rollback ${program.stack} --to ${saved}`);
  report("done", saved);
}

async function rollBackToOriginal(request: Request, { isAsking, isPreviewOnly }: Asking): Promise<void> {
  const { program, isJson } = request;
  const say = sayerFor(isJson);
  const plan = await planOriginal(request.engine, program);
  const report = (outcome: string) => {
    if (isJson) {
      process.stdout.write(
        `${JSON.stringify({ stack: program.stack, outcome, to: { number: "original", rollout: plan.rollout }, changes: [plan.change] }, null, 2)}\n`,
      );
    }
  };
  say(`The masters' own files from before rollout ${plan.rollout}`, describeChange(plan.change), "");
  const { deployment } = await readPresent(request.engine, program);
  const engine = request.engine.with({ env: await passphraseFor(deployment?.secretsProvider) });
  if ((await previewOriginal(engine, program, plan)) !== 0) {
    throw new CommandError("Cannot go back: the preview has failed. Nothing was changed.", { ending: "failed" });
  }
  if (isPreviewOnly) {
    say("Nothing was changed.");
    report("previewed");
    return;
  }
  await requireGo(program, isAsking, "the original set", report);
  await restoreOriginal(engine, program, plan);
  say(`Done. Forward again: npx etcd-rotation pulumi config rm restore --stack ${program.stack}, then up`);
  report("done");
}

/** @throws CommandError when the window is shut, or the answer is not yes */
async function requireGo(program: Program, isAsking: boolean, where: string, report: (outcome: string) => void): Promise<void> {
  const shut = windowRefusalOf(program);
  if (shut !== undefined) {
    report("refused");
    throw new CommandError(`${shut}\nNothing was changed.`, { ending: "refused" });
  }
  if (isAsking && !(await isConfirmed(`Go back to ${where}?`))) {
    report("declined");
    throw new CommandError("Nothing was changed.", { ending: "declined" });
  }
}

/** Words for a person: on standard error when standard output is for JSON. */
function sayerFor(isJson: boolean) {
  return (...lines: readonly string[]) => (isJson ? process.stderr : process.stdout).write(lines.map((line) => `${line}\n`).join(""));
}

/** @throws CommandError when the preview has failed, or would replace what was to come back */
function requireGood(code: number, { authorities }: NewMaterial, { to, isReSigning }: Wish): void {
  if (code !== 0) {
    throw new CommandError("Cannot go back: the preview has failed. Nothing was changed.", { ending: "failed" });
  }
  if (authorities.length > 0 && !isReSigning) {
    throw new CommandError(
      `Cannot go back to state ${to}: the preview would replace ${authorities.join(", ")}; expected the authorities of that state to stay. Nothing was changed. Compare the stack file with the one of that time`,
      { ending: "refused" },
    );
  }
}
