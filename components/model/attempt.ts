import { sha256 } from "./certificate.ts";
import { differences } from "./differences.ts";
import type { Found, FoundMaster } from "./found.ts";
import type { Row } from "./layout/rows.ts";
import type { RolloutPlan } from "./plan.ts";
import type { RenewalPlan } from "./renewals.ts";
import type { Wanted } from "./wanted.ts";

/** One try at a rollout; its id is the trigger of every step. */
export interface Attempt {
  readonly rollout: number;
  readonly id: string;
}

/**
 * Without a difference, the attempt that the receipts call complete, so that nothing is triggered.
 * Otherwise a new one: a number that no receipt and no backup has, and a hash over all that the steps depend on.
 * A failed or killed run changes what is found (each step writes its receipt), so the next run walks all phases again.
 */
export function decideAttempt(
  found: Found,
  wanted: Wanted,
  rows: readonly Row[],
  plan: RolloutPlan,
  renewals?: RenewalPlan,
): Attempt {
  const [first] = found.masters;
  if (differences(found, wanted, rows, renewals).length === 0 && first?.receipt !== undefined) {
    return { rollout: first.receipt.rollout, id: first.receipt.attempt };
  }
  const rollout = nextRollout(found);
  return {
    rollout,
    id: sha256(
      JSON.stringify([
        rollout,
        wanted,
        plan.mode,
        renewals?.purpose ?? "",
        [...found.masters, ...(found.joining ?? [])].map(lastingFacts),
      ]),
    ).slice(0, 16),
  };
}

/** One more than any number in a receipt or backup on any master: never reused, even when the state is lost. */
export function nextRollout(found: Found): number {
  const used = [...found.masters, ...(found.joining ?? [])].flatMap((master) => [
    master.receipt?.rollout ?? 0,
    ...master.backups,
  ]);
  return Math.max(0, ...used) + 1;
}

/** What of a survey stays the same from one look to the next: no clocks, no indexes, no connections. */
function lastingFacts(master: FoundMaster): unknown {
  const files = Object.entries(master.files).map(([id, file]) => [
    id,
    file.isPresent,
    file.ownerAndMode,
    file.publicKey,
    file.certificates.map((certificate) => certificate.fingerprint),
  ]);
  return [
    master.name,
    master.clusterId,
    files,
    Object.values(master.processes).map((process) => [process.identity, process.isStale]),
    master.receipt,
    master.backups,
    master.leftovers,
  ];
}
