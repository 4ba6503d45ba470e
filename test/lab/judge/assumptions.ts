import type { Service } from "../traffic/entry.ts";
import type { History } from "./history.ts";
import type { Expectations, Finding } from "./verdict.ts";

/** What makes a record unusable as evidence; the other rules may rely on none of these. */
export function brokenAssumptions(history: History, expectations: Expectations): Finding[] {
  const frame = [...missingStart(history), ...missingEnd(history)];
  if (frame.length > 0) {
    return frame;
  }
  return [
    ...tooFewRounds(history, expectations),
    ...silences(history, expectations),
    ...foreignEvents(history),
  ];
}

function missingStart({ entries, starts }: History): Finding[] {
  if (starts.length === 1 && entries[0]?.kind === "start") {
    return [];
  }
  const evidence = `${starts.length} starts; the first entry is ${entries[0]?.kind ?? "missing"}`;
  return [unusable(0, "the record does not have one start, as its first entry", evidence)];
}

function missingEnd({ entries, ends, last }: History): Finding[] {
  if (ends.length === 1 && entries.at(-1)?.kind === "end") {
    return [];
  }
  const evidence = `${ends.length} ends; the last entry is ${entries.at(-1)?.kind ?? "missing"}`;
  return [unusable(last, "the record does not have one end, as its last entry", evidence)];
}

function tooFewRounds({ writes, api, last }: History, { minimumRounds }: Expectations): Finding[] {
  const rounds = {
    "etcd writer": writes.length,
    "API reader": api.read.length,
    "API writer": api.write.length,
  };
  return Object.entries(rounds)
    .filter(([, count]) => count < minimumRounds)
    .map(([name, count]) =>
      unusable(last, `too few rounds of the ${name}`, `${count} rounds; expected at least ${minimumRounds}`),
    );
}

function silences(history: History, expectations: Expectations): Finding[] {
  const whole = holes(
    history,
    expectations,
    history.beats.map(({ t }) => t),
    "the observer gave no heartbeat",
  );
  if (whole.length > 0) {
    return whole;
  }
  const services: readonly Service[] = ["etcd", "api"];
  return services.flatMap((service) =>
    history.masters.flatMap((master) => {
      const known = history.beats
        .filter((beat) => (beat[service][master] ?? "unknown") !== "unknown")
        .map(({ t }) => t);
      return holes(
        history,
        expectations,
        known,
        `the observer did not know the state of ${service} on ${master}`,
      );
    }),
  );
}

function holes(
  history: History,
  expectations: Expectations,
  beats: readonly number[],
  what: string,
): Finding[] {
  const moments = [0, ...beats, history.last];
  return moments.flatMap((from, index) => {
    const milliseconds = (moments[index + 1] ?? from) - from;
    if (milliseconds <= expectations.maximumSilenceMilliseconds) {
      return [];
    }
    return [
      unusable(
        from,
        what,
        `${Math.round(milliseconds)} ms; allowed are ${expectations.maximumSilenceMilliseconds} ms`,
      ),
    ];
  });
}

// Another writer of the same key would make lost and reordered writes look right.
function foreignEvents({ writes, events }: History): Finding[] {
  const written = new Set(writes.flatMap(({ attempts }) => attempts.map(({ number }) => number)));
  return events
    .filter(({ number }) => !written.has(number))
    .map(({ t, number, revision }) =>
      unusable(
        t,
        "the watch shows a number that this record did not write",
        `number ${number} at revision ${revision}`,
      ),
    );
}

function unusable(at: number, what: string, evidence: string): Finding {
  return { rule: "record", at, what, evidence };
}
