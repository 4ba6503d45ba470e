import { messageOf } from "../command-error.ts";
import { inParallel } from "../in-parallel.ts";
import { type Project, programOf } from "../project.ts";
import { type LoginOverride, settingsFor } from "../stack-settings.ts";
import { lookAt } from "./look.ts";
import type { Outcome } from "./outcome.ts";

/** Clusters looked at side by side: each is one SSH connection to each of its masters. */
const clustersAtOnce = 8;

/** Looks at many clusters; a stack file that cannot be used is an outcome, and hides no other. */
export function lookAtAll(project: Project, stacks: readonly string[], login: LoginOverride): Promise<Outcome[]> {
  return inParallel(stacks, clustersAtOnce, async (stack): Promise<Outcome> => {
    try {
      return { stack, status: await lookAt(settingsFor(programOf(project, stack), login), project.project, stack) };
    } catch (error) {
      return { stack, problem: messageOf(error) };
    }
  });
}
