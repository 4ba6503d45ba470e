import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Survey } from "../../../cli/rehearse/survey-file.ts";
import { type Phase, phases } from "../../../components/model/plan.ts";
import { judge } from "../judge/judge.ts";
import { type Measures, rolling } from "../judge/verdict.ts";
import { LabStack, type RunningUp } from "../stack.ts";
import { isHealthy, readStatus } from "../status.ts";
import { runCli } from "../support/cli.ts";
import { Dice } from "../support/dice.ts";
import { killTree } from "../support/process-tree.ts";
import { cancel } from "../support/struck-up.ts";
import { type Lab, startLab, stopLab } from "../topology.ts";
import { readRecord, startTraffic } from "../traffic/record.ts";
import { failuresOf, startClients } from "./clients.ts";
import { type Imitation, imitate, labFor, settingsFor } from "./imitate.ts";
import type { Rehearsal } from "./result.ts";

const labName = "rehearsal";
const wellWithinSeconds = 180;

interface RehearsalOptions {
  /** of the moment at which the engine is killed; undefined: it is not */
  readonly seed: string | undefined;
  /** says what is going on */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Starts a lab like the surveyed cluster, rolls out there what preview shows, and takes the lab down. */
export async function rehearsal(survey: Survey, options: RehearsalOptions): Promise<Rehearsal> {
  const { tell, signal } = options;
  const { stack, time } = survey;
  const notWell = survey.masters.filter(({ etcd, isApiReady }) => etcd !== "healthy" || !isApiReady);
  if (notWell.length > 0) {
    throw new Error(
      `Cannot rehearse ${stack}: ${notWell.map(({ name }) => name).join(", ")} ${notWell.length === 1 ? "was" : "were"} not well when surveyed, and a recovery is not imitated; expected etcd healthy and kube-apiserver ready on every master`,
    );
  }
  const { options: labOptions, otherwise } = labFor(survey, labName, Date.now());
  let imitation: Imitation = { files: new Map(), clients: [], otherwise: [] };
  tell(
    `a lab of ${labOptions.masters === 1 ? "one master" : `${labOptions.masters} masters`}, ${labOptions.layout}, etcd ${labOptions.etcd}, Kubernetes ${labOptions.kubernetes}`,
  );
  const lab = await startLab(labOptions, {
    signal,
    prepare: async (made) => {
      imitation = imitate(survey, made);
      await lay(made, imitation);
    },
  });
  // whoever interrupts has the lab removed while something waits for it
  const interrupted = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason)),
  );
  try {
    const ran = await Promise.race([run(survey, lab, imitation, options), interrupted]);
    const notImitated = [...otherwise, ...imitation.otherwise, ...ran.notImitated];
    return { ...ran, stack, surveyed: time, notImitated };
  } finally {
    await stopLab(labName);
  }
}

