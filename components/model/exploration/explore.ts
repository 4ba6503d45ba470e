import type { WantedPems } from "../wanted.ts";
import { type Accepts, refusedIn } from "./refused.ts";
import { operationsOf, surveyed, type Ways, withOutStarted } from "./runs.ts";
import { apply, diskNameOf, nameOf, type Operation, putBack, type World } from "./world.ts";

export interface Explored {
  /** every connection that was refused in any state, sorted */
  readonly refused: readonly string[];
  /** how many different states of the disks were reached */
  readonly disks: number;
  /** how many runs were started */
  readonly starts: number;
  /** every state, those with equal disks taken together */
  readonly worlds: readonly World[];
}

/** More would mean that interrupted runs never come to an end. */
const limit = 20000;

/**
 * Walks every state that any number of interrupted runs towards `wanted` can reach: each run may end after any write or
 * restart, or put its step back there; the next one surveys what it finds, whichever master is out by then.
 * States with equal disks are taken together: a process may have loaded whatever it may have in any of them.
 * So more is checked than can happen, never less.
 */
export function explore(start: World, wanted: WantedPems, accepts: Accepts, ways: Ways = {}): Explored {
  const plans = new Map<string, readonly Operation[]>();
  const { missing, ...others } = ways;
  const dead = missing?.isAlive === false ? missing.name : undefined;
  const runFrom = (world: World, way: Ways) => {
    // whether a restart would be refused, or waits for settle, hangs on what has been loaded
    const isWell = way.missing === undefined && way.ill === undefined && world.out.length === 0;
    const key = isWell ? diskNameOf(world) : `${nameOf(world)} ill ${way.ill} without ${way.missing?.name}`;
    const operations = plans.get(key) ?? operationsOf(world, wanted, way);
    plans.set(key, operations);
    return operations;
  };
  const byDisk = new Map<string, World>();
  const refused = new Set<string>();
  /** names of the disks from which runs are still to be started; a Set, so that each waits once */
  const waiting = new Set<string>();
  /** goes on to the state after `operation`, and starts runs from there when there is anything new about it */
  const visit = (world: World, operation: Operation, isDead: boolean) => {
    const after = apply(world, operation);
    if (after === world) {
      return world;
    }
    if (isDead && operation.kind === "restart" && operation.component === "etcd") {
      refused.add(`etcd on ${operation.master} restarts while ${dead} is dead`);
    }
    const name = diskNameOf(after);
    const known = byDisk.get(name);
    if (known === undefined || !hasLoadedAllOf(known, after)) {
      const merged = known === undefined ? after : withLoadedOf(known, after);
      byDisk.set(name, merged);
      waiting.add(name);
      refusedIn(merged, accepts)
        // nobody waits for one that is dead, and a run that finds it back heals it
        .filter((each) => dead === undefined || !each.includes(dead))
        .forEach((each) => {
          refused.add(each);
        });
    }
    return after;
  };
  byDisk.set(diskNameOf(start), start);
  waiting.add(diskNameOf(start));
  let starts = 0;
  for (const name of waiting) {
    waiting.delete(name);
    starts += 1;
    const world = byDisk.get(name);
    if (world === undefined || starts > limit) {
      throw new Error(`Cannot come to an end after ${starts} runs`);
    }
    const possible: readonly Ways[] = [
      ...[undefined, ...start.masters.names].map((ill) => ({ ...others, ill })),
      ...(missing === undefined ? [] : [{ ...others, missing }]),
    ];
    const begins = possible.flatMap((way) =>
      (world.out.length === 0 ? [world] : [world, withOutStarted(world)]).map((begin) => ({ way, begin })),
    );
    for (const { way, begin } of begins) {
      const seen = surveyed(begin, accepts, way.ill);
      const operations = runFrom(seen, way);
      const isDead = way.missing?.isAlive === false;
      let [current, beforeStep] = [seen, seen];
      operations.forEach((operation, at) => {
        const previous = operations[at - 1];
        beforeStep =
          previous?.phase === operation.phase && previous.master === operation.master ? beforeStep : current;
        current = visit(current, operation, isDead);
        // a gate is at the end of a step; a step that ends earlier leaves what an interrupted one leaves
        const next = operations[at + 1];
        if (next?.phase !== operation.phase || next.master !== operation.master) {
          putBack(beforeStep, operations, at).reduce((before, each) => visit(before, each, isDead), current);
        }
      });
    }
  }
  return { refused: [...refused].sort(), disks: byDisk.size, starts, worlds: [...byDisk.values()] };
}

function hasLoadedAllOf(world: World, other: World): boolean {
  return Object.entries(other.loaded).every(([process, texts]) => {
    const known = world.loaded[process] ?? [];
    return texts === known || texts.every((text) => known.includes(text));
  });
}

function withLoadedOf(world: World, other: World): World {
  const loaded = Object.entries(world.loaded).map(([process, texts]): [string, string[]] => [
    process,
    [...new Set([...texts, ...(other.loaded[process] ?? [])])].sort(),
  ]);
  return { ...world, loaded: Object.fromEntries(loaded) };
}

/** What is refused on the way of one run that nothing interrupts. */
export function refusedDuring(world: World, wanted: WantedPems, accepts: Accepts, ways: Ways): string[] {
  let current = surveyed(world, accepts, ways.ill);
  const refused = operationsOf(current, wanted, ways).flatMap((operation) => {
    current = apply(current, operation);
    return refusedIn(current, accepts);
  });
  return [...new Set(refused)];
}

/** The masters after a run that nothing interrupts. */
export function finish(world: World, wanted: WantedPems, accepts: Accepts, ways: Ways = {}): World {
  const start = surveyed(world, accepts, ways.ill);
  return operationsOf(start, wanted, ways).reduce(apply, start);
}
