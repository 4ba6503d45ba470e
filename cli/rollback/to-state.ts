import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { day, linesOf, messageOf } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import type { RollbackOptions } from "../commands.ts";
import { type Engine, errorIn } from "../engine.ts";
import { writeAtomically } from "../files.ts";
import type { Program } from "../project.ts";
import {
  type Change,
  readStackFile,
  secretsProviderIn,
  settingsWithoutLogin,
  withChanges,
} from "../stack-file.ts";
import { type CertificateSet, certificateSetOf } from "../state/certificate-set.ts";
import { parseDeployment, underProviderOf } from "../state/deployment.ts";
import { type HistoryEntry, readEntries, readHistory, readPresent, readStateFile } from "../state/history.ts";
import { listStates } from "../state/list.ts";
import { refusalsOf } from "../state/refusals.ts";
import { passphraseFor } from "../terminal.ts";
import {
  deploy,
  describeChange,
  type RollbackPlan,
  requireSameFile,
  requireUnchanged,
  type Say,
  writeStackFile,
} from "./rollback-plan.ts";
import { trialPreview } from "./trial-preview.ts";

/**
 * The plan to go back to a state: that one and its settings take the place of the present ones, which are saved first.
 * Reads that state and the present one, and decides; reads only.
 * @param asked.to a number of the list, or a file
 * @throws CommandError with every reason not to go back
 */
export async function planToState(
  engine: Engine,
  program: Program,
  { to, reSign: isReSigning, history }: Pick<RollbackOptions, "reSign" | "history"> & { readonly to: string },
  say: Say,
): Promise<RollbackPlan> {
  const { stack, project } = program;
  const now = new Date();
  const settings = settingsWithoutLogin(program);
  const present = await readPresent(engine, program);
  const number = /^\d+$/.test(to) ? Number(to) : undefined;
  const entries = number !== undefined || !existsSync(to) ? await readHistory(engine, program, history) : [];
  const file = number === undefined ? resolve(to) : fileOf(to, entries, stack);
  const deployment = parseDeployment(readStateFile(file), to);
  const set = certificateSetOf(deployment);
  const { rotation, rollout, authority } = set;
  const presentSet = present.deployment && certificateSetOf(present.deployment);
  const { renewBefore } = settings.certificates;
  const refusals = refusalsOf({
    name: to,
    chosen: { deployment, set },
    present: present.deployment && presentSet && { deployment: present.deployment, set: presentSet },
    project,
    stack,
    now: now.getTime(),
    renewBeforeSeconds: renewBefore,
    isReSigning,
    others: listStates(readEntries(entries), presentSet, now.getTime(), renewBefore),
  });
  if (refusals.length > 0) {
    throw CommandError.refused(
      `${refusals.map((reason) => `Cannot go back to state ${to}: ${reason}`).join("\n")}\nNothing was changed.`,
    );
  }
  const changes = changesTo(set, settings, project, isReSigning);
  const stackFileText = readStackFile(program);
  const wantedText = withChanges(stackFileText, changes);
  const importable =
    deployment.isDecrypted && present.deployment !== undefined
      ? underProviderOf(present.text, deployment)
      : deployment.importable;
  return {
    description: linesOf(
      `State ${to}, of ${deployment.time.slice(0, 16).replace("T", " ")} UTC: rollout ${rollout ?? "unknown"}, rotation "${rotation ?? "unknown"}",`,
      `authority ${authority?.slice(0, 8)}, until ${set.end === undefined ? "unknown" : day(set.end.notAfter)}`,
      ...changes.map(describeChange),
      present.deployment !== undefined &&
        deployment.salt !== present.deployment.salt &&
        "notice: its keys are encrypted with another salt; the passphrase must be the same",
      deployment.pendingOperations > 0 &&
        `notice: it has ${deployment.pendingOperations} pending operations of a run that was killed; they are dropped`,
    ),
    where: `state ${to}`,
    to: { number, file, rotation, rollout, authority },
    changes,
    preview: async () => {
      // the state has its provider, the stack file the one that is used from now on
      const provider = [deployment.secretsProvider, secretsProviderIn(stackFileText)].find(
        (each) => each === "passphrase",
      );
      const opened = engine.with({ env: await passphraseFor(provider) });
      const made = await trialPreview(opened, program, importable, wantedText);
      if (made.authorities.length > 0 && !isReSigning) {
        throw CommandError.refused(
          `Cannot go back to state ${to}: the preview would replace ${made.authorities.join(", ")}; expected the authorities of that state to stay. Nothing was changed. Compare the stack file with the one of that time`,
        );
      }
      if (made.leaves.length > 0) {
        say(
          `notice: not in that state, or re-signed since the stack file has changed: ${made.leaves.join(", ")}`,
        );
      }
      return opened;
    },
    go: async (opened) => {
      const saved = saveState(program, present.text, now);
      say(`The present state is saved in ${saved}`);
      requireUnchanged("state", stack, (await readPresent(opened, program)).text === present.text);
      requireSameFile(program, stackFileText);
      await putState(opened, stack, importable, "Nothing was changed");
      try {
        writeStackFile(program, wantedText);
      } catch (error) {
        const consequence = `The state is the older one; put back the other one: npx etcd-rotation pulumi stack import --stack ${stack} --file ${saved}`;
        await putState(opened, stack, present.text, consequence);
        throw CommandError.failed(
          `${messageOf(error)}. The state is the one from before; nothing was changed`,
          error,
        );
      }
      const back = `npx etcd-rotation rollback ${stack} --to ${saved}`;
      await deploy(opened, stack, { holds: "State and stack file are the older ones", back });
      // after pulumi destroy there is nothing to go forward to
      return { done: present.deployment ? `Done. Forward again: ${back}` : "Done.", saved };
    },
  };
}

