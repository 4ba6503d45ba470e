import type { Entry, EntryOf, Service, TrafficRecord } from "../traffic/entry.ts";

export type Write = EntryOf<"write">;
export type ApiRound = EntryOf<"api">;
export type ApiRole = ApiRound["role"];

/** A record sorted by what its entries are; nothing is judged here. */
export interface History {
  readonly entries: readonly Entry[];
  readonly starts: readonly EntryOf<"start">[];
  readonly ends: readonly EntryOf<"end">[];
  readonly masters: readonly string[];
  /** When the traffic was told to end, or the last entry of a record without an end. */
  readonly stopped: number;
  /** The time of the last entry. */
  readonly last: number;
  readonly writes: readonly Write[];
  /** By role, in order of their rounds: answers overtake each other. */
  readonly api: Readonly<Record<ApiRole, readonly ApiRound[]>>;
  readonly events: readonly EntryOf<"watch">[];
  readonly watchErrors: readonly EntryOf<"watch-error">[];
  readonly states: Readonly<Record<Service, readonly EntryOf<"state">[]>>;
  readonly beats: readonly EntryOf<"beat">[];
}

export function historyOf({ entries }: TrafficRecord): History {
  const starts = entries.filter((entry) => entry.kind === "start");
  const ends = entries.filter((entry) => entry.kind === "end");
  const api = entries.filter((entry) => entry.kind === "api").sort((a, b) => a.round - b.round);
  const states = entries.filter((entry) => entry.kind === "state");
  const last = entries.at(-1)?.t ?? 0;
  return {
    entries,
    starts,
    ends,
    masters: starts[0]?.masters ?? [],
    stopped: ends[0]?.stopped ?? last,
    last,
    writes: entries.filter((entry) => entry.kind === "write"),
    api: {
      read: api.filter(({ role }) => role === "read"),
      write: api.filter(({ role }) => role === "write"),
    },
    events: entries.filter((entry) => entry.kind === "watch"),
    watchErrors: entries.filter((entry) => entry.kind === "watch-error"),
    states: {
      etcd: states.filter(({ service }) => service === "etcd"),
      api: states.filter(({ service }) => service === "api"),
    },
    beats: entries.filter((entry) => entry.kind === "beat"),
  };
}
