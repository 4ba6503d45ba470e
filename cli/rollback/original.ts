import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MasterBackups } from "../backups/kept-backup.ts";
import { backupTargets, readBackups } from "../backups/read-backups.ts";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import { inScratchFolder, writeAtomically } from "../files.ts";
import type { Program } from "../project.ts";
import { type Change, readStackFile, settingsWithKeys, withChanges } from "../stack-file.ts";
import { deploy, requireUnchanged } from "./go-back.ts";

/** The way to the set from before this program's first rollout: the state stays, and the stack file asks for the masters' backups. */
interface ToOriginal {
  readonly rollout: number;
  readonly change: Change;
  /** the stack file now, and as it must be */
  readonly stackFileText: string;
  readonly wantedText: string;
}

/**
 * Looks at what the masters keep, and decides. Reads only.
 * @throws CommandError when a master cannot be asked, or they keep no whole original set
 */
export async function planOriginal(engine: Engine, program: Program): Promise<ToOriginal> {
  const settings = await settingsWithKeys(engine, program);
  const { masters, failures } = await readBackups(backupTargets(settings, program));
  if (failures.length > 0) {
    throw new CommandError(`${failures.join("\n")}\nNothing was changed: all masters must answer first.`, { ending: "failed" });
  }
  const rollout = originalIn(masters, program.stack);
  const change = { path: [`${program.project}:restore`], from: settings.restore === undefined ? undefined : String(settings.restore), to: String(rollout) };
  const stackFileText = readStackFile(program);
  return { rollout, change, stackFileText, wantedText: withChanges(stackFileText, [change]) };
}

/**
 * The rollout before which every master kept its original files.
 * @throws CommandError when there is no such, or they are not whole
 */
export function originalIn(masters: readonly MasterBackups[], stack: string): number {
  const originals = masters.map(({ name, backups }) => ({ name, backup: backups.find(({ kind }) => kind === "original") }));
  const hint = `Nothing was changed. Look: npx etcd-rotation backups ${stack}`;
  const without = originals.filter(({ backup }) => backup === undefined).map(({ name }) => name);
  const rollouts = [...new Set(originals.flatMap(({ backup }) => backup?.rollout ?? []))];
  const [rollout] = rollouts;
  if (without.length > 0 || rollout === undefined) {
    throw new CommandError(`Cannot go back to the original set: ${without.join(", ")} keeps none; expected one on every master. ${hint}`, {
      ending: "refused",
    });
  }
  if (rollouts.length > 1) {
    const held = originals.map(({ name, backup }) => `${name} ${backup?.rollout}`).join(", ");
    throw new CommandError(`Cannot go back to the original set: it is from before different rollouts (${held}); expected one. ${hint}`, { ending: "refused" });
  }
  const damaged = originals.flatMap(({ name, backup }) => (backup?.damaged ?? []).map((file) => `${name} ${file}`));
  if (damaged.length > 0) {
    throw new CommandError(`Cannot go back to the original set: not as its manifest says: ${damaged.join(", ")}; expected a whole set. ${hint}`, {
      ending: "refused",
    });
  }
  return rollout;
}

/** A real preview with the stack file as it would be, which stays as it is. @returns its exit code */
export function previewOriginal(engine: Engine, { stack }: Program, { wantedText }: ToOriginal): Promise<number> {
  return inScratchFolder((folder) => {
    const file = join(folder, `Pulumi.${stack}.yaml`);
    writeFileSync(file, wantedText, { mode: 0o600 });
    return engine.show("preview", "--stack", stack, "--config-file", file);
  });
}

/** @throws CommandError when the stack file has changed since the preview, or `pulumi up` fails; says what holds then */
export async function restoreOriginal(engine: Engine, { stack, stackFile }: Program, { stackFileText, wantedText }: ToOriginal): Promise<void> {
  requireUnchanged("stack file", stack, readFileSync(stackFile, "utf8") === stackFileText);
  writeAtomically(stackFile, wantedText, statSync(stackFile).mode & 0o777);
  await deploy(engine, stack, {
    holds: "The stack file asks for the original set",
    back: `npx etcd-rotation pulumi config rm restore --stack ${stack} && npx etcd-rotation pulumi up --stack ${stack}`,
  });
}
