import type { Service, TrafficRecord } from "../traffic/entry.ts";
import { brokenAssumptions } from "./assumptions.ts";
import { type Gap, longestApiGap, longestWriteGap } from "./gaps.ts";
import { type ApiRole, type History, historyOf, type Write } from "./history.ts";
import { measuresOf } from "./measures.ts";
import { runsOf } from "./runs.ts";
import { leaderlessTimes, type Overlap, overlapsOf, type Spell, spellsIn } from "./spells.ts";
import type { Expectations, Finding, Rule, Verdict } from "./verdict.ts";
import { watchViolations } from "./watch-rules.ts";

const roles: readonly ApiRole[] = ["read", "write"];

/** Says what a recorded run broke; an unusable record is reported instead of any other verdict. Never throws. */
export function judge(record: TrafficRecord, expectations: Expectations): Verdict {
  const history = historyOf(record);
  const broken = brokenAssumptions(history, expectations);
  const findings = broken.length > 0 ? broken : brokenRules(history, expectations);
  const violations = findings
    .sort((a, b) => a.at - b.at)
    .map((finding) => ({ ...finding, wall: wallTime(history, finding.at) }));
  return { violations, measures: measuresOf(history) };
}

function brokenRules(history: History, expectations: Expectations): Finding[] {
  const always = [...watchViolations(history), ...gapViolations(history, expectations)];
  if (expectations.outageAllowed) {
    return [...always, ...stillAway(history)];
  }
  return [
    ...always,
    ...failedWrites(history),
    ...roles.flatMap((role) => failedRequests(history, role)),
    ...together(history, "etcd", "etcd-members", "etcd members"),
    ...together(history, "api", "api-servers", "API servers"),
    ...longerThanAnElection(
      // an election is noticed by every API server at once; what lasts longer is none
      overlapsOf(spellsIn(history, "api", ["down", "unhealthy"]), 2),
      "api-servers",
      "more than one of the API servers were not well at once",
      expectations,
    ),
    ...longerThanAnElection(
      leaderlessTimes(history),
      "quorum",
      "fewer etcd members were healthy than a quorum",
      expectations,
    ),
  ];
}

function failedWrites({ writes }: History): Finding[] {
  return runsOf(writes, ({ ok }) => !ok).map(({ first, last, count }) => ({
    rule: "etcd-write",
    at: first.t,
    what:
      count === 1
        ? "a write round failed on every endpoint"
        : `${count} write rounds in a row failed on every endpoint`,
    evidence: `rounds ${first.round} to ${last.round}; first ${writeErrors(first)}`,
  }));
}

function writeErrors({ attempts }: Write): string {
  return attempts.map(({ endpoint, error }) => `${endpoint}: ${error ?? "no reason"}`).join("; ");
}

function failedRequests({ api }: History, role: ApiRole): Finding[] {
  return runsOf(api[role], ({ ok }) => !ok).map(({ first, last, count }) => ({
    rule: "api-request",
    at: first.t,
    what:
      count === 1
        ? `an API ${role} failed, and so did its retry`
        : `${count} API ${role}s in a row failed, and so did their retries`,
    evidence: `rounds ${first.round} to ${last.round}; first ${first.first.error ?? "no reason"}; retry ${first.retry?.error ?? "no reason"}`,
  }));
}

function together(history: History, service: Service, rule: Rule, name: string): Finding[] {
  return overlapsOf(spellsIn(history, service, ["down"]), 2).map(({ from, to, spells }) => ({
    rule,
    at: from,
    what: `more than one of the ${name} were down at once`,
    evidence: `for at least ${Math.round(to - from)} ms: ${spells.map(describe).join("; ")}`,
  }));
}

function longerThanAnElection(
  overlaps: readonly Overlap[],
  rule: Rule,
  what: string,
  { electionMilliseconds }: Expectations,
): Finding[] {
  return overlaps
    .filter(({ from, to }) => to - from > electionMilliseconds)
    .map(({ from, to, spells }) => ({
      rule,
      at: from,
      what: `${what}, for longer than an election takes`,
      evidence: `for at least ${Math.round(to - from)} ms; allowed are ${electionMilliseconds} ms: ${spells.map(describe).join("; ")}`,
    }));
}

function describe({ master, from, to, reason }: Spell): string {
  return `${master} from ${Math.round(from)} to ${Math.round(to)} ms (${reason || "no reason"})`;
}

function gapViolations(history: History, expectations: Expectations): Finding[] {
  return [
    ...tooLong(
      "etcd-gap",
      longestWriteGap(history),
      expectations.maximumWriteGapMilliseconds,
      "no write was acknowledged for too long",
    ),
    ...roles.flatMap((role) =>
      tooLong(
        "api-gap",
        longestApiGap(history, role),
        expectations.maximumApiGapMilliseconds,
        `no API ${role} was answered for too long`,
      ),
    ),
  ];
}

function tooLong(
  rule: Rule,
  { from, milliseconds }: Gap,
  allowed: number | undefined,
  what: string,
): Finding[] {
  if (allowed === undefined || milliseconds <= allowed) {
    return [];
  }
  return [{ rule, at: from, what, evidence: `${Math.round(milliseconds)} ms; allowed are ${allowed} ms` }];
}

/** After an outage that was wanted, the last round of each kind shows that the cluster is back. */
function stillAway(history: History): Finding[] {
  const write = history.writes.at(-1);
  const lastRounds = [
    { rule: "etcd-write" as const, round: write, error: write && writeErrors(write) },
    ...roles.map((role) => {
      const round = history.api[role].at(-1);
      return { rule: "api-request" as const, round, error: round?.retry?.error ?? round?.first.error };
    }),
  ];
  return lastRounds.flatMap(({ rule, round, error }) => {
    if (round === undefined || round.ok) {
      return [];
    }
    return [
      {
        rule,
        at: round.t,
        what: "the last round failed: the cluster did not come back",
        evidence: `round ${round.round}; ${error ?? "no reason"}`,
      },
    ];
  });
}

function wallTime({ starts: [start] }: History, at: number): string {
  const begin = start === undefined ? Number.NaN : Date.parse(start.wall);
  const moment = new Date(begin + at);
  return Number.isNaN(moment.getTime()) ? "" : moment.toISOString();
}
