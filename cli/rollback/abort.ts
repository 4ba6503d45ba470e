import { CommandError } from "../command-error.ts";
import type { ListedState } from "../state/listed-state.ts";

/**
 * The state from before an update that has failed or was killed: the newest whole one that ended well.
 * @param states as the list has them, newest first
 * @throws CommandError when the present certificates are those of an update that ended well, or there is none to return to
 */
export function stateBeforeFailure(states: readonly ListedState[], stack: string): ListedState {
  if (states.some(({ isPresent, result }) => isPresent && result === "succeeded")) {
    throw new CommandError(
      `Cannot abort: the last update that changed certificates has ended well, or none were changed since; expected one that has failed. To finish what is left of it: npx etcd-rotation pulumi up --stack ${stack}. To go further back: npx etcd-rotation rollback ${stack} --list`,
      { ending: "refused" },
    );
  }
  // one that has ended, or is due, is refused later, with the date and the ways out
  const before = states.find(({ isPresent, result, faults }) => !isPresent && result === "succeeded" && faults.length === 0);
  if (before === undefined) {
    throw new CommandError(
      `Cannot abort: no earlier state of stack "${stack}" is whole; expected one in the backend's history. The files from before the first rollout are in the masters' backups: npx etcd-rotation backups ${stack}`,
      { ending: "refused" },
    );
  }
  return before;
}
