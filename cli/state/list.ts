import { CommandError } from "../command-error.ts";
import { columns, painterFor, toned } from "../terminal.ts";
import { type CertificateSet, type Condition, conditionOf, isSameSet } from "./certificate-set.ts";
import type { ReadState } from "./history.ts";

/** One line of the list. */
export interface ListedState
  extends Pick<ReadState, "number" | "file" | "result">,
    Pick<CertificateSet, "rollout" | "rotation" | "authority" | "faults"> {
  /** ISO 8601 */
  readonly time: string;
  /** ISO 8601, of the first certificate to end */
  readonly notAfter: string | undefined;
  readonly firstToEnd: string | undefined;
  readonly condition: Condition | "unreadable";
  /** whether the stack has these certificates now */
  readonly isPresent: boolean;
}

/**
 * The states that differ in their certificates, newest first. Of neighbours with the same ones the newest that ended well stands
 * for all.
 * @param states the oldest first
 */
export function listStates(
  states: readonly ReadState[],
  present: CertificateSet | undefined,
  now: number,
  renewBeforeSeconds: number,
): ListedState[] {
  const groups: ReadState[][] = [];
  for (const state of states) {
    const group = groups.at(-1) ?? [];
    const last = group.at(-1)?.set;
    const isRepeated = last !== undefined && state.set !== undefined && isSameSet(last, state.set);
    if (isRepeated && state.number !== undefined) {
      group.push(state);
    } else {
      groups.push([state]);
    }
  }
  return groups
    .flatMap((group) => group.findLast(({ result }) => result === "succeeded") ?? group.at(-1) ?? [])
    .map(({ number, file, time, result, set, problem }) => ({
      number,
      file,
      time: new Date(time).toISOString(),
      result,
      rollout: set?.rollout,
      rotation: set?.rotation,
      authority: set?.authority,
      notAfter: set?.end && new Date(set.end.notAfter).toISOString(),
      firstToEnd: set?.end?.name,
      condition: set === undefined ? ("unreadable" as const) : conditionOf(set, now, renewBeforeSeconds),
      isPresent: set !== undefined && present !== undefined && isSameSet(set, present),
      faults: set?.faults ?? [problem ?? ""],
    }))
    .toReversed();
}

const tones = {
  valid: "good",
  due: "warning",
  expired: "bad",
  incomplete: "warning",
  unreadable: "bad",
} as const;

/** The list for a person, in 80 columns. */
export function formatList(states: readonly ListedState[], stream: NodeJS.WriteStream): string {
  const paint = painterFor(stream);
  if (states.length === 0) {
    return "No earlier state: this stack has not been updated yet.\n";
  }
  const titles = ["number", "time (UTC)", "rollout", "rotation", "authority", "ends"];
  const header = titles.map((title) => toned(paint, "quiet", title));
  const rows = states.map((state) => [
    { text: String(state.number ?? "file"), isRight: true },
    state.time.slice(0, 16).replace("T", " "),
    { text: String(state.rollout ?? "-"), isRight: true },
    { text: state.rotation ?? "-", isFlexible: true },
    state.authority?.slice(0, 8) ?? "-",
    state.notAfter?.slice(0, 10) ?? "-",
    toned(paint, tones[state.condition], `${state.condition}${state.isPresent ? " now" : ""}`),
  ]);
  const notes = states
    .filter(({ number, faults }) => number === undefined || faults.length > 0)
    .map(({ number, file, faults }) => `${number ?? file}: ${faults.join(", ") || "exported file"}\n`);
  return `${columns([header, ...rows], 80).join("\n")}\n${notes.join("")}`;
}

/**
 * The state from before an update that has failed or was killed: the newest whole one that ended well.
 * @param states as the list has them, newest first
 * @throws CommandError when the present certificates are those of an update that ended well, or there is none to return to
 */
export function stateBeforeFailure(states: readonly ListedState[], stack: string): ListedState {
  if (states.some(({ isPresent, result }) => isPresent && result === "succeeded")) {
    throw CommandError.refused(
      `Cannot abort: the last update that changed certificates has ended well, or none were changed since; expected one that has failed. To finish what is left of it: npx etcd-rotation pulumi up --stack ${stack}. To go further back: npx etcd-rotation rollback ${stack} --list`,
    );
  }
  // one that has ended, or is due, is refused later, with the date and the ways out
  const before = states.find(
    ({ isPresent, result, faults }) => !isPresent && result === "succeeded" && faults.length === 0,
  );
  if (before === undefined) {
    throw CommandError.refused(
      `Cannot abort: no earlier state of stack "${stack}" is whole; expected one in the backend's history. The files from before the first rollout are in the masters' backups: npx etcd-rotation backups ${stack}`,
    );
  }
  return before;
}
