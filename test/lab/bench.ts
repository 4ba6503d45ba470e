import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startsOn } from "./facts.ts";
import { judge } from "./judge/judge.ts";
import { rolling } from "./judge/verdict.ts";
import { LabStack } from "./stack.ts";
import { readStatus } from "./status.ts";
import { runCli } from "./support/cli.ts";
import { until } from "./support/until.ts";
import { startLab, stopLab } from "./topology.ts";
import { readRecord, startTraffic } from "./traffic/record.ts";

const usage = `Usage: npm run bench [-- --json] [-- --kubernetes | --expired]

Measures one rotation of three masters in a fresh lab: wall time of preview, status and up, time per phase, restarts per
component, the longest gaps of etcd writes and API requests through the load balancer, and the size of the state.
--kubernetes renews Kubernetes' own certificates in the same rollout. --expired measures a recovery instead: etcd's authority
and leaves have expired, and no member has started; seconds from the start of up until every member answers. Needs npm run setup.
`;

const phases = ["backup", "trust", "issue", "settle", "retire", "verify"] as const;

interface Result {
  /** seconds */
  readonly seconds: Readonly<Record<string, number>>;
  /** most restarts of one component on one master */
  readonly restarts: Readonly<Record<string, number>>;
  /** milliseconds */
  readonly longestGap: { readonly etcdWrite: number; readonly api: number };
  readonly failedEtcdWrites: number;
  readonly apiRequestsThatFailedTwice: number;
  /** the engine writes all of it after each operation */
  readonly stateKilobytes: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      kubernetes: { type: "boolean", default: false },
      expired: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  if (values.expired) {
    await measureRecovery(values.json);
    return;
  }
  const lab = await startLab({ name: "lab-bench" });
  const stack = await LabStack.create(lab, "2026-11");
  if (values.kubernetes) {
    stack.configure({ kubernetes: undefined });
  }
  try {
    // adoption first: the measured rotation is the ordinary one
    mustPass(await stack.up());
    const steady = await timed(() => stack.preview());
    const looked = await timed(async () => {
      const { code, stdout, stderr } = await runCli(stack, "status");
      // 1: something is due, as Kubernetes' own certificates are in the lab
      return { code: code === 1 ? 0 : code, output: `${stdout}${stderr}` };
    });
    stack.configure({ rotation: "2026-12" });
    const planned = await timed(() => stack.preview());
    const record = join(lab.folder, "bench.jsonl");
    const before = await startsOnAll();
    const traffic = await startTraffic(lab, record);
    const up = stack.startUp();
    const times = await phaseTimes(up.output, up.done);
    mustPass(await up.done);
    await traffic.stop();
    const after = await startsOnAll();
    const most = (component: "etcd" | "api") => Math.max(...after.map((each, index) => each[component] - (before[index]?.[component] ?? 0)));
    const { measures } = judge(await readRecord(record), rolling);
    rmSync(record);
    report(values.json, {
      seconds: { "preview, steady": steady, "preview of a rotation": planned, status: looked, ...times },
      restarts: { etcd: most("etcd"), "kube-apiserver": most("api") },
      longestGap: { etcdWrite: measures.longestWriteGapMilliseconds, api: measures.longestApiGapMilliseconds },
      failedEtcdWrites: measures.failedWriteRounds,
      apiRequestsThatFailedTwice: measures.apiDoubleFailures,
      stateKilobytes: Math.round(stack.state().length / 1000),
    });
  } finally {
    stack.remove();
    await stopLab(lab.name);
  }

  /** Restarts are counted from systemd's journal and the pods' log files, not from what the steps say. */
  async function startsOnAll() {
    return Promise.all(lab.masters.map((master) => startsOn(lab, master)));
  }
}

async function measureRecovery(isJson: boolean): Promise<void> {
  const lab = await startLab({ name: "lab-bench", expired: "all" });
  const stack = await LabStack.create(lab, "2026-11");
  try {
    const preview = await timed(() => stack.preview());
    const started = performance.now();
    const up = stack.startUp();
    await until("every member answers", async () => (await readStatus(lab)).every(({ etcd }) => etcd === "healthy"));
    const quorum = round((performance.now() - started) / 1000);
    mustPass(await up.done);
    const whole = round((performance.now() - started) / 1000);
    const seconds = { "preview of a recovery": preview, "up until quorum": quorum, "up, three masters": whole };
    process.stdout.write(
      isJson ? `${JSON.stringify({ seconds }, null, 2)}\n` : rowsOf(Object.entries(seconds).map(([what, each]) => [what, `${each.toFixed(1)} s`])),
    );
  } finally {
    stack.remove();
    await stopLab(lab.name);
  }
}

/** Seconds from the first to the last sign of each phase, read from the CLI's own progress. */
async function phaseTimes(output: () => string, done: Promise<unknown>): Promise<Record<string, number>> {
  const started = performance.now();
  const first = new Map<string, number>();
  const last = new Map<string, number>();
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  while (!isDone) {
    const text = output();
    const now = (performance.now() - started) / 1000;
    for (const phase of phases) {
      if (!first.has(phase) && new RegExp(`${phase}-master-\\d+ (creating|replacing)`).test(text)) {
        first.set(phase, now);
      }
      const ended = text.match(new RegExp(`${phase}-master-\\d+ (created|replaced|created replacement)`, "g"))?.length ?? 0;
      if (!last.has(phase) && ended >= 3) {
        last.set(phase, now);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const total = (performance.now() - started) / 1000;
  return {
    ...Object.fromEntries(phases.map((phase) => [phase, round((last.get(phase) ?? total) - (first.get(phase) ?? 0))])),
    "up, three masters": round(total),
  };
}

async function timed(work: () => Promise<{ code: number; output: string }>): Promise<number> {
  const started = performance.now();
  mustPass(await work());
  return round((performance.now() - started) / 1000);
}

function mustPass({ code, output }: { code: number; output: string }): void {
  if (code !== 0) {
    throw new Error(output);
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

function report(isJson: boolean, result: Result): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const rows: [string, string][] = [
    ...Object.entries(result.seconds).map(([what, seconds]): [string, string] => [what, `${seconds.toFixed(1)} s`]),
    ...Object.entries(result.restarts).map(([what, count]): [string, string] => [`restarts of ${what}, at most on one master`, String(count)]),
    ["longest etcd write gap", `${result.longestGap.etcdWrite} ms`],
    ["longest API gap through the load balancer", `${result.longestGap.api} ms`],
    ["failed etcd writes", String(result.failedEtcdWrites)],
    ["API requests that failed twice in a row", String(result.apiRequestsThatFailedTwice)],
    ["state", `${result.stateKilobytes} kB`],
  ];
  process.stdout.write(rowsOf(rows));
}

function rowsOf(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([what, value]) => `${what.padEnd(46)} ${value.padStart(10)}\n`).join("");
}

await main();
