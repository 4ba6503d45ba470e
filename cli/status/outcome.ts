import type { State } from "../../components/model/certificate-status.ts";
import { type ClusterStatus, exitCodeOf, gravest } from "../../components/model/status.ts";

/** What became of looking at one cluster. */
export type Outcome =
  | { readonly stack: string; readonly status: ClusterStatus }
  /** not even its stack file could be used */
  | { readonly stack: string; readonly problem: string };

export function stateOf(outcome: Outcome): State {
  return "status" in outcome ? outcome.status.state : "unreachable";
}

/** The gravest of all clusters. */
export function exitCodeFor(outcomes: readonly Outcome[]): 0 | 1 | 2 | 3 {
  return exitCodeOf(gravest(outcomes.map(stateOf)));
}
