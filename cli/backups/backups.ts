import type { SurveyTarget } from "../../components/survey/survey.ts";
import { canAsk, isConfirmed } from "../ask.ts";
import { CommandError, exitCodes } from "../command-error.ts";
import { Engine } from "../engine.ts";
import { settled } from "../in-parallel.ts";
import { chooseStack, type Program } from "../project.ts";
import { settingsWithKeys } from "../stack-settings.ts";
import { formatBackups } from "./format.ts";
import { purgeRefusals } from "./purge-refusals.ts";
import { askForBackups, backupTargets, readBackups } from "./read-backups.ts";

/** How long a removal waits for a step that is at work. */
const lockSeconds = 30;

interface Options {
  readonly json: boolean;
  readonly cwd: string;
}

/** Tells what every master keeps. */
export async function listBackups(stack: string | undefined, { json, cwd }: Options): Promise<void> {
  const { targets } = await mastersOf(chooseStack(cwd, stack), json);
  await list(targets, json);
}

/** Removes one backup from all masters, after a question. */
export async function purgeBackup(
  rollout: number,
  stack: string | undefined,
  { json, cwd, yes, original }: Options & { readonly yes: boolean; readonly original: boolean },
): Promise<void> {
  const program = chooseStack(cwd, stack);
  if (!(yes || canAsk())) {
    throw new CommandError("Cannot ask: standard input is no terminal; expected --yes", { ending: "usage" });
  }
  const { targets, restored } = await mastersOf(program, json);
  await purge(targets, rollout, { isAsking: !yes, isOriginalMeant: original, restored, isJson: json });
}

async function mastersOf(program: Program, isJson: boolean): Promise<{ readonly targets: readonly SurveyTarget[]; readonly restored: number | undefined }> {
  const settings = await settingsWithKeys(new Engine({ folder: program.folder, isOutputTaken: isJson }), program);
  return { targets: backupTargets(settings, program), restored: settings.restore };
}

async function list(targets: readonly SurveyTarget[], isJson: boolean): Promise<void> {
  const { masters, failures } = await readBackups(targets);
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ masters, failures }, null, 2)}\n`);
  } else {
    process.stdout.write(masters.map((master) => formatBackups(master, process.stdout)).join("\n"));
    process.stderr.write(failures.map((failure) => `${failure}\n`).join(""));
  }
  if (failures.length > 0) {
    process.exitCode = exitCodes.failed;
  }
}

interface PurgeWish {
  readonly isAsking: boolean;
  readonly isOriginalMeant: boolean;
  /** what the stack file's `restore` names */
  readonly restored: number | undefined;
  readonly isJson: boolean;
}

async function purge(targets: readonly SurveyTarget[], rollout: number, { isAsking, isOriginalMeant, restored, isJson }: PurgeWish): Promise<void> {
  const { masters, failures } = await readBackups(targets);
  if (failures.length > 0) {
    throw new CommandError(`${failures.join("\n")}\nNothing was removed: all masters must answer first.`, { ending: "failed" });
  }
  const refusals = purgeRefusals(masters, rollout, { isOriginalMeant, restored });
  if (refusals.length > 0) {
    throw new CommandError(`${refusals.join("\n")}\nNothing was removed.`, { ending: "refused" });
  }
  const holders = masters.filter(({ backups }) => backups.some((each) => each.rollout === rollout)).map(({ name }) => name);
  if (isAsking && !(await isConfirmed(`Remove backup ${rollout} on ${holders.join(", ")}, for good?`))) {
    throw new CommandError("Nothing was removed.", { ending: "declined" });
  }
  const { values, failures: failed } = await settled(
    targets.map(async (target) => [target.data.master.name, (await askForBackups(target, { kind: "purge", rollout, lockSeconds })).trim()] as const),
  );
  const removed = { ...Object.fromEntries(targets.map(({ data }) => [data.master.name, "failed"])), ...Object.fromEntries(values) };
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ rollout, masters: removed }, null, 2)}\n`
      : Object.entries(removed)
          .map(([name, outcome]) => `${name}: backup ${rollout} ${outcome}\n`)
          .join(""),
  );
  if (failed.length > 0) {
    throw new CommandError(`${failed.join("\n")}\nRun this again when that is mended.`, { ending: "failed" });
  }
}
