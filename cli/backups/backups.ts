import { tablesOf } from "../../components/model/settings.ts";
import { assignments } from "../../components/model/shell.ts";
import { renderStepData, type StepData } from "../../components/model/step-data.ts";
import { size } from "../../components/model/text.ts";
import { plainScript } from "../../components/node/scripts.ts";
import { runOverSsh } from "../../components/survey/ssh.ts";
import type { SurveyTarget } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { CommandError, exitCodes } from "../command-error.ts";
import type { BackupsOptions, PurgeOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { settled } from "../in-parallel.ts";
import { chooseStack, type Program } from "../project.ts";
import { settingsWithKeys } from "../stack-file.ts";
import {
  type Cell,
  canAsk,
  columns,
  isConfirmed,
  type Paint,
  painterFor,
  toned,
  writeJson,
} from "../terminal.ts";
import { type KeptBackup, type MasterBackups, parseBackups, purgeRefusals } from "./kept-backup.ts";

/** How long a removal waits for a step that is at work. */
const lockSeconds = 30;

/** A large snapshot is read whole by etcd's tool. */
const answerMilliseconds = 300_000;

/** Lists what every master keeps. */
export async function listBackups(stack: string | undefined, { json, cwd }: BackupsOptions): Promise<void> {
  const program = chooseStack(cwd, stack);
  const engine = new Engine({ folder: program.folder, isOutputTaken: json });
  const { masters, failures } = await readBackups(engine, program);
  if (json) {
    writeJson({ masters, failures });
  } else {
    process.stdout.write(masters.map((master) => formatBackups(master, process.stdout)).join("\n"));
    process.stderr.write(failures.map((failure) => `${failure}\n`).join(""));
  }
  if (failures.length > 0) {
    process.exitCode = exitCodes.usage;
  }
}

/** Removes one backup from all masters, after a question. */
export async function purgeBackup(
  rollout: number,
  stack: string | undefined,
  { json, cwd, yes, original }: PurgeOptions,
): Promise<void> {
  const program = chooseStack(cwd, stack);
  if (!(yes || canAsk())) {
    throw CommandError.usage("Cannot ask: standard input is not a terminal; expected --yes");
  }
  const engine = new Engine({ folder: program.folder, isOutputTaken: json });
  const { settings, targets, masters, failures } = await readBackups(engine, program);
  if (failures.length > 0) {
    throw CommandError.usage(`${failures.join("\n")}\nNothing was removed: all masters must answer first.`);
  }
  const refusals = purgeRefusals(masters, rollout, { isOriginalMeant: original, restored: settings.restore });
  if (refusals.length > 0) {
    throw CommandError.refused(`${refusals.join("\n")}\nNothing was removed.`);
  }
  const holders = masters
    .filter(({ backups }) => backups.some((each) => each.rollout === rollout))
    .map(({ name }) => name);
  if (!(yes || (await isConfirmed(`Remove backup ${rollout} on ${holders.join(", ")}, for good?`)))) {
    throw CommandError.declined("Nothing was removed.");
  }
  const removed = Object.fromEntries(targets.map(({ data }) => [data.master.name, "failed"]));
  const { failures: failed } = await settled(
    targets.map(async (target) => {
      const answer = await askForBackups(target, { kind: "purge", rollout, lockSeconds });
      removed[target.data.master.name] = answer.trim();
    }),
  );
  if (json) {
    writeJson({ rollout, masters: removed });
  } else {
    const lines = Object.entries(removed).map(([name, outcome]) => `${name}: backup ${rollout} ${outcome}\n`);
    process.stdout.write(lines.join(""));
  }
  if (failed.length > 0) {
    throw CommandError.failed(`${failed.join("\n")}\nFix that, then run this again.`);
  }
}

/** What the masters of a stack keep, and why some could not be asked. */
export async function readBackups(engine: Engine, program: Program) {
  const settings = await settingsWithKeys(engine, program);
  const { rows } = tablesOf(settings.layout);
  const targets = surveyTargets(settings, `${program.project}/${program.stack}`, rows);
  const { values: masters, failures } = await settled(
    targets.map(async (target) =>
      parseBackups(target.data.master.name, await askForBackups(target, { kind: "list" })),
    ),
  );
  return { settings, targets, masters, failures };
}

/** @throws Error naming the master, and what it said */
async function askForBackups({ access, bastion, data }: SurveyTarget, action: Action): Promise<string> {
  const script = backupsScript(data, action);
  const { code, stdout, stderr } = await runOverSsh(access, bastion, script, answerMilliseconds);
  if (code !== 0) {
    // the steps' own words tell to run pulumi up again
    const message = stderr.trim().slice(-400).replace(", then run pulumi up again", "");
    throw new Error(
      `Cannot ${action.kind} backups on ${data.master.name}: exit code ${code ?? "unknown"}: ${message}`,
    );
  }
  return stdout;
}

/** Read only, or the removal of one backup. */
export type Action =
  | { readonly kind: "list" }
  | { readonly kind: "purge"; readonly rollout: number; readonly lockSeconds: number };

/** The script for one master. */
export function backupsScript(data: StepData, action: Action): string {
  const parameters = assignments({
    ACTION: action.kind,
    PHASE: `backups-${action.kind}`,
    ...(action.kind === "purge"
      ? { PURGED: action.rollout, GATE_SECONDS: action.lockSeconds, ATTEMPT: "none" }
      : {}),
  });
  return plainScript("backups", `${renderStepData(data)}${parameters}`);
}

/** What a master keeps, for a person, in 80 columns. */
export function formatBackups(
  { name, present, backups, leftovers }: MasterBackups,
  stream: NodeJS.WriteStream,
): string {
  const now =
    present === undefined
      ? "no rollout yet"
      : `now rollout ${present.rollout}, rotation "${present.rotation}"${present.isComplete ? "" : ", unfinished"}`;
  const paint = painterFor(stream);
  const titles = ["rollout", "taken (UTC)", "files", "rotation", "set", "snapshot"];
  const header = titles.map((title) => toned(paint, "quiet", title));
  const table = columns([header, ...backups.map((backup) => row(backup, paint))], 80);
  const lines = [
    `${name}: ${now}`,
    ...(backups.length === 0 ? ["  no backup"] : table),
    ...backups
      .filter(({ damaged }) => damaged.length > 0)
      .map(({ rollout, damaged }) => `  backup ${rollout}: damaged or missing: ${damaged.join(", ")}`),
    ...backups.flatMap(({ rollout, dataKib: kib }) =>
      kib === undefined ? [] : `  backup ${rollout}: holds a crash copy of etcd's data, ${size(kib * 1024)}`,
    ),
    ...leftovers.map((path) => `  left over: ${path}; the next step finishes or erases it`),
  ];
  return `${lines.join("\n")}\n`;
}

const tones = { complete: "good", original: "plain", unfinished: "warning" } as const;

function row(
  { rollout, taken, files, rotation, kind, damaged, snapshot }: KeptBackup,
  paint: Paint,
): (Cell | string)[] {
  const revision = snapshot?.revision === undefined ? "" : `, revision ${snapshot.revision}`;
  return [
    { text: String(rollout), isRight: true },
    taken?.slice(0, 16).replace("T", " ") ?? "-",
    { text: String(files), isRight: true },
    { text: rotation ?? "-", isFlexible: true },
    damaged.length === 0 ? toned(paint, tones[kind], kind) : toned(paint, "bad", "damaged"),
    snapshot === undefined ? "-" : `${size(snapshot.bytes)}${revision}`,
  ];
}
