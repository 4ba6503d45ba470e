import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readBackups } from "../backups/backups.ts";
import type { MasterBackups } from "../backups/kept-backup.ts";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import { inScratchFolder } from "../files.ts";
import type { Program } from "../project.ts";
import { readStackFile, withChanges } from "../stack-file.ts";
import { readPresent } from "../state/history.ts";
import { passphraseFor } from "../terminal.ts";
import {
  deploy,
  describeChange,
  type RollbackPlan,
  requireSameFile,
  showPreview,
  writeStackFile,
} from "./rollback-plan.ts";

/**
 * The plan to go back to the set from before this program's first rollout: the state stays, and the stack file asks for the
 * masters' backups.
 * Looks at what they keep, and decides; reads only.
 * @throws CommandError when a master cannot be asked, or they keep no whole original set
 */
export async function planToOriginal(engine: Engine, program: Program): Promise<RollbackPlan> {
  const { project, stack } = program;
  const { settings, masters, failures } = await readBackups(engine, program);
  if (failures.length > 0) {
    throw CommandError.failed(`${failures.join("\n")}\nNothing was changed: all masters must answer first.`);
  }
  const rollout = originalIn(masters, stack);
  const change = { path: [`${project}:restore`], from: settings.restore?.toString(), to: String(rollout) };
  const stackFileText = readStackFile(program);
  const wantedText = withChanges(stackFileText, [change]);
  return {
    description: [`The masters' own files from before rollout ${rollout}`, describeChange(change)],
    where: "the original set",
    to: { number: "original", rollout },
    changes: [change],
    preview: async () => {
      const { deployment } = await readPresent(engine, program);
      const opened = engine.with({ env: await passphraseFor(deployment?.secretsProvider) });
      // a real one, with the stack file as it would be, which stays as it is
      await inScratchFolder((folder) => {
        const file = join(folder, `Pulumi.${stack}.yaml`);
        writeFileSync(file, wantedText, { mode: 0o600 });
        return showPreview(opened, stack, file);
      });
      return opened;
    },
    go: async (opened) => {
      requireSameFile(program, stackFileText);
      writeStackFile(program, wantedText);
      await deploy(opened, stack, {
        holds: "The stack file asks for the original set",
        back: `npx etcd-rotation pulumi config rm restore --stack ${stack} && npx etcd-rotation pulumi up --stack ${stack}`,
      });
      return {
        done: `Done. Forward again: npx etcd-rotation pulumi config rm restore --stack ${stack}, then up`,
      };
    },
  };
}

/**
 * The rollout before which every master kept its original files.
 * @throws CommandError when there is no such, or they are not whole
 */
export function originalIn(masters: readonly MasterBackups[], stack: string): number {
  const refused = (reason: string) =>
    CommandError.refused(
      `Cannot go back to the original set: ${reason}. Nothing was changed. Look: npx etcd-rotation backups ${stack}`,
    );
  const originals = masters.map(({ name, backups }) => ({
    name,
    ...backups.find(({ kind }) => kind === "original"),
  }));
  const without = originals.flatMap(({ name, rollout }) => (rollout === undefined ? name : []));
  const [first, ...others] = new Set(originals.flatMap(({ rollout }) => rollout ?? []));
  if (without.length > 0 || first === undefined) {
    throw refused(`${without.join(", ")} keeps none; expected one on every master`);
  }
  if (others.length > 0) {
    throw refused(
      `it is from before different rollouts (${originals.map(({ name, rollout }) => `${name} ${rollout}`).join(", ")}); expected one`,
    );
  }
  const damaged = originals.flatMap(({ name, damaged: files = [] }) =>
    files.map((file) => `${name} ${file}`),
  );
  if (damaged.length > 0) {
    throw refused(`not as its manifest says: ${damaged.join(", ")}; expected a whole set`);
  }
  return first;
}
