import type { Service } from "../traffic/entry.ts";
import { longestApiGap, longestWriteGap } from "./gaps.ts";
import type { History } from "./history.ts";
import { leaderlessTimes, spellsIn } from "./spells.ts";
import type { Measures, Outages } from "./verdict.ts";

/** The numbers of a run; they hold for an incomplete record as far as it goes. */
export function measuresOf(history: History): Measures {
  const requests = [...history.api.read, ...history.api.write];
  return {
    durationMilliseconds: Math.round(history.last),
    writeRounds: history.writes.length,
    failedWriteRounds: history.writes.filter(({ ok }) => !ok).length,
    failovers: sum(history.writes.map(({ failovers }) => failovers)),
    longestWriteGapMilliseconds: Math.round(longestWriteGap(history).milliseconds),
    apiRequests: requests.length,
    apiFirstTryFailures: requests.filter(({ first }) => !first.ok).length,
    apiDoubleFailures: requests.filter(({ ok }) => !ok).length,
    longestApiGapMilliseconds: Math.round(
      Math.max(longestApiGap(history, "read").milliseconds, longestApiGap(history, "write").milliseconds),
    ),
    watchEvents: history.events.length,
    watchErrors: history.watchErrors.length,
    leaderlessMilliseconds: Math.round(sum(leaderlessTimes(history).map(({ from, to }) => to - from))),
    outages: { etcd: outagesOf(history, "etcd"), api: outagesOf(history, "api") },
  };
}

function outagesOf(history: History, service: Service): Record<string, Outages> {
  const down = spellsIn(history, service, ["down"]);
  // One that answers between two failures, but is not well, is in the same outage.
  const spells = spellsIn(history, service, ["down", "unhealthy"]).filter((whole) =>
    down.some(({ master, from }) => master === whole.master && from >= whole.from && from <= whole.to),
  );
  return Object.fromEntries(
    history.masters.map((master) => {
      const own = spells.filter((spell) => spell.master === master);
      const longest = own.reduce((most, { from, to }) => Math.max(most, to - from), 0);
      return [master, { count: own.length, longestMilliseconds: Math.round(longest) }];
    }),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
