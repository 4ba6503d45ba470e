import { answerLines, backupsRecords, type Records, readRecords } from "../../components/model/records.ts";

/** A backup as it lies on one master: the set from before a rollout. */
export interface KeptBackup {
  readonly rollout: number;
  /** ISO 8601; undefined without a manifest */
  readonly taken: string | undefined;
  readonly files: number;
  /** of the saved set; undefined for the original one */
  readonly rotation: string | undefined;
  /** `complete`: its rollout had ended well; `original`: from before the first one */
  readonly kind: "complete" | "original" | "unfinished";
  /** what is missing or not as its sum says; empty when all is well */
  readonly damaged: readonly string[];
  readonly snapshot:
    | { readonly bytes: number; readonly hash: string | undefined; readonly revision: number | undefined }
    | undefined;
  /** of a crash copy of etcd's data */
  readonly dataKib: number | undefined;
}

/** What one master keeps. */
export interface MasterBackups {
  readonly name: string;
  readonly present:
    | { readonly rollout: number; readonly rotation: string; readonly isComplete: boolean }
    | undefined;
  /** the newest first */
  readonly backups: readonly KeptBackup[];
  /** folders of interrupted steps and removals */
  readonly leftovers: readonly string[];
}

/**
 * Reads the answer of components/node/bin/backups.sh.
 * @throws Error when it is not whole
 */
export function parseBackups(name: string, text: string): MasterBackups {
  const lines = answerLines(text);
  if (lines.at(-1) !== `end ${name}`) {
    throw new Error(
      `Cannot list the backups of ${name}: the answer is not complete. Try again, or look there: ls /var/lib/etcd-rotation/backups`,
    );
  }
  const read = readRecords(
    lines,
    backupsRecords,
    (line) => new Error(`Cannot list the backups of ${name}: saw "${line}"; expected a record of a backup`),
  );
  return {
    name,
    present: read.present.map(({ rollout, rotation, isComplete }) => ({
      rollout: Number(rollout),
      rotation,
      isComplete,
    }))[0],
    backups: read.backup.map(({ rollout }) => backupOf(rollout, read)).toReversed(),
    leftovers: read.leftover.map(({ path }) => path),
  };
}

function backupOf(rollout: number, read: Records<typeof backupsRecords>): KeptBackup {
  const of = <T extends { readonly rollout: number }>(records: readonly T[]) =>
    records.filter((each) => each.rollout === rollout);
  const [taken] = of(read.taken);
  const [receipt] = of(read.receipt);
  const [snapshot] = of(read.snapshot);
  return {
    rollout,
    taken: taken && new Date(taken.seconds * 1000).toISOString(),
    files: of(read.files)[0]?.count ?? 0,
    rotation: receipt?.rotation,
    kind: receipt === undefined ? "original" : receipt.isComplete ? "complete" : "unfinished",
    damaged: of(read.damaged).map(({ path }) => path),
    snapshot: snapshot && {
      bytes: snapshot.bytes,
      hash: of(read["snapshot-hash"])[0]?.hash,
      revision: of(read["snapshot-revision"])[0]?.revision,
    },
    dataKib: of(read["data-kib"])[0]?.kib,
  };
}

/**
 * Why a backup must stay; empty when it may go.
 * @param terms.restored what the stack file's `restore` names
 */
export function purgeRefusals(
  masters: readonly MasterBackups[],
  rollout: number,
  { isOriginalMeant, restored }: { readonly isOriginalMeant: boolean; readonly restored: number | undefined },
): string[] {
  if (rollout === restored) {
    return [
      `Cannot remove backup ${rollout}: restore in the stack file names it, so that it is the wanted set; expected another one, or no restore`,
    ];
  }
  const all = masters.flatMap(({ name, backups }) =>
    backups.map((backup) => ({ name, backup, isNeeded: backup === newestWhole(backups) })),
  );
  const meant = all.filter(({ backup }) => backup.rollout === rollout);
  if (meant.length === 0) {
    const numbers = [...new Set(all.map(({ backup }) => backup.rollout))].toSorted((a, b) => a - b);
    return [
      `Cannot remove backup ${rollout}: no master has it; expected ${numbers.length === 0 ? "one that there is" : `one of ${numbers.join(", ")}`}`,
    ];
  }
  const needed = meant.filter(({ isNeeded }) => isNeeded).map(({ name }) => name);
  const rotation = meant[0]?.backup.rotation;
  if (needed.length > 0) {
    return [
      `Cannot remove backup ${rollout}: on ${needed.join(", ")} it is the newest whole set (${rotation === undefined ? "the original one" : `rotation "${rotation}"`}), which going back by hand needs; expected an older one`,
    ];
  }
  const original = meant.filter(({ backup }) => backup.kind === "original").map(({ name }) => name);
  return original.length > 0 && !isOriginalMeant
    ? [
        `Cannot remove backup ${rollout}: on ${original.join(", ")} it is the set from before this program's first rollout, and there is no other copy; expected --original if that is meant`,
      ]
    : [];
}

/** The newest set that once served whole and is undamaged. */
function newestWhole(backups: readonly KeptBackup[]): KeptBackup | undefined {
  return backups
    .filter(({ kind, damaged }) => kind !== "unfinished" && damaged.length === 0)
    .toSorted((a, b) => b.rollout - a.rollout)[0];
}
