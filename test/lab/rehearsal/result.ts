import type { Measures } from "../judge/verdict.ts";

/** What a rehearsal has shown. */
export interface Rehearsal {
  readonly stack: string;
  /** when the cluster was surveyed */
  readonly surveyed: string;
  /** in words; none means that it passed */
  readonly findings: readonly string[];
  /** in words: what of the cluster the lab is not like */
  readonly notImitated: readonly string[];
  /** when the engine was killed, and the seed of that moment; null when it was not to be */
  readonly kill: { readonly seed: string; readonly moment: string } | null;
  /** of the traffic; null when no rollout was run */
  readonly measures: Measures | null;
  /** the page of the rollout; null without one */
  readonly report: string | null;
}

/** For people. */
export function describe(result: Rehearsal): string {
  const { stack, surveyed, findings, notImitated, kill, measures, report } = result;
  const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
  return [
    `Rehearsal of ${stack}, as it was at ${surveyed}: ${findings.length === 0 ? "passed" : `found ${findings.length}`}`,
    ...findings.map((each) => `  found: ${each}`),
    ...(kill === null ? [] : [`  killed: ${kill.moment} (--seed ${kill.seed})`]),
    ...(measures === null
      ? []
      : [
          `  traffic: ${measures.writeRounds} writes to etcd, ${measures.failedWriteRounds} failed, longest gap ${seconds(measures.longestWriteGapMilliseconds)}; ${measures.apiRequests} API requests, ${measures.apiDoubleFailures} failed with their retry, longest gap ${seconds(measures.longestApiGapMilliseconds)}`,
        ]),
    ...notImitated.map((each) => `  could not be imitated: ${each}`),
    ...(report === null ? [] : [`  report: ${report}`]),
    "",
  ].join("\n");
}
