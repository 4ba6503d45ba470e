import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import type { Program } from "../project.ts";
import { type Change, readStackFile, settingsWithoutLogin, withChanges } from "../stack-file.ts";
import { type CertificateSet, certificateSetOf } from "../state/certificate-set.ts";
import { type Deployment, parseDeployment, underProviderOf } from "../state/deployment.ts";
import { type Kept, type Present, readHistory, readKept, readPresent, readStateFile } from "../state/history.ts";
import { listStates } from "../state/list.ts";
import { refusalsOf } from "../state/refusals.ts";

/** What is asked for. */
export interface Wish {
  /** a number of the list, or a file */
  readonly to: string;
  readonly isReSigning: boolean;
  /** a folder with a copy of the backend's history */
  readonly history: string | undefined;
}

/** A state that nothing speaks against, and what going back to it means. */
interface Decision {
  readonly to: string;
  readonly file: string;
  readonly deployment: Deployment;
  /** what `pulumi stack import` takes */
  readonly importable: string;
  readonly set: CertificateSet;
  readonly present: Present;
  readonly changes: readonly Change[];
  /** the stack file now, and as it must be */
  readonly stackFileText: string;
  readonly wantedText: string;
}

/**
 * Reads that state and the present one, and decides. Reads only.
 * @throws CommandError with every reason not to go back
 */
export async function decide(engine: Engine, program: Program, wish: Wish, now: number): Promise<Decision> {
  const { stack, project } = program;
  const settings = settingsWithoutLogin(program);
  const present = await readPresent(engine, program);
  const kept = isNumber(wish.to) || !existsSync(wish.to) ? await readHistory(engine, program, wish.history) : [];
  const file = fileOf(wish.to, kept, stack);
  const deployment = parseDeployment(readStateFile(file), wish.to);
  const set = certificateSetOf(deployment);
  const presentSet = present.deployment && certificateSetOf(present.deployment);
  const { renewBefore } = settings.certificates;
  const refusals = refusalsOf({
    name: wish.to,
    chosen: { deployment, set },
    present: present.deployment && presentSet && { deployment: present.deployment, set: presentSet },
    project,
    stack,
    now,
    renewBeforeSeconds: renewBefore,
    isReSigning: wish.isReSigning,
    others: listStates(readKept(kept), presentSet, now, renewBefore),
  });
  if (refusals.length > 0) {
    throw new CommandError(`${refusals.map((reason) => `Cannot go back to state ${wish.to}: ${reason}`).join("\n")}\nNothing was changed.`, {
      ending: "refused",
    });
  }
  const changes = changesTo(set, settings, project, wish.isReSigning);
  const stackFileText = readStackFile(program);
  const importable = deployment.isDecrypted && present.deployment !== undefined ? underProviderOf(present.text, deployment) : deployment.importable;
  return { to: wish.to, file, deployment, importable, set, present, changes, stackFileText, wantedText: withChanges(stackFileText, changes) };
}

/** What a person must know before the preview. */
export function describeDecision({ to, deployment, set, present, changes }: Decision): string[] {
  const { pendingOperations } = deployment;
  return [
    `State ${to}, of ${deployment.time.slice(0, 16).replace("T", " ")} UTC: rollout ${set.rollout ?? "unknown"}, rotation "${set.rotation ?? "unknown"}",`,
    `authority ${set.authority?.slice(0, 8)}, until ${set.end === undefined ? "unknown" : new Date(set.end.notAfter).toISOString().slice(0, 10)}`,
    ...changes.map(describeChange),
    ...(present.deployment === undefined || deployment.salt === present.deployment.salt
      ? []
      : ["notice: its keys are encrypted with another salt; the passphrase must be the same"]),
    ...(pendingOperations === 0 ? [] : [`notice: it has ${pendingOperations} pending operations of a run that was killed; they are dropped`]),
  ];
}

/** One line for a change to the stack file. */
export function describeChange({ path, from, to }: Change): string {
  return `stack file: ${path.join(".")}: ${from ?? "nothing"} -> ${to ?? "nothing"}`;
}

/** True for a number of the list. */
export function isNumber(to: string): boolean {
  return /^\d+$/.test(to);
}

function fileOf(to: string, kept: readonly Kept[], stack: string): string {
  if (!isNumber(to)) {
    return resolve(to);
  }
  const file = kept.find(({ number }) => number === Number(to))?.file;
  if (file === undefined) {
    throw new CommandError(
      `Cannot find state ${to}: the history has ${kept.length === 0 ? "none" : `1 to ${kept.length}`}; expected a number of: npx etcd-rotation rollback ${stack} --list`,
      { ending: "usage" },
    );
  }
  return file;
}

/** What of the stack file decides certificates; seconds. */
interface Deciding {
  readonly rotation: string;
  readonly certificates: { readonly validity: number; readonly algorithm: string };
  /** a backup that would be wanted instead of the state's certificates */
  readonly restore?: number | undefined;
}

/**
 * What the stack file must say so that Pulumi asks for exactly that set, and for no new one.
 * @param isReSigning only its keys are to come back: its certificates are signed for the present validity
 */
export function changesTo(set: CertificateSet, present: Deciding, project: string, isReSigning: boolean): Change[] {
  const { rotation, validityHours, algorithm } = set;
  const { validity, algorithm: presentAlgorithm } = present.certificates;
  const certificates = `${project}:certificates`;
  return [
    ...(rotation === undefined || rotation === present.rotation ? [] : [{ path: [`${project}:rotation`], from: present.rotation, to: rotation }]),
    ...(present.restore === undefined ? [] : [{ path: [`${project}:restore`], from: String(present.restore), to: undefined }]),
    // the program counts in whole hours
    ...(isReSigning || validityHours === undefined || validityHours === Math.floor(validity / 3600)
      ? []
      : [{ path: [certificates, "validity"], from: durationOf(Math.floor(validity / 3600)), to: durationOf(validityHours) }]),
    ...(algorithm === undefined || algorithm === presentAlgorithm ? [] : [{ path: [certificates, "algorithm"], from: presentAlgorithm, to: algorithm }]),
  ];
}

/** Hours as a stack file says them, in the largest unit that fits. */
export function durationOf(hours: number): string {
  if (hours % 8760 === 0) {
    return `${hours / 8760}y`;
  }
  return hours % 24 === 0 ? `${hours / 24}d` : `${hours}h`;
}
