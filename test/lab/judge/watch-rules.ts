import type { History } from "./history.ts";
import { runsOf } from "./runs.ts";
import type { Finding } from "./verdict.ts";

interface Acknowledged {
  readonly number: number;
  readonly revision: number | undefined;
  readonly t: number;
}

/** Every acknowledged write is seen once and in order; one that was not acknowledged may be seen, once. */
export function watchViolations(history: History): Finding[] {
  const acknowledged = history.writes.flatMap(({ t, attempts }) =>
    attempts.filter(({ ok }) => ok).map(({ number, revision }): Acknowledged => ({ number, revision, t })),
  );
  return [...lostEvents(history, acknowledged), ...repeatedOrMovedEvents(history, acknowledged)];
}

function lostEvents({ events }: History, acknowledged: readonly Acknowledged[]): Finding[] {
  const seen = new Set(events.map(({ number }) => number));
  return runsOf(acknowledged, ({ number }) => !seen.has(number)).map(({ first, last, count }) => ({
    rule: "watch-lost",
    at: first.t,
    what:
      count === 1
        ? "an acknowledged write was never seen by the watch"
        : `${count} acknowledged writes in a row were never seen by the watch`,
    evidence: count === 1 ? describe(first) : `from ${describe(first)} to ${describe(last)}`,
  }));
}

function repeatedOrMovedEvents({ events }: History, acknowledged: readonly Acknowledged[]): Finding[] {
  const findings: Finding[] = [];
  const certain = new Set(acknowledged.map(({ number }) => number));
  const revisions = new Map<number, number>();
  let newest = { number: 0, revision: 0 };
  for (const { t, number, revision } of events) {
    const before = revisions.get(number);
    revisions.set(number, revision);
    if (before !== undefined) {
      const evidence = `number ${number} at revision ${before} and again at revision ${revision}`;
      findings.push({
        rule: "watch-duplicate",
        at: t,
        what: "a write was seen more than once by the watch",
        evidence,
      });
      continue;
    }
    // A write without an answer may be applied late, so only its revision has an order.
    const overtaken = revision <= newest.revision || (certain.has(number) && number < newest.number);
    if (overtaken) {
      const evidence = `number ${number} at revision ${revision} after number ${newest.number} at revision ${newest.revision}`;
      findings.push({
        rule: "watch-order",
        at: t,
        what: "a write was seen out of order by the watch",
        evidence,
      });
      continue;
    }
    newest = { number: certain.has(number) ? number : newest.number, revision };
  }
  return findings;
}

function describe({ number, revision }: Acknowledged): string {
  return `number ${number} at revision ${revision ?? "unknown"}`;
}
