export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
type Weekday = (typeof weekdays)[number];

/** When a rollout may begin, by the wall clock of a time zone. */
export interface Window {
  /** on which the window opens; one over midnight closes on the day after */
  readonly days: readonly Weekday[];
  /** minutes since midnight; the first that is inside */
  readonly from: number;
  /** minutes since midnight, up to 1440; the first that is outside. Less than `from`: on the day after */
  readonly to: number;
  /** of the IANA database, such as `Asia/Shanghai` */
  readonly timeZone: string;
}

interface WindowState {
  readonly isOpen: boolean;
  /** milliseconds since 1970 of the first minute that is inside, when it is closed */
  readonly opensAt: number | undefined;
}

const minute = 60_000;
/** A weekly window whose one opening falls into a skipped hour opens a week later. */
const daysAhead = 15;

/**
 * Whether the window is open, and if not, when it opens.
 *
 * Each minute is judged by what the wall clock shows then: an hour that is skipped does not exist, so a window inside it
 * stays shut that day and one that begins in it opens at the hour's end; one that is repeated is inside both times.
 * @param now milliseconds since 1970
 */
export function windowState(window: Window, now: number): WindowState {
  const wallClock = wallClockOf(window.timeZone);
  const isInside = (time: number) => isInsideAt(window, wallClock(time));
  if (isInside(now)) {
    return { isOpen: true, opensAt: undefined };
  }
  const first = Math.floor(now / minute) + 1;
  for (let next = first; next <= first + daysAhead * 1440; next += 1) {
    if (isInside(next * minute)) {
      return { isOpen: false, opensAt: next * minute };
    }
  }
  return { isOpen: false, opensAt: undefined };
}

interface WallClock {
  /** index into `weekdays` */
  readonly day: number;
  readonly minutes: number;
}

function isInsideAt({ days, from, to }: Window, { day, minutes }: WallClock): boolean {
  const opensOn = (index: number) => days.some((each) => each === weekdays[index]);
  const [today, yesterday] = [opensOn(day), opensOn((day + 6) % 7)];
  return from < to
    ? today && minutes >= from && minutes < to
    : (today && minutes >= from) || (yesterday && minutes < to);
}

function wallClockOf(timeZone: string): (time: number) => WallClock {
  // the one form with a fixed width: "Mon 02:30"
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const names: readonly string[] = weekdays;
  return (time) => {
    const text = format.format(time);
    return {
      day: names.indexOf(text.slice(0, 3).toLowerCase()),
      minutes: Number(text.slice(-5, -3)) * 60 + Number(text.slice(-2)),
    };
  };
}

/** The variable that lets one command on one stack go ahead: it names the stack, so that one left in a shell opens no other cluster's window. */
export const ignoreWindowVariable = "ETCD_ROTATION_IGNORE_WINDOW";

/**
 * Why a rollout may not begin now; undefined inside the window.
 * @param now milliseconds since 1970
 */
export function windowRefusal(window: Window | undefined, now: number, stack: string): string | undefined {
  if (window === undefined) {
    return undefined;
  }
  const { isOpen, opensAt } = windowState(window, now);
  if (isOpen) {
    return undefined;
  }
  const opens =
    opensAt === undefined
      ? `which does not open within ${daysAhead} days`
      : `which opens next on ${wallTime(opensAt, window.timeZone)} (${wallTime(opensAt, "UTC")})`;
  return `Cannot begin a rollout of ${stack} now: it is ${wallTime(now, window.timeZone)}; expected a time inside the window ${describeWindow(window)}, ${opens}. Preview works at any time. To begin outside the window, for this command alone: ${ignoreWindowVariable}=${stack} npx etcd-rotation pulumi up --stack ${stack}`;
}

/** Such as `mon, tue 22:00 to 04:00 Asia/Shanghai`. */
export function describeWindow({ days, from, to, timeZone }: Window): string {
  return `${days.join(", ")} ${clock(from)} to ${clock(to)}${to < from ? " of the next day" : ""} ${timeZone}`;
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** Such as `Mon 2026-11-23 22:00 Asia/Shanghai`. */
export function wallTime(time: number, timeZone: string): string {
  const weekday = new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short" });
  // Swedish writes a date as ISO 8601 does
  const moment = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return `${weekday.format(time)} ${moment.format(time)} ${timeZone}`;
}