function fileOf(to: string, entries: readonly HistoryEntry[], stack: string): string {
  const file = entries.find(({ number }) => number === Number(to))?.file;
  if (file === undefined) {
    throw CommandError.usage(
      `Cannot find state ${to}: the history has ${entries.length === 0 ? "none" : `1 to ${entries.length}`}; expected a number of: npx etcd-rotation rollback ${stack} --list`,
    );
  }
  return file;
}

/** Writes a state outside every checkout, readable by its owner alone, and never over another one. @returns its path */
function saveState({ project, stack }: Program, text: string, now: Date): string {
  const states = process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state");
  const folder = join(states, "etcd-rotation", "saved-states", project, stack);
  const file = join(folder, `${now.toISOString().replaceAll(":", "-")}.json`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // whole or not at all: half a state would look like one
    writeAtomically(file, text, 0o600);
  } catch (error) {
    throw CommandError.failed(
      `Cannot save the present state: ${messageOf(error)}. Nothing was changed`,
      error,
    );
  }
  return file;
}

async function putState(engine: Engine, stack: string, text: string, consequence: string): Promise<void> {
  const { code, stderr } = await engine.capture(["stack", "import", "--stack", stack], text);
  if (code !== 0) {
    throw CommandError.failed(`Cannot import the state: ${errorIn(stderr)}. ${consequence}`);
  }
}

/** What of the stack file decides certificates. */
interface Deciding {
  readonly rotation: string;
  readonly certificates: { readonly validity: number; readonly algorithm: string };
  readonly restore?: number | undefined;
}

/**
 * What the stack file must say so that Pulumi asks for exactly that set, and for no new one.
 * @param isReSigning only its keys are to come back: its certificates are signed for the present validity
 */
export function changesTo(
  set: CertificateSet,
  present: Deciding,
  project: string,
  isReSigning: boolean,
): Change[] {
  const { rotation, validityHours, algorithm } = set;
  const { algorithm: presentAlgorithm } = present.certificates;
  // the program counts in whole hours
  const presentHours = Math.floor(present.certificates.validity / 3600);
  const hours = isReSigning ? presentHours : (validityHours ?? presentHours);
  const certificates = `${project}:certificates`;
  const change = (path: readonly string[], from: string | undefined, to: string | undefined): Change[] =>
    from === to ? [] : [{ path, from, to }];
  return [
    ...change([`${project}:rotation`], present.rotation, rotation ?? present.rotation),
    ...change([`${project}:restore`], present.restore?.toString(), undefined),
    ...change([certificates, "validity"], durationOf(presentHours), durationOf(hours)),
    ...change([certificates, "algorithm"], presentAlgorithm, algorithm ?? presentAlgorithm),
  ];
}

/** Hours as a stack file says them, in the largest unit that fits. */
export function durationOf(hours: number): string {
  if (hours % 8760 === 0) {
    return `${hours / 8760}y`;
  }
  return hours % 24 === 0 ? `${hours / 24}d` : `${hours}h`;
}
