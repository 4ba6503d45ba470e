import { resolve } from "node:path";
import { ignoreWindowVariable, windowRefusal } from "../components/model/window.ts";
import { canAsk, isConfirmed, passphraseFor } from "./ask.ts";
import { CommandError, runCommand } from "./command-error.ts";
import { readArguments, stackName } from "./command-line.ts";
import { Engine } from "./engine.ts";
import { ownFolder, type Program, programIn } from "./program.ts";
import { stateBeforeFailure } from "./rollback/abort.ts";
import { decide, describeChange, describeDecision, isNumber, settingsOf, type Wish } from "./rollback/decision.ts";
import { goBack } from "./rollback/go-back.ts";
import { formatList } from "./rollback/list.ts";
import type { NewMaterial } from "./rollback/operations.ts";
import { planOriginal, previewOriginal, restoreOriginal } from "./rollback/original.ts";
import { readFile, readHistory, readKept, readPresent } from "./rollback/read-states.ts";
import { savedFolder, saveState } from "./rollback/saved-state.ts";
import { tryOut } from "./rollback/scratch.ts";
import { certificateSetOf } from "./state/certificate-set.ts";
import { type ListedState, listStates } from "./state/listed-state.ts";

const usage = `Usage: npm run rollback -- --stack <name> --list [--json] [<file>...]
       npm run rollback -- --stack <name> --to <number or file> [--yes]
       npm run rollback -- --stack <name> --to original [--yes]
       npm run rollback -- --stack <name> --abort [--yes]

Goes back to an earlier set of etcd certificates: that state and its rotation,
then the usual phases. Until the answer nothing is changed: the preview runs on
a copy of the state.

  --list            earlier states of the backend's history, newest first, and
                    exported files; needs no passphrase
  --to              a number of the list, or a file: of "pulumi stack export",
                    of a backend's history, or one that this command has saved
  --to original     the files from before this program's first rollout, which
                    the masters keep; the state stays, and the stack file says
                    restore: without it pulumi up goes forward again
  --abort           to the set from before an update that has failed or was
                    killed: the newest state of the list that ended well
  --preview-only    ends after the preview
  --yes             does not ask
  --re-sign         also to a set that has ended or ends within renewBefore:
                    its keys come back, signed for the present validity
  --history FOLDER  a copy of the history, of a backend that is no folder
  --cwd FOLDER      the program's folder (default: this one)
  --json            the result as JSON on standard output, all else on
                    standard error
  --help            this text

The state from before is saved first, readable by you alone, and its path is
printed: --to <that file> goes forward again.

Exit codes: 0 done; 1 failed, nothing changed; 2 bad usage; 3 refused, nothing
changed; 4 the answer was not yes, nothing changed; 5 pulumi up has failed:
state and stack file are the older ones, run it again.
`;

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = readArguments(args, {
    stack: { type: "string" },
    list: { type: "boolean", default: false },
    to: { type: "string" },
    abort: { type: "boolean", default: false },
    "preview-only": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    "re-sign": { type: "boolean", default: false },
    history: { type: "string" },
    cwd: { type: "string", default: ownFolder },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const program = programIn(values.cwd, stackName(values.stack));
  const request: Request = {
    program,
    engine: new Engine({ folder: program.folder, isOutputTaken: values.json }),
    history: values.history === undefined ? undefined : resolve(values.history),
    isJson: values.json,
  };
  const asked = [values.list, values.to !== undefined, values.abort].filter(Boolean).length;
  if (asked !== 1 || (!values.list && positionals.length > 0)) {
    throw new CommandError("Cannot tell what to do: expected one of --list [<file>...], --to <number or file> and --abort. Run with --help", {
      ending: "usage",
    });
  }
  if (values.list) {
    await list(request, positionals);
    return;
  }
  const isAsking = !(values.yes || values["preview-only"]);
  if (isAsking && !canAsk()) {
    throw new CommandError("Cannot ask: standard input is no terminal; expected --yes, or --preview-only", { ending: "usage" });
  }
  const asking = { isAsking, isPreviewOnly: values["preview-only"] };
  if (values.to === "original") {
    await rollBackToOriginal(request, asking);
    return;
  }
  const to = values.to ?? String(stateBeforeFailure(await statesOf(request, []), program.stack).number);
  const wish = { to, isReSigning: values["re-sign"], history: request.history };
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
  return listStates(states, present.deployment && certificateSetOf(present.deployment), Date.now(), settingsOf(program).certificates.renewBefore);
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

  const engine = request.engine.with({ env: await passphraseFor(decision.deployment.secretsProvider) });
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
  say(present.deployment === undefined ? "Done." : `Done. Forward again: npm run rollback -- --stack ${program.stack} --to ${saved}`);
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
  say(`Done. Forward again: npm run pulumi -- config rm restore --stack ${program.stack}, then up`);
  report("done");
}

/** @throws CommandError when the window is shut, or the answer is not yes */
async function requireGo(program: Program, isAsking: boolean, where: string, report: (outcome: string) => void): Promise<void> {
  const shut = windowRefusal(settingsOf(program).window, Date.now(), program.stack);
  if (shut !== undefined && process.env[ignoreWindowVariable] !== program.stack) {
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

await runCommand(main);
