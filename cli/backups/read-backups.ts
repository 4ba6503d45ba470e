import { tablesOf } from "../../components/model/settings.ts";
import { assignments } from "../../components/model/shell.ts";
import { renderStepData, type StepData } from "../../components/model/step-data.ts";
import { plainScript } from "../../components/node/scripts.ts";
import { runOverSsh } from "../../components/survey/ssh.ts";
import type { SurveyTarget } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import type { Engine } from "../engine.ts";
import { settled } from "../in-parallel.ts";
import type { Program } from "../project.ts";
import { settingsWithKeys } from "../stack-file.ts";
import { parseBackups } from "./kept-backup.ts";

/** A large snapshot is read whole by etcd's tool. */
const answerMilliseconds = 300_000;

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
export async function askForBackups(
  { access, bastion, data }: SurveyTarget,
  action: Action,
): Promise<string> {
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
