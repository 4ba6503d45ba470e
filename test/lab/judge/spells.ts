import type { EntryOf, Service, ServiceState } from "../traffic/entry.ts";
import type { History } from "./history.ts";

/** A time in which something surely held: it may have begun earlier and ended later, by one probe. */
export interface Spell {
  readonly master: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface Overlap {
  readonly from: number;
  readonly to: number;
  readonly spells: readonly Spell[];
}

/** The spells of every master in one of these states, in order of time. One failed probe is a spell of no length. */
export function spellsIn(
  history: History,
  service: Service,
  states: readonly ServiceState[],
): readonly Spell[] {
  const changes = history.states[service];
  const masters = [...new Set(changes.map(({ master }) => master))];
  return masters
    .flatMap((master) =>
      spellsOf(
        changes.filter((change) => change.master === master),
        states,
        history.last,
      ),
    )
    .sort((a, b) => a.from - b.from);
}

function spellsOf(
  changes: readonly EntryOf<"state">[],
  states: readonly ServiceState[],
  last: number,
): Spell[] {
  const spells: Spell[] = [];
  let entered: EntryOf<"state"> | undefined;
  for (const change of changes) {
    const inside = states.includes(change.state);
    if (inside) {
      entered ??= change;
    }
    if (!inside && entered !== undefined) {
      spells.push(spell(entered, change.lastBegin));
      entered = undefined;
    }
  }
  return entered === undefined ? spells : [...spells, spell(entered, last)];
}

function spell(entered: EntryOf<"state">, to: number): Spell {
  return { master: entered.master, from: entered.t, to: Math.max(entered.t, to), reason: entered.reason };
}

/** The times in which at least `count` of the spells hold at once, each as long as it can be. */
export function overlapsOf(spells: readonly Spell[], count: number): readonly Overlap[] {
  const moments = [...new Set(spells.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const overlaps: Overlap[] = [];
  for (const [index, from] of moments.entries()) {
    const to = moments[index + 1];
    if (to === undefined) {
      break;
    }
    const holding = spells.filter((spell) => spell.from <= from && spell.to >= to);
    if (holding.length < count) {
      continue;
    }
    const previous = overlaps.at(-1);
    if (previous?.to === from) {
      overlaps[overlaps.length - 1] = {
        from: previous.from,
        to,
        spells: [...new Set([...previous.spells, ...holding])],
      };
    } else {
      overlaps.push({ from, to, spells: holding });
    }
  }
  return overlaps;
}

export function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

/** The times in which fewer members were healthy than a quorum. */
export function leaderlessTimes(history: History): readonly Overlap[] {
  const members = history.masters.length;
  if (members === 0) {
    return [];
  }
  return overlapsOf(spellsIn(history, "etcd", ["down", "unhealthy"]), members - quorumOf(members) + 1);
}
