import type { WantedPems } from "../wanted.ts";
import { type Accepts, refusedIn } from "./refused.ts";
import { operationsOf, surveyed, type Ways, withOutStarted } from "./runs.ts";
import { apply, diskNameOf, nameOf, type Operation, putBack, type World } from "./world.ts";

interface Explored {
  /** every connection that was refused in any state, sorted */
  readonly refused: readonly string[];
  /** the state with one that takes the fewest operations; undefined where none is refused */
  readonly nearest: Nearest | undefined;
  /** how many different states of the disks were reached */
  readonly disks: number;
  /** there is no state beyond these, or none that is nearer than `nearest` */
  readonly isComplete: boolean;
  /** every state, those with equal disks taken together */
  readonly worlds: readonly World[];
}

interface Nearest {
  readonly refused: readonly string[];
  readonly taken: readonly Taken[];
}

/** An operation on the way to a state. */
export interface Taken {
  readonly operation: Operation;
  /** its run is not that of the operation before */
  readonly isFirst: boolean;
  /** the master whose member is out when the run begins */
  readonly ill: string | undefined;
}

/** When a walk ends before it has been everywhere: at the nearest refusal, and when it takes too long. */
export interface Limits {
  readonly isOver: () => boolean;
}

/** More would mean that interrupted runs never come to an end. */
const limit = 20000;

/** The way to a state, from its last operation back. */
interface Way {
  readonly operation: Operation;
  readonly run: Ways;
  readonly before: Way | undefined;
  readonly steps: number;
}

/** A run from one state of the disks, which it changes in the same way each time. */
interface Planned {
  readonly operations: readonly Operation[];
  /** by the last operation of a step: what puts that step back */
  readonly undone: Map<number, readonly Operation[]>;
}

interface Reached {
  readonly world: World;
  readonly way: Way | undefined;
}

/**
 * Walks every state that any number of interrupted runs towards `wanted` can reach: each run may end after any write or
 * restart, or put its step back there; the next one surveys what it finds, whichever master is out by then.
 * States with equal disks are taken together: a process may have loaded whatever it may have in any of them.
 * So more is checked than can happen, never less. Runs are started from the nearest states first.
 */
export function explore(
  start: World,
  wanted: WantedPems,
  accepts: Accepts,
  ways: Ways = {},
  limits?: Limits,
): Explored {
  const plans = new Map<string, Planned>();
  const dead = ways.missing?.isAlive === false ? ways.missing.name : undefined;
  const runFrom = (world: World, way: Ways) => {
    // whether a restart would be refused, or waits for settle, hangs on what has been loaded
    const isWell = way.missing === undefined && way.ill === undefined && world.out.length === 0;
    const key = isWell ? diskNameOf(world) : `${nameOf(world)} ill ${way.ill} without ${way.missing?.name}`;
    const planned: Planned = plans.get(key) ?? {
      operations: operationsOf(world, wanted, way),
      undone: new Map(),
    };
    plans.set(key, planned);
    return planned;
  };
  const byDisk = new Map<string, Reached>();
  const refused = new Set<string>();
  let nearest: { readonly refused: readonly string[]; readonly way: Way | undefined } | undefined;
  const note = (all: readonly string[], way: Way | undefined) => {
    for (const each of all) {
      refused.add(each);
    }
    if (all.length > 0 && (nearest === undefined || stepsTo(way) < stepsTo(nearest.way))) {
      nearest = { refused: all, way };
    }
  };
  /** names of the disks from which runs are still to be started, by the operations to them; each waits once */
  const waiting = new Map<string, number>();
  /** goes on to the state after `operation`, and starts runs from there when there is anything new about it */
  const visit = ({ world, way: before }: Reached, operation: Operation, run: Ways): Reached => {
    const after = apply(world, operation);
    if (after === world) {
      return { world, way: before };
    }
    const way = { operation, run, before, steps: stepsTo(before) + 1 };
    const isRestart = operation.kind === "restart" && operation.component === "etcd";
    if (isRestart && run.missing?.isAlive === false) {
      note([`etcd on ${operation.master} restarts while ${dead} is dead`], way);
    }
    const name = diskNameOf(after);
    const known = byDisk.get(name);
    const isNew = known === undefined || !hasLoadedAllOf(known.world, after);
    const isNearer = known !== undefined && way.steps < stepsTo(known.way);
    if (isNew || isNearer) {
      const merged = mergedWith(known, { world: after, way });
      byDisk.set(name, merged);
      waiting.set(name, stepsTo(merged.way));
      // nobody waits for one that is dead, and a run that finds it back heals it
      const all = refusedIn(after, accepts).filter((each) => dead === undefined || !each.includes(dead));
      note(all, way);
    }
    return { world: after, way };
  };
  byDisk.set(diskNameOf(start), { world: start, way: undefined });
  waiting.set(diskNameOf(start), 0);
  if (limits !== undefined) {
    note(refusedIn(start, accepts), undefined);
  }
  let starts = 0;
  let isComplete = true;
  while (waiting.size > 0) {
    const [name, steps] = nearestIn(waiting);
    if (limits !== undefined && nearest !== undefined && stepsTo(nearest.way) <= steps) {
      break;
    }
    if (limits?.isOver() === true) {
      isComplete = false;
      break;
    }
    waiting.delete(name);
    starts += 1;
    const reached = byDisk.get(name);
    if (reached === undefined || starts > limit) {
      throw new Error(`Cannot come to an end after ${starts} runs`);
    }
    const { world, way: wayThere } = reached;
    for (const { run, begin } of runsFrom(world, ways)) {
      const seen = surveyed(begin, accepts, run.ill);
      const { operations, undone } = runFrom(seen, run);
      let current: Reached = { world: seen, way: wayThere };
      let beforeStep = seen;
      operations.forEach((operation, at) => {
        const previous = operations[at - 1];
        beforeStep =
          previous?.phase === operation.phase && previous.master === operation.master
            ? beforeStep
            : current.world;
        current = visit(current, operation, run);
        // a gate is at the end of a step; a step that ends earlier leaves what an interrupted one leaves
        const next = operations[at + 1];
        if (next?.phase !== operation.phase || next.master !== operation.master) {
          const back = undone.get(at) ?? putBack(beforeStep, operations, at);
          undone.set(at, back);
          back.reduce((before, each) => visit(before, each, run), current);
        }
      });
    }
  }
  return {
    refused: [...refused].sort(),
    nearest: nearest === undefined ? undefined : { refused: nearest.refused, taken: takenOn(nearest.way) },
    ...{ disks: byDisk.size, isComplete },
    worlds: [...byDisk.values()].map(({ world }) => world),
  };
}

