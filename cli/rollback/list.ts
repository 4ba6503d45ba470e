import { type Cell, columns } from "../columns.ts";
import { painterFor } from "../paint.ts";
import type { ListedState } from "../state/listed-state.ts";

const tones = { valid: "good", due: "warning", expired: "bad", incomplete: "warning", unreadable: "bad" } as const;

/** The list for a person, in 80 columns. */
export function formatList(states: readonly ListedState[], stream: NodeJS.WriteStream): string {
  const paint = painterFor(stream);
  if (states.length === 0) {
    return "No earlier state: this stack has not been updated yet.\n";
  }
  const header: Cell[] = ["number", "time (UTC)", "rollout", "rotation", "authority", "ends"].map((text) => ({ text, style: (each) => paint("quiet", each) }));
  const rows = states.map((state): Cell[] => [
    { text: state.number === undefined ? "file" : String(state.number), isRight: true },
    { text: state.time.slice(0, 16).replace("T", " ") },
    { text: String(state.rollout ?? "-"), isRight: true },
    { text: state.rotation ?? "-", isFlexible: true },
    { text: state.authority?.slice(0, 8) ?? "-" },
    { text: state.notAfter?.slice(0, 10) ?? "-" },
    { text: `${state.condition}${state.isPresent ? " now" : ""}`, style: (text) => paint(tones[state.condition], text) },
  ]);
  const notes = states
    .filter(({ number, faults }) => number === undefined || faults.length > 0)
    .map(({ number, file, faults }) => `${number ?? file}: ${faults.length === 0 ? "exported file" : faults.join(", ")}\n`);
  return `${columns([header, ...rows], 80).join("\n")}\n${notes.join("")}`;
}
