import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** A step of the engine, as its event log has it; `at` is in seconds since the log was followed, since the log itself knows whole seconds only. */
interface EngineEvent {
  readonly at: number;
  readonly kind: "begun" | "ended";
  readonly operation: string;
  readonly type: string;
  /** the last part of the URN */
  readonly name: string;
}

interface LoggedStep {
  readonly metadata: { readonly op: string; readonly urn: string; readonly type: string };
}

/** Reads the file of `--event-log` as it grows, until the run is done. */
export async function followEvents(file: string, done: Promise<unknown>): Promise<EngineEvent[]> {
  const started = performance.now();
  const events: EngineEvent[] = [];
  let isDone = false;
  void done.finally(() => {
    isDone = true;
  });
  // read on from where it was: the engine writes megabytes, and to read them again each time slows down what is measured
  const handle = openSync(file, "a+");
  for (let rest = "", isLast = false; !isLast; ) {
    isLast = isDone;
    const lines = `${rest}${readFileSync(handle, "utf8")}`.split("\n");
    rest = lines.pop() ?? "";
    const at = (performance.now() - started) / 1000;
    events.push(...lines.flatMap((line) => parseEvent(line, at)));
    await setTimeout(50);
  }
  closeSync(handle);
  return events;
}

function parseEvent(line: string, at: number): EngineEvent[] {
  const event: { resourcePreEvent?: LoggedStep; resOutputsEvent?: LoggedStep } = JSON.parse(line);
  const step = event.resourcePreEvent ?? event.resOutputsEvent;
  return step === undefined
    ? []
    : [
        {
          at,
          kind: event.resourcePreEvent === undefined ? "ended" : "begun",
          operation: step.metadata.op,
          type: step.metadata.type,
          name: step.metadata.urn.split("::").at(-1) ?? "",
        },
      ];
}

function isDelete({ operation }: EngineEvent): boolean {
  return operation.startsWith("delete") || operation === "discard-replaced";
}

function isMade(event: EngineEvent): boolean {
  return !isDelete(event) && event.operation !== "same";
}

/** Of the steps of these phases, without the deletion of earlier ones, which have the same names. */
export function stepEventsIn(events: readonly EngineEvent[], phases: readonly string[]): EngineEvent[] {
  return events.filter(
    (event) => isMade(event) && phases.some((phase) => event.name.startsWith(`${phase}-`)),
  );
}

/** Where the time of an update went, in seconds: from the first to the last sign of each kind of work. They may overlap. */
export function timesOf(events: readonly EngineEvent[], phases: readonly string[]): Record<string, number> {
  const span = (some: readonly EngineEvent[]) => (some.at(-1)?.at ?? 0) - (some[0]?.at ?? 0);
  const certificates = events.filter((event) => isMade(event) && event.type.startsWith("tls:"));
  return {
    "until the first certificate": certificates[0]?.at ?? 0,
    certificates: span(certificates),
    ...Object.fromEntries(phases.map((phase) => [phase, span(stepEventsIn(events, [phase]))])),
    deletes: span(events.filter(isDelete)),
  };
}