/** In place of the lab's own files of etcd. */
async function lay(lab: Lab, { files }: Imitation): Promise<void> {
  for (const { name } of lab.masters) {
    const pki = join(lab.folder, "pki", name);
    for (const own of ["etcd", "kubernetes/pki/etcd"]) {
      await rm(join(pki, own), { recursive: true });
      await mkdir(join(pki, own));
    }
    for (const own of ["crt", "key"]) {
      await rm(join(pki, `kubernetes/pki/apiserver-etcd-client.${own}`), { force: true });
    }
    for (const [path, { text, mode }] of files.get(name) ?? []) {
      const file = join(lab.folder, "masters", name, "config", path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      await chmod(file, mode);
    }
  }
}

type Ran = Omit<Rehearsal, "stack" | "surveyed">;

/** Of a rehearsal that ended before its rollout. */
function endedBefore(...findings: string[]): Ran {
  return { findings, notImitated: [], kill: null, measures: null, report: null };
}

async function run(
  survey: Survey,
  lab: Lab,
  { clients }: Imitation,
  options: RehearsalOptions,
): Promise<Ran> {
  const stack = await LabStack.create(lab, survey.settings.rotation, `rehearsal-of-${survey.stack}`);
  stack.settings = settingsFor(survey, lab);
  stack.configure({});
  try {
    const unwell = await untilWell(lab, stack, options.tell);
    if (unwell.length > 0) {
      return endedBefore(...unwell);
    }
    await startClients(lab, clients);
    const before = await failuresOf(lab, clients);
    options.tell("what preview shows:");
    const plan = await runCli(stack, "plan");
    process.stderr.write(plan.stdout);
    if (plan.code > 1) {
      return endedBefore(`refused: ${plan.stderr.trim()}`);
    }
    const rolled = await rollOut(stack, options);
    const after = await failuresOf(lab, clients);
    const cutOff = clients.flatMap(({ name }) => {
      const failed = after.get(name) ?? [];
      return failed.length === 0 || before.get(name)?.length !== 0
        ? []
        : [`${name}: what it has no longer works with etcd: ${failed.join("; ")}`];
    });
    const end = isHealthy(await readStatus(lab)) ? [] : ["a master is not well after the rollout"];
    const { stdout } = await runCli(stack, "report");
    return {
      findings: [...rolled.findings, ...cutOff, ...end],
      notImitated: clients.flatMap(({ name }) =>
        before.get(name)?.length === 0
          ? []
          : [`${name}: what it has does not work with etcd before the rollout either`],
      ),
      kill: rolled.kill,
      measures: rolled.measures,
      report: /^\/.*\.html$/m.exec(stdout)?.[0] ?? null,
    };
  } finally {
    stack.remove();
  }
}

/** Waits for masters that were well when surveyed; what they lack when started anew from the same files. */
async function untilWell(lab: Lab, stack: LabStack, tell: (line: string) => void): Promise<string[]> {
  tell("the masters start");
  const end = Date.now() + wellWithinSeconds * 1000;
  while (!isHealthy(await readStatus(lab))) {
    if (Date.now() > end) {
      const { stdout } = await runCli(stack, "status", "--json");
      const [cluster]: { masters: { name: string; etcd: string; isApiReady: boolean }[] }[] =
        JSON.parse(stdout).clusters;
      const words = (cluster?.masters ?? []).map(
        ({ name, etcd, isApiReady }) =>
          `${name}: etcd ${etcd}, kube-apiserver ${isApiReady ? "ready" : "not ready"}`,
      );
      return [
        `with the same files, started anew, not every master is well within ${wellWithinSeconds} s, as each was when surveyed: ${words.join("; ")}`,
      ];
    }
    await wait(1000);
  }
  return [];
}

interface RolledOut {
  readonly findings: readonly string[];
  readonly kill: Rehearsal["kill"];
  readonly measures: Measures;
}

/** `up` under traffic, killed once where there is a seed; what the engine and the judge say. */
async function rollOut(stack: LabStack, { seed, tell, signal }: RehearsalOptions): Promise<RolledOut> {
  tell("the rollout, under traffic");
  const file = join(stack.lab.folder, "rehearsal.jsonl");
  const traffic = await startTraffic(stack.lab, file);
  let moment: string | undefined;
  if (seed !== undefined) {
    moment = await kill(startUp(stack, signal), stack.lab, new Dice(seed));
    tell(`${moment}; one more update`);
    // without a lock to remove it fails, and that is all right
    await cancel(stack);
  }
  const { code, output } = await startUp(stack, signal).done;
  await traffic.stop();
  // of a master alone, etcd is away while it restarts
  const rules = { ...rolling, outageAllowed: stack.lab.masters.length < 3 };
  const { violations, measures } = judge(await readRecord(file), rules);
  // beside an API server that is starting on a machine that is killed and busy, a retry times out too
  const counted = violations.filter(({ rule }) => moment === undefined || rule !== "api-request");
  const [held = ""] = /Held before .*/.exec(output) ?? [];
  return {
    findings: [
      ...(code === 0 ? [] : [`the update failed:\n${output.trimEnd().split("\n").slice(-20).join("\n")}`]),
      ...(held === "" ? [] : [`held: ${held}`]),
      ...counted.map(({ what, evidence }) => `under traffic ${what}: ${evidence}`),
    ],
    kill: seed === undefined ? null : { seed, moment: moment ?? "" },
    measures,
  };
}

/** How long a step of each phase takes at the least, in milliseconds. */
const shortest: Readonly<Record<Phase, number>> = {
  ...{ backup: 150, trust: 12_000, issue: 500, settle: 200, retire: 12_000, verify: 600 },
};

/** An `up` that ends with the rehearsal. */
function startUp(stack: LabStack, signal: AbortSignal): RunningUp {
  const running = stack.startUp();
  signal.addEventListener("abort", () => {
    if (running.child.exitCode === null) {
      running.kill();
    }
  });
  return running;
}

/** Ends an `up` by SIGKILL, with all its plug-ins, after the begin of a step; in words, when. */
async function kill({ child, saw, done }: RunningUp, { masters }: Lab, dice: Dice): Promise<string> {
  const phase = dice.pick(phases);
  const { name } = dice.pick(masters);
  const milliseconds = dice.number(shortest[phase]);
  const begun = saw(new RegExp(`\\b${phase}-${name} (creating|replacing|updating)`)).then(() => true);
  const isBegun = await Promise.race([begun, done.then(() => false)]);
  await Promise.race([wait(milliseconds), done]);
  const isTooLate = !isBegun || child.exitCode !== null;
  if (child.pid !== undefined && !isTooLate) {
    killTree(child.pid);
  }
  await done;
  return `${milliseconds} ms after ${phase} on ${name} had begun${isTooLate ? ": too late, the update had ended" : ""}`;
}
