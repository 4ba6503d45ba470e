import type { Phase } from "../../../components/model/plan.ts";
import type { Lab, LabMaster } from "../topology.ts";
import { inside, tryInside } from "./inside.ts";
import { until } from "./until.ts";

/** The script that changes a master now, as its lock names it. */
export interface Holder {
  readonly pid: number;
  readonly owner: string;
  readonly phase: string;
  readonly attempt: string;
}

const state = "/var/lib/etcd-rotation";

/** Who holds the lock of a master; undefined when nobody does. */
export async function lockHolder(master: LabMaster): Promise<Holder | undefined> {
  const line = await inside(
    master,
    `[ ! -f ${state}/lock ] || flock -n ${state}/lock true || head -n 1 ${state}/lock`,
  );
  const [pid, owner, phase, attempt] = line.trim().split(" ");
  return owner === undefined || phase === undefined || attempt === undefined
    ? undefined
    : { pid: Number(pid), owner, phase, attempt };
}

/** Resolves when no script is at work on any of these masters. */
export async function untilIdle(masters: readonly LabMaster[]): Promise<void> {
  for (const master of masters) {
    await until(
      `${master.name} is not locked any more`,
      async () => (await lockHolder(master)) === undefined,
    );
  }
}

/** What a master's receipt says; empty without one. */
export async function readReceipt(master: LabMaster): Promise<Readonly<Record<string, string>>> {
  const text = await inside(master, `cat ${state}/receipt 2>/dev/null || true`);
  return Object.fromEntries(
    text
      .split("\n")
      .flatMap((line) =>
        line.includes("=") ? [[line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]] : [],
      ),
  );
}

/** The attempts that the masters know of, so that a new one can be told. */
export async function knownAttempts(lab: Lab): Promise<string[]> {
  const receipts = await Promise.all(lab.masters.map(readReceipt));
  return receipts.flatMap((receipt) => (receipt["attempt"] === undefined ? [] : [receipt["attempt"]]));
}

/** What happens on the master as soon as the moment has come; `report` only says so. */
export type Blow = "script" | "session" | "freeze" | "report";

export interface Moment {
  readonly phase: Phase;
  /** after the step's first sign of life */
  readonly delayMilliseconds: number;
  /** of earlier attempts */
  readonly notAttempts: readonly string[];
}

/** To sshd's process for this one connection: the script's parent. */
function signalSession(signal: "KILL" | "STOP"): string {
  return `
s=$(cat "/proc/$pid/stat") || exit 9
set -- \${s##*) }
[ "$(cat "/proc/$2/comm")" = sshd ] || { echo "parent of $pid is $(cat "/proc/$2/comm")" >&2; exit 1; }
kill -${signal} "$2"`;
}

const blows: Readonly<Record<Blow, string>> = {
  // the script and everything in its session, so its children too
  script: `
kill -STOP "$pid" || exit 9
members=''
for p in /proc/[0-9]*; do
  s=$(cat "$p/stat" 2>/dev/null) || continue
  set -- \${s##*) }
  [ "$4" != "$pid" ] || members="$members \${p#/proc/}"
done
[ -n "$members" ] || exit 9
kill -KILL $members`,
  session: signalSession("KILL"),
  freeze: signalSession("STOP"),
  report: ":",
};

/**
 * Waits in the master itself for a step of that phase, then for the delay, then strikes.
 * @returns false when the step had ended before the moment came
 */
export async function strikeAt(
  master: LabMaster,
  { phase, delayMilliseconds, notAttempts }: Moment,
  blow: Blow,
  signal?: AbortSignal,
): Promise<boolean> {
  const script = `
while :; do
  if read -r pid owner phase attempt since 2>/dev/null <${state}/lock && [ "$phase" = ${phase} ] && [ -d "/proc/$pid" ]; then
    case " ${notAttempts.join(" ")} " in *" $attempt "*) ;; *) break ;; esac
  fi
  sleep 0.03
done 2>/dev/null
sleep ${(delayMilliseconds / 1000).toFixed(3)}
[ -d "/proc/$pid" ] && ! flock -n ${state}/lock true || exit 9
${blows[blow]}
`;
  const { code, stderr } = await tryInside(master, script, 900, signal);
  if (code !== 0 && code !== 9) {
    throw new Error(`Cannot strike ${blow} on ${master.name} in ${phase}: exit code ${code}: ${stderr}`);
  }
  return code === 0;
}
