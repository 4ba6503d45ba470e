import { day } from "../../components/model/day.ts";
import { type Cell, columns } from "../columns.ts";
import type { Paint } from "../paint.ts";
import { type Outcome, stateOf } from "./outcome.ts";
import { toneOf } from "./table.ts";

/** A line per cluster, for many of them: its state, its rollout, and what is the first to end. */
export function describeOverview(outcomes: readonly Outcome[], paint: Paint): string[] {
  const header = ["stack", "state", "rollout", "rotation", "first to end", "days", "masters"].map((text) => ({
    text,
    style: (each: string) => paint("quiet", each),
  }));
  return [...columns([header, ...outcomes.map((outcome) => cellsOf(outcome, paint))]), "", countsOf(outcomes, paint)];
}

function cellsOf(outcome: Outcome, paint: Paint): Cell[] {
  const state = stateOf(outcome);
  const name = [{ text: outcome.stack }, { text: state, style: (text: string) => paint(toneOf(state), text) }];
  if ("problem" in outcome) {
    return [...name, { text: "-" }, { text: "-" }, { text: "-" }, { text: "-" }, { text: "-" }];
  }
  const { certificates, rollout, rotation, masters } = outcome.status;
  const first = certificates.filter((each) => each.state !== "other").toSorted((a, b) => a.notAfter - b.notAfter)[0];
  const reached = masters.filter((master) => master.state !== "unreachable").length;
  return [
    ...name,
    { text: rollout === undefined ? "-" : String(rollout), isRight: true },
    { text: rotation ?? "-" },
    { text: first === undefined ? "-" : day(first.notAfter) },
    { text: first === undefined ? "-" : String(first.daysLeft), isRight: true },
    { text: `${reached} of ${masters.length}` },
  ];
}

/** Such as `4 clusters: 3 ok, 1 due`. */
export function countsOf(outcomes: readonly Outcome[], paint: Paint): string {
  const counts = Object.entries(Object.groupBy(outcomes, stateOf)).map(([, group = []]) => {
    const [first] = group;
    return first === undefined ? "" : paint(toneOf(stateOf(first)), `${group.length} ${stateOf(first)}`);
  });
  return `${outcomes.length} clusters: ${counts.join(", ")}`;
}
