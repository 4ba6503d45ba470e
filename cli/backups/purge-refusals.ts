import type { KeptBackup, MasterBackups } from "./kept-backup.ts";

/** What a removal is asked with, and what the stack file's `restore` names. */
export interface PurgeTerms {
  readonly isOriginalMeant: boolean;
  readonly restored: number | undefined;
}

/** Why a backup must stay; empty when it may go. */
export function purgeRefusals(masters: readonly MasterBackups[], rollout: number, { isOriginalMeant, restored }: PurgeTerms): string[] {
  if (rollout === restored) {
    return [`Cannot remove backup ${rollout}: restore in the stack file names it, so that it is the wanted set; expected another one, or no restore`];
  }
  const holders = masters.filter(({ backups }) => backups.some((each) => each.rollout === rollout));
  if (holders.length === 0) {
    const numbers = [...new Set(masters.flatMap(({ backups }) => backups.map((each) => each.rollout)))].toSorted((a, b) => a - b);
    return [`Cannot remove backup ${rollout}: no master has it; expected ${numbers.length === 0 ? "one that there is" : `one of ${numbers.join(", ")}`}`];
  }
  const needed = holders.filter(({ backups }) => newestWhole(backups)?.rollout === rollout).map(({ name }) => name);
  const [set] = holders.flatMap(({ backups }) => backups.filter((each) => each.rollout === rollout));
  if (needed.length > 0) {
    return [
      `Cannot remove backup ${rollout}: on ${needed.join(", ")} it is the newest whole set (${set?.rotation === undefined ? "the original one" : `rotation "${set.rotation}"`}), which going back by hand needs; expected an older one`,
    ];
  }
  const original = holders.filter(({ backups }) => backups.some((each) => each.rollout === rollout && each.kind === "original")).map(({ name }) => name);
  return original.length > 0 && !isOriginalMeant
    ? [
        `Cannot remove backup ${rollout}: on ${original.join(", ")} it is the set from before this program's first rollout, and there is no other copy; expected --original if that is meant`,
      ]
    : [];
}

/** The newest set that once served whole and is undamaged. */
function newestWhole(backups: readonly KeptBackup[]): KeptBackup | undefined {
  return backups.filter(({ kind, damaged }) => kind !== "unfinished" && damaged.length === 0).toSorted((a, b) => b.rollout - a.rollout)[0];
}
