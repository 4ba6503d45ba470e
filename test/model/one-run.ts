import { type Accepts, refusedIn } from "../../components/model/exploration/refused.ts";
import { operationsOf, surveyed, type Ways } from "../../components/model/exploration/runs.ts";
import { apply, type World } from "../../components/model/exploration/world.ts";
import type { WantedPems } from "../../components/model/wanted.ts";

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
