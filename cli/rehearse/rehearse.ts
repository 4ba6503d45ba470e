import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathOn } from "../../components/model/layout/rows.ts";
import { tablesOf } from "../../components/model/settings.ts";
import { messageOf } from "../../components/model/text.ts";
import { takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { CommandError, exitCodes } from "../command-error.ts";
import type { RehearseOptions } from "../commands.ts";
import { inScratchFolder, writeAtomically } from "../files.ts";
import { chooseStack } from "../project.ts";
import { readStackFile, settingsFor, settingsIn } from "../stack-file.ts";
import { readSurvey, surveyText } from "./survey-file.ts";

/** Where the lab is: in a checkout, and not in the package. */
const labProgram = join(import.meta.dirname, "..", "..", "test", "lab", "rehearsal", "main.ts");

/** Surveys a cluster, rehearses its rollout on a lab of the same shape, or both. @returns the exit code */
export async function rehearse(named: string | undefined, options: RehearseOptions): Promise<number> {
  try {
    return await surveyOrRehearse(named, options);
  } catch (error) {
    // 2 is for what a rehearsal has found
    throw CommandError.usage(messageOf(error), error);
  }
}

async function surveyOrRehearse(named: string | undefined, options: RehearseOptions): Promise<number> {
  const { save, from, kill, seed, json } = options;
  if (save !== undefined && (from !== undefined || kill || seed !== undefined || json)) {
    throw CommandError.usage("Cannot save a survey and rehearse at once: expected --save by itself");
  }
  if (named !== undefined && from !== undefined) {
    throw CommandError.usage(`Cannot rehearse: saw both the stack ${named} and --from; expected one of them`);
  }
  if (seed !== undefined && !kill) {
    throw CommandError.usage("Cannot use --seed: it draws the moment of --kill; expected both");
  }
  if (save !== undefined) {
    await saveSurvey(named, options, save);
    process.stdout.write(`Saved; where the lab can run: npx etcd-rotation rehearse --from ${save}\n`);
    return exitCodes.done;
  }
  if (!existsSync(labProgram)) {
    throw CommandError.usage(
      "Cannot rehearse here: this package has no lab; expected a checkout of the program. What it needs to know: npx etcd-rotation rehearse <stack> --save FILE, and there: rehearse --from FILE",
    );
  }
  if (from !== undefined) {
    readSurvey(from);
    return await runLab(from, options);
  }
  return await inScratchFolder(async (folder) => {
    const file = join(folder, "survey.json");
    await saveSurvey(named, options, file);
    return await runLab(file, options);
  });
}

/** Looks at the masters as status does: read only, without Pulumi. @throws Error when one cannot be surveyed, or the file cannot be written */
async function saveSurvey(
  named: string | undefined,
  { cwd, key, agent }: RehearseOptions,
  file: string,
): Promise<void> {
  const program = chooseStack(cwd, named);
  const settings = settingsFor(program, { key, isAgent: agent });
  const { rows, kubernetes } = tablesOf(settings.layout);
  const all = [...rows, ...kubernetes];
  const targets = surveyTargets(settings, `${program.project}/${program.stack}`, all);
  const { masters } = await takeSurvey(targets);
  const written = settingsIn(readStackFile(program), program);
  const pathOf = (name: string, id: string) => {
    const master = settings.masters.find((each) => each.name === name);
    const row = all.find((each) => each.id === id);
    return master === undefined || row === undefined ? "" : pathOn(master, row);
  };
  writeAtomically(file, surveyText(program.stack, written, masters, pathOf, Date.now()), 0o644);
}

/** The lab is no part of the program: it runs by itself, on this terminal. */
function runLab(file: string, { kill, seed, json }: RehearseOptions): Promise<number> {
  const words = [
    ...[labProgram, file],
    ...(kill ? ["--kill"] : []),
    ...(seed === undefined ? [] : ["--seed", seed]),
    ...(json ? ["--json"] : []),
  ];
  const child = spawn(process.execPath, words, { stdio: "inherit" });
  // Ctrl-C reaches the lab from the terminal: it takes itself down, and this waits for that
  const onInterrupt = () => undefined;
  const onTerminate = () => child.kill("SIGTERM");
  process.on("SIGINT", onInterrupt).on("SIGTERM", onTerminate);
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject).once("close", (code) => resolve(code ?? exitCodes.usage));
  }).finally(() => process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate));
}
