import type { ListedState } from "../state/listed-state.ts";
import { type Cell, table } from "../table.ts";

const styles = { valid: "green", due: "yellow", expired: "red", incomplete: "yellow", unreadable: "red" } as const;

/** The list for a person, in 80 columns. */
export function formatList(states: readonly ListedState[], stream: NodeJS.WriteStream): string {
  if (states.length === 0) {
    return "No earlier state: this stack has not been updated yet.\n";
  }
  const columns = [
    { title: "number", isNumber: true },
    { title: "time (UTC)" },
    { title: "rollout", isNumber: true },
    { title: "rotation", isFlexible: true },
    { title: "authority" },
    { title: "ends" },
    { title: "" },
  ];
  const rows = states.map((state): Cell[] => [
    { text: state.number === undefined ? "file" : String(state.number) },
    { text: state.time.slice(0, 16).replace("T", " ") },
    { text: String(state.rollout ?? "-") },
    { text: state.rotation ?? "-" },
    { text: state.authority?.slice(0, 8) ?? "-" },
    { text: state.notAfter?.slice(0, 10) ?? "-" },
    { text: `${state.condition}${state.isPresent ? " now" : ""}`, style: styles[state.condition] },
  ]);
  const notes = states
    .filter(({ number, faults }) => number === undefined || faults.length > 0)
    .map(({ number, file, faults }) => `${number ?? file}: ${faults.length === 0 ? "exported file" : faults.join(", ")}\n`);
  return `${table(columns, rows, 80, stream)}${notes.join("")}`;
}
