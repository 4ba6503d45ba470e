import type { State } from "../../components/model/certificate-status.ts";
import { type Outcome, stateOf } from "../status/outcome.ts";

/** The clusters that `pulumi up` has something to do for, as the matrix of a CI: one job each. */
export function matrixOf(outcomes: readonly Outcome[]): { readonly include: { readonly stack: string; readonly state: State }[] } {
  const all = outcomes.map((outcome) => ({ stack: outcome.stack, state: stateOf(outcome) }));
  return { include: all.filter(({ state }) => state === "due" || state === "expired" || state === "drifted") };
}

/** Why clusters are in no matrix that nobody knows anything of. */
export function unknownIn(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => {
    if (stateOf(outcome) !== "unreachable") {
      return [];
    }
    const reasons = "problem" in outcome ? [outcome.problem] : outcome.status.findings.filter(({ state }) => state === "unreachable").map(({ what }) => what);
    return reasons.map((reason) => `${outcome.stack}: ${reason}`);
  });
}
