import { inParallel } from "../in-parallel.ts";
import { type LoginOverride, type Project, readStackFile } from "../stack-file.ts";
import { lookAt } from "./look.ts";
import type { Outcome } from "./outcome.ts";

/** Clusters looked at side by side: each is one SSH connection to each of its masters. */
const clustersAtOnce = 8;

/** Looks at many clusters; a stack file that cannot be used is an outcome, and hides no other. */
export function lookAtAll(project: Project, stacks: readonly string[], login: LoginOverride): Promise<Outcome[]> {
  return inParallel(stacks, clustersAtOnce, async (stack): Promise<Outcome> => {
    try {
      return { stack, status: await lookAt(readStackFile(project, stack, login), project.name, stack) };
    } catch (error) {
      return { stack, problem: error instanceof Error ? error.message : String(error) };
    }
  });
}
