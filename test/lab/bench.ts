import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { phases } from "../../components/model/plan.ts";
import { startsOn } from "./facts.ts";
import { judge } from "./judge/judge.ts";
import { rolling } from "./judge/verdict.ts";
import { LabStack } from "./stack.ts";
import { readStatus } from "./status.ts";
import { runCli } from "./support/cli.ts";
import { followEvents, stepEventsIn, timesOf } from "./support/engine-events.ts";
import { type Figures, inAll, printResult, type Result, rowsOf } from "./support/figures.ts";
import { layDown, makeForeignSet, restartEtcd } from "./support/foreign.ts";
import { inside } from "./support/inside.ts";
import { until } from "./support/until.ts";
import { isServing } from "./support/well.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";
import type { TrafficRecord } from "./traffic/entry.ts";
import { readRecord, startTraffic } from "./traffic/record.ts";

const usage = `Usage: npm run bench [-- --json] [-- --runs N] [-- --two-restarts] [-- --one-step] [-- --no-probe] [-- --kubernetes | --expired]

Measures rotations of three masters in a fresh lab: wall time of preview, status and up, where up spends it by the engine's
event log, restarts per component, the longest gaps of etcd writes and API requests through the load balancer, and the size
of the state. --runs measures so many, and prints the median and in parentheses the least and the most.
--two-restarts adds as many without cross-certificates, --no-probe as many with probe: off, each in turn with the
others. --one-step adds, for comparison, the order of a plain script: new authority and leaves, master by master, one
restart, nothing that trusts both. --kubernetes renews Kubernetes' own certificates in the same rollout. --expired
measures a recovery instead: etcd's authority and leaves have expired, and no member has started; seconds from the
start of up until every member answers.
Needs npm run setup.
`;

