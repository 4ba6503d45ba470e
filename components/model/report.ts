import type { Attempt } from "./attempt.ts";
import { type PlannedStep, stepName } from "./plan.ts";

/** What the steps of a finished rollout said; public. */
export interface Report {
  readonly rollout: number;
  readonly attempt: string;
  /** by `<master> <role>`: the SHA-256 that is served, or used by the client, and the ISO day of its end */
  readonly served: Readonly<Record<string, string>>;
  /** who still holds an earlier certificate of a Kubernetes authority, until when, and what to run */
  readonly carriers: readonly string[];
  /** the three listings of the official page: path on a master and the certificate's end */
  readonly listings: readonly string[];
  /** the rollout has stopped before a phase */
  readonly isHeld: boolean;
  /** ISO day of the first certificate to end, over all masters */
  readonly expires: string;
}

/**
 * Reads the steps' standard outputs.
 * @throws Error when a step did not finish in this attempt: a wiring mistake must not make a rotation silently do nothing
 */
export function readReports(attempt: Attempt, planned: readonly PlannedStep[], stdouts: Readonly<Record<string, string>>): Report {
  const lines = planned.flatMap((step) => {
    const own = (stdouts[stepName(step)] ?? "").split("\n").filter((line) => line !== "");
    const wanted = `done ${attempt.id} ${step.phase} ${step.master}`;
    if (own.at(-1) !== wanted) {
      throw new Error(
        `Cannot finish rollout ${attempt.rollout}: ${stepName(step)} ended with "${own.at(-1) ?? ""}", expected "${wanted}"; the step did not run in this attempt. Run pulumi up again`,
      );
    }
    return own;
  });
  const served = lines.flatMap((line) => {
    const match = /^served (\S+ \S+) ([0-9a-f]{64}) (.+)$/.exec(line);
    return match?.[1] === undefined || match[2] === undefined || match[3] === undefined
      ? []
      : [{ what: match[1], fingerprint: match[2], end: isoDay(match[3]) }];
  });
  const ends = served.map(({ end }) => end).toSorted();
  return {
    rollout: attempt.rollout,
    attempt: attempt.id,
    served: Object.fromEntries(served.map(({ what, fingerprint, end }) => [what, `${fingerprint} until ${end}`])),
    isHeld: lines.some((line) => line.startsWith("held ")),
    carriers: lines.filter((line) => line.startsWith("carrier ")).map((line) => line.slice("carrier ".length)),
    listings: lines.filter((line) => line.startsWith("listing ")).map((line) => line.slice("listing ".length)),
    expires: ends[0] ?? "",
  };
}

/** `2076-11-10` of OpenSSL's `Nov 10 12:00:00 2076 GMT`. */
function isoDay(text: string): string {
  return new Date(Date.parse(text)).toISOString().slice(0, 10);
}

/**
 * The summary that a person reads at the end.
 * @param held what to say of a rollout that has stopped before a phase
 */
export function describeReport(report: Report, held: string): string[] {
  if (report.isHeld) {
    return [held];
  }
  return [
    ...report.listings.map((line) => {
      const [master = "", path = "", ...notAfter] = line.split(" ");
      return `${master} ${path} notAfter=${notAfter.join(" ")}`;
    }),
    ...(report.carriers.length === 0 ? [] : ["Earlier certificates of the Kubernetes authorities, same key, are still held by:", ...report.carriers]),
    "etcd CA and certs have successfully rotated!",
  ];
}
