import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";

/** @throws CommandError when what the answer was given for is no more */
export function requireUnchanged(what: string, stack: string, isSame: boolean): void {
  if (!isSame) {
    throw new CommandError(
      `Cannot go back: the ${what} has changed since the preview; expected nobody else to work on "${stack}". Nothing was changed; look, then run this again`,
      { ending: "failed" },
    );
  }
}

/**
 * Brings the masters to what state and stack file say by now.
 * @param said.holds what they say
 * @param said.back the command that undoes this
 * @throws CommandError when `pulumi up` fails; says what holds then, and both ways out
 */
export async function deploy(engine: Engine, stack: string, { holds, back }: { readonly holds: string; readonly back: string }): Promise<void> {
  const code = await engine.show("up", "--stack", stack, "--yes", "--skip-preview");
  if (code !== 0) {
    throw new CommandError(
      [
        `Cannot finish: pulumi up has failed. ${holds}; masters may have either set, and serve with both.`,
        `  go on:   npx etcd-rotation pulumi up --stack ${stack}`,
        `  or back: ${back}`,
      ].join("\n"),
      { ending: "unfinished" },
    );
  }
}
