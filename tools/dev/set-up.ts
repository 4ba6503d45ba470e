import { Progress } from "../engine/progress.ts";
import { engineParts, requireSource, setUpEngine } from "../engine/set-up-engine.ts";
import { SetupError } from "../engine/setup-error.ts";
import { requireLabMachine } from "./require-lab-machine.ts";
import { labParts, setUpLab } from "./set-up-lab.ts";

export interface SetupParts {
  readonly engine: boolean;
  readonly lab: boolean;
}

export function progressOf(parts: SetupParts): Progress {
  return new Progress((parts.engine ? engineParts : 0) + (parts.lab ? labParts : 0));
}

/**
 * The engine and the lab side by side: while one compiles, the other unpacks Debian.
 *
 * @throws SetupError before anything is made where this machine can be seen not to do.
 */
export async function setUp(parts: SetupParts, progress: Progress = progressOf(parts)): Promise<void> {
  if (parts.lab) {
    await requireLabMachine();
  }
  if (parts.engine) {
    await requireSource();
  }
  const ended = await Promise.allSettled([...(parts.engine ? [setUpEngine(progress)] : []), ...(parts.lab ? [setUpLab(progress)] : [])]);
  const failures: unknown[] = ended.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  const expected = failures.filter((failure) => failure instanceof SetupError);
  if (expected.length < failures.length) {
    throw failures.find((failure) => !(failure instanceof SetupError));
  }
  if (expected.length > 0) {
    throw new SetupError(expected.map(({ message }) => message).join("\n"));
  }
}
