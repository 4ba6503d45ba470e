import type { Client } from "./clients.ts";
import { certificatesAt, type Found, type FoundMaster } from "./found.ts";
import type { Row } from "./layout/rows.ts";
import { isTogether, type Phase, phases, type RolloutPlan } from "./plan.ts";
import { linesOf } from "./text.ts";

/** A phase before which a rollout may stop: until then the cluster serves well, and nobody is refused. */
export const holds = ["issue", "retire"] as const;
export type Hold = (typeof holds)[number];

/** The masters that were looked at, and what they say of those that could not be; those that are still to join stand apart. */
export function foundOf(
  looked: readonly FoundMaster[],
  all: readonly { readonly name: string; readonly address: string; readonly joining?: boolean }[],
): Found {
  const isJoining = (name: string) => all.some((each) => each.name === name && each.joining === true);
  const masters = looked.filter(({ name }) => !isJoining(name));
  const joining = looked.filter(({ name }) => isJoining(name));
  const missing = all
    .filter(({ name }) => !isJoining(name) && masters.every((master) => master.name !== name))
    .map(({ name, address }) => ({
      name,
      isAlive: masters.some(({ reaches }) => reaches.includes(address)),
    }));
  return {
    masters,
    ...(missing.length === 0 ? {} : { missing }),
    ...(joining.length === 0 ? {} : { joining }),
  };
}

/**
 * Where the rollout stops. A member that serves and cannot be given its trust files would refuse the new leaves, so issue waits for it;
 * one that is dead or is still to join refuses nobody, so only retire does, as it does for a client that it would cut off.
 */
export function holdOf(
  { missing = [], joining = [] }: Found,
  asked: Hold | undefined,
  clients: readonly Client[],
): Hold | undefined {
  if (asked === "issue" || missing.some(({ isAlive }) => isAlive)) {
    return "issue";
  }
  return missing.length + joining.length > 0 || clients.some(({ isCutOff }) => isCutOff) ? "retire" : asked;
}

/** Whether a phase waits. */
export function isHeldAt(phase: Phase, heldBefore: Hold | undefined): boolean {
  return heldBefore !== undefined && phases.indexOf(phase) >= phases.indexOf(heldBefore);
}

/** The masters whose members are dead: nothing waits for them, and the quorum counts them. */
export function deadIn({ missing = [] }: Found): string[] {
  return missing.flatMap(({ name, isAlive }) => (isAlive ? [] : name));
}

/** What has to come true before a held rollout goes on, in words; none where the stack file alone holds it. A client holds up retire alone. */
export function obstaclesOf(
  { missing = [], joining = [] }: Found,
  heldBefore: Hold,
  clients: readonly Client[],
): string[] {
  const named = (isAlive: boolean) =>
    missing.flatMap((each) => (each.isAlive === isAlive ? each.name : [])).join(", ");
  const [alive, dead] = [named(true), named(false)];
  return linesOf(
    alive !== "" && `${alive} can be reached over SSH (its etcd serves, and would refuse the new leaves)`,
    dead !== "" && `${dead} is back (it cannot be reached over SSH, and its etcd does not answer)`,
    ...joining.map(({ name }) => `${name} has joined and masters[${name}].joining is removed`),
    ...clients.flatMap(({ name, isCutOff }) =>
      isCutOff && heldBefore === "retire"
        ? `${name} has the files of the new authority, or clients.ignore lists it`
        : [],
    ),
  );
}

/**
 * Why a rollout may not begin without the masters that cannot be reached or are still to join; empty when there are none.
 * @param authorities fingerprints of those that the state asks for; undefined when new ones are going to be made
 */
export function missingRefusals(
  found: Found,
  rows: readonly Row[],
  plan: RolloutPlan,
  authorities: readonly string[] | undefined,
): string[] {
  const { masters, missing = [], joining = [] } = found;
  const names = [...missing, ...joining].map(({ name }) => name).join(", ");
  if (names === "") {
    return [];
  }
  if (plan.mode === "recovery" && missing.length > 0) {
    return [
      `Cannot recover without ${names}: ${plan.causes.join("; ")}; expected every master to be reachable, since all that is out is started together. Restore SSH access to ${names}, then run pulumi up again`,
    ];
  }
  if (isTogether(plan)) {
    return [];
  }
  const total =
    masters.find(({ members }) => members.length > 0)?.members.length ?? masters.length + missing.length;
  const quorum = Math.floor(total / 2) + 1;
  const answering =
    masters.filter(({ doesAnswer }) => doesAnswer).length + missing.filter(({ isAlive }) => isAlive).length;
  const unsafe = masters.filter(
    (master) => answering - (master.doesAnswer ? 1 : 0) < quorum && isRestarted(master, rows, authorities),
  );
  return unsafe.length === 0
    ? []
    : [
        `Cannot rotate without ${names}: ${answering} of ${total} members answer, so a restart of etcd on ${unsafe.map(({ name }) => name).join(", ")} would leave ${answering - 1}; expected a quorum of ${quorum} beside it. Nothing was changed. ${missing.length === 0 ? `First let ${names} join with the certificates that the others have` : `Bring ${names} back (systemctl status etcd there), or replace it`} (docs/masters.md), then run pulumi up again`,
      ];
}

/** Whether a rollout is going to restart etcd there before it is held: for its files, or for a trust file that lacks an authority. */
function isRestarted(
  master: FoundMaster,
  rows: readonly Row[],
  authorities: readonly string[] | undefined,
): boolean {
  const trust = rows.filter((row) => row.kind === "trust" && row.reader === "etcd");
  const held = trust.map((row) => certificatesAt(master, row).map(({ fingerprint }) => fingerprint));
  return (
    master.processes.etcd?.isStale === true ||
    authorities === undefined ||
    held.some((own) => !own.some((each) => authorities.includes(each)))
  );
}