/** Two ways to equal disks: the shorter one, and whatever has been read on either. */
function mergedWith(known: Reached | undefined, other: Reached): Reached {
  return known === undefined
    ? other
    : {
        world: withLoadedOf(known.world, other.world),
        way: stepsTo(other.way) < stepsTo(known.way) ? other.way : known.way,
      };
}

function stepsTo(way: Way | undefined): number {
  return way?.steps ?? 0;
}

function takenOn(way: Way | undefined): Taken[] {
  const taken: Taken[] = [];
  for (let at = way; at !== undefined; at = at.before) {
    taken.unshift({ operation: at.operation, isFirst: at.run !== at.before?.run, ill: at.run.ill });
  }
  return taken;
}

function nearestIn(waiting: ReadonlyMap<string, number>): readonly [name: string, steps: number] {
  let best: readonly [string, number] = ["", Number.POSITIVE_INFINITY];
  for (const each of waiting) {
    best = each[1] < best[1] ? each : best;
  }
  return best;
}

/** Every way in which a run may begin there. */
function runsFrom(world: World, { missing, ...others }: Ways) {
  const possible: readonly Ways[] = [
    ...[undefined, ...world.masters.names].map((ill) => ({ ...others, ill })),
    ...(missing === undefined ? [] : [{ ...others, missing }]),
  ];
  return possible.flatMap((run) =>
    (world.out.length === 0 ? [world] : [world, withOutStarted(world)]).map((begin) => ({ run, begin })),
  );
}

function hasLoadedAllOf(world: World, other: World): boolean {
  return Object.keys(other.loaded).every((process) =>
    hasAllOf(world.loaded[process] ?? [], other.loaded[process] ?? []),
  );
}

function hasAllOf(known: readonly string[], texts: readonly string[]): boolean {
  return texts === known || texts.every((text) => known.includes(text));
}

function withLoadedOf(world: World, other: World): World {
  const loaded = Object.entries(world.loaded).map(([process, texts]): [string, readonly string[]] => {
    const more = other.loaded[process] ?? [];
    return [process, hasAllOf(texts, more) ? texts : [...new Set([...texts, ...more])].sort()];
  });
  return { ...world, loaded: Object.fromEntries(loaded) };
}