/** By `performance.now()`, in milliseconds. */
interface Span {
  readonly from: number;
  readonly to: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      runs: { type: "string", default: "1" },
      "two-restarts": { type: "boolean", default: false },
      "one-step": { type: "boolean", default: false },
      "no-probe": { type: "boolean", default: false },
      kubernetes: { type: "boolean", default: false },
      expired: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  if (!/^[1-9]\d?$/.test(values.runs)) {
    throw new Error(`Cannot read --runs ${values.runs}; expected a number from 1 to 99`);
  }
  if (values.expired) {
    await measureRecovery(values.json);
    return;
  }
  // without it the CLI does not know --event-log
  process.env["PULUMI_DEBUG_COMMANDS"] = "true";
  const lab = await startLab({ name: "lab-bench" });
  const stack = await LabStack.create(lab, "bench-0");
  if (values.kubernetes) {
    stack.configure({ kubernetes: undefined });
  }
  try {
    // the take-over first: what is measured is the ordinary rotation
    mustPass(await stack.up());
    const measured = await measureInTurn(lab, stack, Number(values.runs), [
      { title: "", settings: {} },
      ...(values["no-probe"] ? [{ title: "With probe: off", settings: { probe: "off" } }] : []),
      ...(values["two-restarts"]
        ? [{ title: "Without cross-certificates: two restarts", settings: { crossCertificates: "never" } }]
        : []),
    ]);
    const stateKilobytes = Math.round(stack.state().length / 1000);
    const oneStep = values["one-step"] ? await measureOneStep(lab) : undefined;
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ measured, stateKilobytes, oneStep }, null, 2)}\n`);
      return;
    }
    for (const { title, figures } of measured) {
      process.stdout.write(title && `\n${title}\n`);
      printResult(figures);
    }
    process.stdout.write(rowsOf([["state", `${stateKilobytes} kB`]]));
    if (oneStep !== undefined) {
      process.stdout.write("\nA plain script, one step on each master, for comparison\n");
      printResult(inAll([oneStep]));
    }
  } finally {
    stack.remove();
    await stopLab(lab.name);
  }
}

interface Way {
  readonly title: string;
  readonly settings: { readonly probe?: string; readonly crossCertificates?: string };
}

/** `count` rotations in each way: in turn, so that a machine that becomes slower is so for all of them. */
async function measureInTurn(lab: Lab, stack: LabStack, count: number, ways: readonly Way[]) {
  const measured = ways.map((way) => ({ ...way, results: [] as Result[] }));
  for (let run = 1; run <= count; run++) {
    for (const [index, { settings, results }] of measured.entries()) {
      stack.configure({ probe: undefined, crossCertificates: undefined, ...settings });
      results.push(await measureRotation(lab, stack, `way-${index + 1}-${run}`));
    }
  }
  return measured.map(({ title, results }) => ({ title, figures: inAll(results) }));
}

async function measureRotation(lab: Lab, stack: LabStack, rotation: string): Promise<Result> {
  const steady = await timed(() => stack.preview());
  const status = await timed(async () => {
    const { code, stdout, stderr } = await runCli(stack, "status");
    // 1: something is due, as Kubernetes' own certificates are in the lab
    return { code: code === 1 ? 0 : code, output: `${stdout}${stderr}` };
  });
  stack.configure({
    rotation,
    ...(stack.settings["kubernetes"] === undefined ? { kubernetes: { rotation } } : {}),
  });
  const planned = await timed(() => stack.preview());
  const log = join(lab.folder, `${rotation}.events`);
  const { result, seconds } = await measureUnderTraffic(lab, async () => {
    const started = performance.now();
    const up = stack.startUp("--event-log", log);
    const events = await followEvents(log, up.done);
    mustPass(await up.done);
    const seconds = { ...timesOf(events, phases), "up, three masters": (performance.now() - started) / 1000 };
    // outside of these phases nothing changes on the masters, and what is slow is this machine's only disk
    const steps = stepEventsIn(events, ["trust", "issue", "settle", "retire"]);
    const [from, to] = [steps[0], steps.at(-1)].map((event) => started + (event?.at ?? 0) * 1000);
    return { seconds, changes: { from: from ?? 0, to: to ?? 0 } };
  });
  return {
    ...result,
    seconds: { "preview, steady": steady, status, "preview of a rotation": planned, ...seconds },
  };
}

/** What a script does that knows one step only: on each master in turn everything new, and a restart. */
async function measureOneStep(lab: Lab): Promise<Result> {
  const set = await makeForeignSet(lab, "one-step");
  const { result, seconds } = await measureUnderTraffic(lab, async () => {
    const started = performance.now();
    for (const master of lab.masters) {
      layDown(set, master, ["trust", "leaves"]);
      await restartEtcd([master]);
      await inside(master, "pkill -KILL -x 'kube-apiserver.*' || :");
    }
    await until("everything serves", () => isServing(lab));
    const to = performance.now();
    return {
      seconds: { "one step, three masters": (to - started) / 1000 },
      changes: { from: started, to },
    };
  });
  return { ...result, seconds };
}

/** Restarts are counted from systemd's journal and the pods' log files, not from what the steps say. */
async function measureUnderTraffic(
  lab: Lab,
  work: () => Promise<{ seconds: Figures; changes: Span }>,
): Promise<{ result: Omit<Result, "seconds">; seconds: Figures }> {
  const starts = () => Promise.all(lab.masters.map((master) => startsOn(lab, master)));
  const record = join(lab.folder, "bench.jsonl");
  const before = await starts();
  const traffic = await startTraffic(lab, record);
  const { seconds, changes } = await work();
  await traffic.stop();
  const after = await starts();
  const most = (component: "etcd" | "api") =>
    Math.max(...after.map((each, index) => each[component] - (before[index]?.[component] ?? 0)));
  const read = await readRecord(record);
  const { measures } = judge(read, rolling);
  rmSync(record);
  return {
    seconds,
    result: {
      restarts: { etcd: most("etcd"), "kube-apiserver": most("api") },
      milliseconds: {
        "longest etcd write gap": measures.longestWriteGapMilliseconds,
        "longest etcd write gap while masters change": longestWriteGapIn(read, changes),
        "longest API gap through the load balancer": measures.longestApiGapMilliseconds,
      },
      failures: {
        "failed etcd write rounds": measures.failedWriteRounds,
        "API requests that failed twice in a row": measures.apiDoubleFailures,
      },
    },
  };
}

/** Of the gaps that end within the span, in milliseconds. */
function longestWriteGapIn({ entries }: TrafficRecord, { from, to }: Span): number {
  const offset = performance.timeOrigin;
  const written = entries.flatMap((entry) =>
    entry.kind === "write" && entry.ok ? Date.parse(entry.wall) - offset : [],
  );
  return Math.max(
    ...written.map((at, index) => (at >= from && at <= to ? at - (written[index - 1] ?? from) : 0)),
  );
}

async function measureRecovery(isJson: boolean): Promise<void> {
  const lab = await startLab({ name: "lab-bench", expired: "all" });
  const stack = await LabStack.create(lab, "2026-11");
  try {
    const preview = await timed(() => stack.preview());
    const started = performance.now();
    const up = stack.startUp();
    await until("every member answers", async () =>
      (await readStatus(lab)).every(({ etcd }) => etcd === "healthy"),
    );
    const quorum = (performance.now() - started) / 1000;
    mustPass(await up.done);
    const whole = (performance.now() - started) / 1000;
    const seconds = {
      "preview of a recovery": preview,
      "up until quorum": quorum,
      "up, three masters": whole,
    };
    process.stdout.write(
      isJson
        ? `${JSON.stringify({ seconds }, null, 2)}\n`
        : rowsOf(Object.entries(seconds).map(([what, each]) => [what, `${each.toFixed(1)} s`])),
    );
  } finally {
    stack.remove();
    await stopLab(lab.name);
  }
}

async function timed(work: () => Promise<{ code: number; output: string }>): Promise<number> {
  const started = performance.now();
  mustPass(await work());
  return (performance.now() - started) / 1000;
}

function mustPass({ code, output }: { code: number; output: string }): void {
  if (code !== 0) {
    throw new Error(output);
  }
}

await main();
