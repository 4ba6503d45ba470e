import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { phases } from "../../components/model/plan.ts";
import {
  type KeptState,
  type RolloutReport,
  rolloutsIn,
  type StateStep,
  type Update,
} from "../../components/model/rollout-report.ts";
import { CommandError, messageOf } from "../command-error.ts";
import type { ReportOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { writeAtomically } from "../files.ts";
import { chooseStack, type Program } from "../project.ts";
import { certificateSetOf } from "../state/certificate-set.ts";
import { type Deployment, nameIn, parseDeployment } from "../state/deployment.ts";
import { type HistoryEntry, readHistory, readPresent, readStateFile } from "../state/history.ts";
import { writeJson } from "../terminal.ts";
import { pageOf } from "./html.ts";

/** Writes the record of a rollout beside the program: an HTML page, and the same as JSON. */
export async function report(named: string | undefined, options: ReportOptions): Promise<void> {
  const program = chooseStack(options.cwd, named);
  const { stack, folder } = program;
  const reports = rolloutsIn(stack, await keptStates(program, options.history));
  const chosen = choose(reports, stack, options.rollout);
  const base = join(folder, "reports", `${stack}-rollout-${chosen.rollout}`);
  mkdirSync(join(folder, "reports"), { recursive: true });
  writeAtomically(`${base}.json`, `${JSON.stringify(chosen, null, 2)}\n`, 0o644);
  writeAtomically(`${base}.html`, pageOf(chosen), 0o644);
  if (options.json) {
    writeJson(chosen);
  }
  const notices = chosen.later.flatMap(({ number, result }) =>
    result === "failed" ? `notice: update ${number}, after it, has failed before a step had ended\n` : [],
  );
  const out = options.json ? process.stderr : process.stdout;
  out.write(`Rollout ${chosen.rollout} of ${stack}: ${chosen.result}\n${base}.html\n${base}.json\n`);
  process.stderr.write(notices.join(""));
  if (options.open) {
    open(`${base}.html`);
  }
}

function choose(reports: readonly RolloutReport[], stack: string, wanted: number | undefined): RolloutReport {
  const known = [...new Set(reports.map(({ rollout }) => rollout))].join(", ");
  // of two with one number the first has failed before it made a backup
  const chosen = reports.findLast(({ rollout }) => wanted === undefined || rollout === wanted);
  if (chosen !== undefined) {
    return chosen;
  }
  if (known !== "") {
    throw CommandError.usage(`Cannot report rollout ${wanted} of ${stack}; expected one of ${known}`);
  }
  throw CommandError.failed(
    `Cannot report a rollout of ${stack}: no state of its history has a step that has ended; expected one after an up. What is on the masters: npx etcd-rotation status ${stack}`,
  );
}

/** What the history has, then the present state: only that one has the steps of a run that was killed. */
async function keptStates(program: Program, history: string | undefined): Promise<KeptState[]> {
  const engine = new Engine({ folder: program.folder });
  const copy = history === undefined ? undefined : resolve(history);
  const entries = await readHistory(engine, program, copy);
  const kept = entries.flatMap((entry) => {
    try {
      return stateOf(updateOf(entry), parseDeployment(readStateFile(entry.file), entry.file));
    } catch (error) {
      process.stderr.write(`notice: ${entry.number}: ${messageOf(error)}\n`);
      return [];
    }
  });
  const present = copy === undefined ? (await readPresent(engine, program)).deployment : undefined;
  return present === undefined ? kept : [...kept, stateOf({ result: "unfinished", changes: {} }, present)];
}

function updateOf({ number, time, result, started, changes = {} }: HistoryEntry): Update {
  const iso = (own: number) => new Date(own).toISOString();
  const begin = started === undefined ? {} : { started: iso(started) };
  return { number, ...begin, ended: iso(time), result, changes };
}

const stepType = "command:remote:Command";

/** Of a state only what is public: no input of a step, and of a certificate no more than its sum and its end. */
function stateOf(update: Update, deployment: Deployment): KeptState {
  const present = deployment.resources.filter((resource) => resource.delete !== true);
  const { certificates, rotation, cluster, rollout } = certificateSetOf(deployment);
  const made = new Map(present.map(({ urn, created = "" }) => [urn, Date.parse(created)]));
  const steps = present.flatMap(({ urn, type, outputs, dependencies = [] }): StateStep[] => {
    const [ended = 0, stdout, stderr] = [made.get(urn), outputs?.["stdout"], outputs?.["stderr"]];
    // with the name of a cluster before it, it is one of several in a stack
    const isStep = type === stepType && phases.some((phase) => nameIn(urn).startsWith(`${phase}-`));
    const after = dependencies.flatMap((each) => made.get(each) ?? []);
    return isStep && ended > 0 && typeof stdout === "string"
      ? [{ ended, after, stdout, stderr: typeof stderr === "string" ? stderr : "" }]
      : [];
  });
  return { update, steps, certificates, rotation, cluster, rollout, pending: deployment.pending };
}

function open(file: string): void {
  const openers: Partial<Record<NodeJS.Platform, string>> = { darwin: "open", win32: "explorer" };
  const opener = openers[process.platform] ?? "xdg-open";
  spawn(opener, [file], { stdio: "ignore", detached: true })
    .once("error", (error) => process.stderr.write(`notice: cannot open it: ${error.message}\n`))
    .unref();
}
