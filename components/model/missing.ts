import type { Found, FoundMaster } from "./found.ts";
import type { Row } from "./layout.ts";
import { type Phase, phases, type RolloutPlan } from "./plan.ts";

/** A phase before which a rollout may stop: until then the cluster serves well, and nobody is refused. */
export type Hold = "issue" | "retire";

/** The masters that were looked at, and what they say of those that could not be. */
export function foundOf(masters: readonly FoundMaster[], all: readonly { readonly name: string; readonly address: string }[]): Found {
  const missing = all
    .filter(({ name }) => masters.every((master) => master.name !== name))
    .map(({ name, address }) => ({ name, isAlive: masters.some(({ reaches }) => reaches.includes(address)) }));
  return missing.length === 0 ? { masters } : { masters, missing };
}

/**
 * Where the rollout stops. A member that serves and cannot be given its trust files would refuse the new leaves, so issue waits for it;
 * one that is dead refuses nobody, so only retire does.
 */
export function holdOf({ missing = [] }: Found, asked: "retire" | undefined): Hold | undefined {
  if (missing.length === 0) {
    return asked;
  }
  return missing.some(({ isAlive }) => isAlive) ? "issue" : "retire";
}

/** Whether a phase waits. */
export function isHeldAt(phase: Phase, heldBefore: Hold | undefined): boolean {
  return heldBefore !== undefined && phases.indexOf(phase) >= phases.indexOf(heldBefore);
}

/** The masters whose members are dead: nothing waits for them, and the quorum counts them. */
export function deadIn({ missing = [] }: Found): string[] {
  return missing.flatMap(({ name, isAlive }) => (isAlive ? [] : name));
}

/** What has to come true before a held rollout goes on, in words. */
export function obstacleOf({ missing = [] }: Found): string {
  const named = (isAlive: boolean) => missing.flatMap((each) => (each.isAlive === isAlive ? each.name : [])).join(", ");
  const [alive, dead] = [named(true), named(false)];
  const obstacles = [
    ...(alive === "" ? [] : [`${alive} can be reached over SSH (its etcd serves, and would refuse the new leaves)`]),
    ...(dead === "" ? [] : [`${dead} is back (it cannot be reached over SSH, and its etcd does not answer)`]),
  ];
  return obstacles.length === 0 ? "holdBefore is removed" : obstacles.join(", and ");
}

/**
 * Why a rollout may not begin without the masters that cannot be reached; empty when none is missing.
 * @param authorities fingerprints of those that the state asks for; undefined when new ones are going to be made
 */
export function missingRefusals(found: Found, rows: readonly Row[], plan: RolloutPlan, authorities: readonly string[] | undefined): string[] {
  const { masters, missing = [] } = found;
  const names = missing.map(({ name }) => name).join(", ");
  if (missing.length === 0) {
    return [];
  }
  if (plan.mode === "recovery") {
    return [
      `Cannot recover without ${names}: ${plan.causes.join("; ")}; expected every master to be reachable, since etcd is started on all together. Mend SSH to ${names}, then run pulumi up again`,
    ];
  }
  const total = masters.find(({ members }) => members.length > 0)?.members.length ?? masters.length + missing.length;
  const quorum = Math.floor(total / 2) + 1;
  const answering = masters.filter(({ doesAnswer }) => doesAnswer).length + missing.filter(({ isAlive }) => isAlive).length;
  const hold = holdOf(found, undefined);
  const unsafe = masters.filter((master) => answering - (master.doesAnswer ? 1 : 0) < quorum && isRestarted(master, rows, authorities, hold));
  return unsafe.length === 0
    ? []
    : [
        `Cannot rotate without ${names}: ${answering} of ${total} members answer, so a restart of etcd on ${unsafe.map(({ name }) => name).join(", ")} would leave ${answering - 1}; expected a quorum of ${quorum} beside it. Nothing was changed. Bring ${names} back (systemctl status etcd there), or replace it (docs/operations.md), then run pulumi up again`,
      ];
}

/** Whether a rollout is going to restart etcd there: for a trust file that lacks an authority, or holds another one in retire. */
function isRestarted(master: FoundMaster, rows: readonly Row[], authorities: readonly string[] | undefined, heldBefore: Hold | undefined): boolean {
  const isStale = master.processes.etcd?.isStale === true;
  const trust = rows
    .filter((row) => row.kind === "trust" && row.reader === "etcd")
    .map((row) => (master.files[row.id]?.certificates ?? []).map(({ fingerprint }) => fingerprint));
  const lacks = trust.some((held) => authorities === undefined || !held.some((each) => authorities.includes(each)));
  const retires = heldBefore === undefined && trust.some((held) => held.length > 1);
  return isStale || lacks || retires;
}
