import { type CertificateSet, isSameSet } from "./certificate-set.ts";
import { type Condition, conditionOf } from "./condition.ts";

/** A state as it was read, or why it could not be. */
export type ReadState = {
  /** of the backend's history; undefined for a file by itself */
  readonly number: number | undefined;
  readonly file: string;
  /** milliseconds since 1970 */
  readonly time: number;
  readonly result: string;
} & ({ readonly set: CertificateSet; readonly problem?: undefined } | { readonly set?: undefined; readonly problem: string });

/** One line of the list. */
export interface ListedState {
  readonly number: number | undefined;
  readonly file: string;
  /** ISO 8601 */
  readonly time: string;
  readonly result: string;
  readonly rollout: number | undefined;
  readonly rotation: string | undefined;
  /** SHA-256 of etcd's authority */
  readonly authority: string | undefined;
  /** ISO 8601, of the first certificate to end */
  readonly notAfter: string | undefined;
  readonly firstToEnd: string | undefined;
  readonly condition: Condition | "unreadable";
  /** whether the stack has these certificates now */
  readonly isPresent: boolean;
  readonly faults: readonly string[];
}

/**
 * The states that differ in their certificates, newest first. Of neighbours with the same ones the newest that ended well stands
 * for all.
 * @param states the oldest first
 */
export function listStates(states: readonly ReadState[], present: CertificateSet | undefined, now: number, renewBeforeSeconds: number): ListedState[] {
  const groups: ReadState[][] = [];
  for (const state of states) {
    const group = groups.at(-1);
    const last = group?.at(-1)?.set;
    if (group !== undefined && last !== undefined && state.set !== undefined && state.number !== undefined && isSameSet(last, state.set)) {
      group.push(state);
    } else {
      groups.push([state]);
    }
  }
  return groups
    .flatMap((group) => group.findLast(({ result }) => result === "succeeded") ?? group.at(-1) ?? [])
    .map((state) => describe(state, present, now, renewBeforeSeconds))
    .toReversed();
}

function describe(state: ReadState, present: CertificateSet | undefined, now: number, renewBeforeSeconds: number): ListedState {
  const { number, file, result, set } = state;
  return {
    number,
    file,
    time: new Date(state.time).toISOString(),
    result,
    rollout: set?.rollout,
    rotation: set?.rotation,
    authority: set?.authority,
    notAfter: set?.end === undefined ? undefined : new Date(set.end.notAfter).toISOString(),
    firstToEnd: set?.end?.name,
    condition: set === undefined ? "unreadable" : conditionOf(set, now, renewBeforeSeconds),
    isPresent: set !== undefined && present !== undefined && isSameSet(set, present),
    faults: set === undefined ? [state.problem] : set.faults,
  };
}
