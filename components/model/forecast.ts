import { linesOf } from "./text.ts";
import { describeWindow, type Window, windowState } from "./window.ts";

/** A cluster with the days between which it has to be rotated. */
export interface Ending {
  readonly stack: string;
  /** when its rollouts may begin; undefined at any time */
  readonly window: Window | undefined;
  /** milliseconds since 1970: from then on an update renews by itself what ends first */
  readonly dueAt: number;
  /** milliseconds since 1970: the first certificate ends */
  readonly endsAt: number;
}

/** When to rotate a cluster. */
export interface Appointment extends Ending {
  /** milliseconds since 1970: its window opens, or any moment of that day where it has none */
  readonly at: number;
  /** milliseconds since 1970: its window closes; undefined where it has none */
  readonly until: number | undefined;
  /** the day on which its window opens there, as YYYY-MM-DD; UTC where it has none */
  readonly night: string;
  /** other clusters of the same night, for which there was no other */
  readonly beside: readonly string[];
  /** no window opens before the first certificate ends */
  readonly isLate: boolean;
}

type Opening = Pick<Appointment, "at" | "until" | "night">;

const day = 86_400_000;
const minute = 60_000;

/**
 * Each cluster in a window of its own after it is due and before its first certificate ends, as early as that goes; two in one night
 * only where there are more clusters than nights. In order of time.
 * @param now milliseconds since 1970
 */
export function forecast(endings: readonly Ending[], now: number): Appointment[] {
  // what ends first chooses first, and gives way only to one that has no other night
  const inOrder = endings.toSorted((a, b) => a.endsAt - b.endsAt);
  const openings = new Map(inOrder.map((each) => [each, openingsOf(each, now, endings.length)]));
  const taken = new Map<string, Ending>();
  for (const each of inOrder) {
    takeNight(each, openings, taken, new Set());
  }
  const chosen = inOrder.flatMap((each) => {
    const all = openings.get(each) ?? [];
    const opening =
      all.find(({ night }) => taken.get(night) === each) ??
      all[0] ??
      firstAfter(each, Math.max(now, each.dueAt));
    return opening === undefined ? [] : [{ ...each, ...opening, isLate: opening.at >= each.endsAt }];
  });
  return chosen
    .map((each) => ({
      ...each,
      beside: chosen
        .filter((other) => other.night === each.night && other.stack !== each.stack)
        .map(({ stack }) => stack),
    }))
    .toSorted((a, b) => a.at - b.at || a.endsAt - b.endsAt);
}

/** Gives a cluster its first night that is free, or that its holder can leave for another one. */
function takeNight(
  cluster: Ending,
  openings: ReadonlyMap<Ending, readonly Opening[]>,
  taken: Map<string, Ending>,
  tried: Set<string>,
): boolean {
  const nights = (openings.get(cluster) ?? []).map(({ night }) => night);
  const free = nights.find((night) => !taken.has(night));
  if (free !== undefined) {
    taken.set(free, cluster);
    return true;
  }
  for (const night of nights) {
    const holder = taken.get(night);
    if (holder === undefined || tried.has(night)) {
      continue;
    }
    tried.add(night);
    if (takeNight(holder, openings, taken, tried)) {
      taken.set(night, cluster);
      return true;
    }
  }
  return false;
}

/** The first openings while a cluster is due; with as many as there are clusters one of them is free. */
function openingsOf(ending: Ending, now: number, most: number): Opening[] {
  const found: Opening[] = [];
  let next = firstAfter(ending, Math.max(now, ending.dueAt));
  while (next !== undefined && next.at < ending.endsAt && found.length < most) {
    found.push(next);
    next = firstAfter(ending, next.until ?? next.at + day);
  }
  return found;
}

/** The window as it is open at that moment, or opens next; undefined when it opens not at all in two weeks. */
function firstAfter({ window }: Pick<Ending, "window">, moment: number): Opening | undefined {
  if (window === undefined) {
    return { at: moment, until: undefined, night: dayIn("UTC", moment) };
  }
  const { isOpen, opensAt } = windowState(window, moment);
  const at = isOpen ? moment : opensAt;
  if (at === undefined) {
    return undefined;
  }
  const { from, to, timeZone } = window;
  // one that is open already began earlier: the end is looked for, not reckoned
  let until = at;
  while (windowState(window, until).isOpen && until - at < 2 * day) {
    until += 15 * minute;
  }
  return { at, until, night: dayIn(timeZone, isOpen && to < from ? at - to * minute : at) };
}

function dayIn(timeZone: string, moment: number): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" }).format(moment);
}

/** Why that night, for a person. */
export function describeAppointment({ window, beside, isLate }: Appointment): string {
  return linesOf(
    window === undefined ? "at any time" : describeWindow(window),
    isLate && "no window opens before its first certificate ends",
    beside.length > 0 && `in one night with ${beside.join(", ")}`,
  ).join("; ");
}
