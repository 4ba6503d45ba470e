import ical from "ical-generator";
import {
  type Appointment,
  describeAppointment,
  type Ending,
  forecast,
} from "../../components/model/forecast.ts";
import { day } from "../../components/model/text.ts";
import { wallTime } from "../../components/model/window.ts";
import { exitCodes } from "../command-error.ts";
import type { ForecastOptions } from "../commands.ts";
import { writeAtomically } from "../files.ts";
import { programOf, readProject } from "../project.ts";
import { settingsWithoutLogin } from "../stack-file.ts";
import { lookAtChosen, type Outcome } from "../status/look.ts";
import { columns, type Paint, painterFor, toned, writeJson } from "../terminal.ts";
import { unknownIn } from "./fleet.ts";

/** When which cluster has to be rotated, from what its masters have and the stack files say. @returns the exit code */
export async function fleetForecast(named: readonly string[], options: ForecastOptions): Promise<number> {
  const outcomes = await lookAtChosen(options, named, { isAgent: false });
  const project = readProject(options.cwd);
  const now = Date.now();
  const endings = outcomes.flatMap((outcome) => {
    if (!("status" in outcome)) {
      return [];
    }
    const { certificates, window } = settingsWithoutLogin(programOf(project, outcome.stack));
    return endingOf(outcome, window, certificates.renewBefore, now);
  });
  const appointments = forecast(endings, now);
  const unknown = unknownIn(outcomes);
  if (options.ics !== undefined) {
    writeAtomically(options.ics, calendarOf(appointments), 0o644);
  }
  if (options.json) {
    writeJson({ clusters: appointments.map(fieldsOf), unknown });
  } else {
    const lines = [...describe(appointments, painterFor(process.stdout)), ...unknown];
    process.stdout.write(`${lines.join("\n")}\n`);
  }
  return unknown.length === 0 ? exitCodes.done : exitCodes.usage;
}

/** @param renewBefore seconds */
export function endingOf(
  { stack, status }: Extract<Outcome, { readonly status: unknown }>,
  window: Ending["window"],
  renewBefore: number,
  now: number,
): Ending[] {
  const ends = status.certificates.flatMap(({ state, notAfter }) => (state === "other" ? [] : notAfter));
  if (ends.length === 0) {
    return [];
  }
  const endsAt = Math.min(...ends);
  // the stack file may ask for a rotation before any certificate is near its end
  const isLeftAlone = ["ok", "rotating", "unreachable"].includes(status.state);
  const dueAt = isLeftAlone ? endsAt - renewBefore * 1000 : now;
  return [{ stack, window, dueAt, endsAt }];
}

/** For a person. */
export function describe(appointments: readonly Appointment[], paint: Paint): string[] {
  const header = ["stack", "rotate", "first to end", "why then"].map((title) => toned(paint, "quiet", title));
  const rows = appointments.map((each) => [
    each.stack,
    each.window === undefined ? `${each.night} or later` : wallTime(each.at, each.window.timeZone),
    toned(paint, each.isLate ? "bad" : "plain", day(each.endsAt)),
    toned(paint, each.isLate || each.beside.length > 0 ? "warning" : "plain", describeAppointment(each)),
  ]);
  return columns([header, ...rows]);
}

/** For programs; times are ISO 8601 in UTC. */
export function fieldsOf({ stack, at, until, night, dueAt, endsAt, beside, isLate }: Appointment) {
  const iso = (time: number) => new Date(time).toISOString();
  return {
    stack,
    from: iso(at),
    to: until === undefined ? null : iso(until),
    night,
    dueAt: iso(dueAt),
    endsAt: iso(endsAt),
    beside,
    isLate,
  };
}

/** For a calendar program: the same cluster is the same event in the next file, so that it moves there. */
export function calendarOf(appointments: readonly Appointment[]): string {
  const calendar = ical({ name: "etcd certificates", prodId: "//etcd-rotation//forecast//EN" });
  for (const each of appointments) {
    calendar.createEvent({
      id: `etcd-rotation-${each.stack}`,
      start: new Date(each.at),
      ...(each.until === undefined ? { allDay: true } : { end: new Date(each.until) }),
      summary: `Rotate the etcd certificates of ${each.stack}`,
      description: `The first certificate ends on ${day(each.endsAt)}; ${describeAppointment(each)}. npx etcd-rotation pulumi up --stack ${each.stack}`,
    });
  }
  return calendar.toString();
}
