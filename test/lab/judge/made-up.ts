import type { Entry, EntryOf, Service, ServiceState } from "../traffic/entry.ts";

const masters = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] as const;
const allUp = Object.fromEntries(masters.map((master) => [master, "up" as const]));

/** 60 rounds of everything, one each 100 ms from 100 ms on, and nothing wrong; ends at 6200 ms. */
export function goodHistory(): Entry[] {
  const rounds = Array.from({ length: 60 }, (_, round) => round);
  return [
    { kind: "start", t: 0, wall: wall(0), masters: [...masters], api: "https://10.0.0.100:6443" },
    ...masters.flatMap((master) => [
      change({ service: "etcd", master, from: "unknown", state: "up", begin: 1, lastBegin: 1, t: 5 }),
      change({ service: "api", master, from: "unknown", state: "up", begin: 1, lastBegin: 1, t: 5 }),
    ]),
    ...rounds.flatMap((round) => {
      const t = 100 * (round + 1);
      const beat: Entry[] =
        t % 1000 === 0 ? [{ kind: "beat", t, wall: wall(t), etcd: allUp, api: allUp }] : [];
      return [write(round), watch(round), apiRound("read", round), apiRound("write", round), ...beat];
    }),
    { kind: "end", t: 6200, wall: wall(6200), stopped: 6100 },
  ];
}

/** Round n writes number n + 1, at revision n + 11. */
export function write(round: number): EntryOf<"write"> {
  const t = 100 * (round + 1);
  const endpoint = "10.0.0.1";
  const attempts = [{ number: round + 1, endpoint, ms: 5, ok: true, revision: round + 11 }];
  return { kind: "write", t, wall: wall(t), round, ok: true, endpoint, failovers: 0, ms: 5, attempts };
}

export function failedWrite(round: number): EntryOf<"write"> {
  const attempts = masters.map((endpoint) => ({
    number: 1000 * round + 1,
    endpoint,
    ms: 1,
    ok: false,
    error: "refused",
  }));
  return { ...write(round), ok: false, endpoint: "10.0.0.3", failovers: 2, attempts };
}

export function watch(round: number): EntryOf<"watch"> {
  const t = 100 * (round + 1) + 1;
  return { kind: "watch", t, wall: wall(t), revision: round + 11, number: round + 1 };
}

export function apiRound(role: "read" | "write", round: number): EntryOf<"api"> {
  const t = 100 * (round + 1) + 2;
  return { kind: "api", t, wall: wall(t), role, round, ok: true, first: { ok: true, ms: 2, status: 200 } };
}

/** One state between two others, seen by probes: in it surely from `from` to `to`. */
export function spell(
  service: Service,
  master: string,
  state: ServiceState,
  from: number,
  to: number,
): Entry[] {
  return [
    change({ service, master, from: "up", state, begin: from - 1, lastBegin: from - 200, t: from }),
    change({ service, master, from: state, state: "up", begin: to + 200, lastBegin: to, t: to + 201 }),
  ];
}

function change(fields: Omit<EntryOf<"state">, "kind" | "wall" | "reason">): EntryOf<"state"> {
  return {
    kind: "state",
    wall: wall(fields.t),
    reason: fields.state === "up" ? "" : `${fields.state} here`,
    ...fields,
  };
}

/** Adds entries to a history, before its end. */
export function withEntries(history: readonly Entry[], added: readonly Entry[]): Entry[] {
  const [start, ...rest] = history;
  const end = rest.pop();
  if (start === undefined || end === undefined) {
    throw new Error("Cannot add entries: the history has no start and end");
  }
  return [start, ...[...rest, ...added].sort((a, b) => a.t - b.t), end];
}

/** Replaces entries; undefined takes one out. */
export function replacing(history: readonly Entry[], replace: (entry: Entry) => Entry | undefined): Entry[] {
  return history.flatMap((entry) => replace(entry) ?? []);
}

function wall(t: number): string {
  return new Date(Date.UTC(2026, 0, 1) + t).toISOString();
}
