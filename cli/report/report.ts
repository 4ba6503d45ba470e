import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { iso, type StateStep } from "../../components/model/ended-steps.ts";
import { phases } from "../../components/model/plan.ts";
import {
  type KeptState,
  type RolloutReport,
  rolloutsIn,
  type Update,
} from "../../components/model/rollout-report.ts";
import { messageOf } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import type { ReportOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { writeAtomically } from "../files.ts";
import { chooseStack, type Program } from "../project.ts";
import { certificateSetOf } from "../state/certificate-set.ts";
import { clustersIn, type Deployment, nameIn, parseDeployment } from "../state/deployment.ts";
import { type HistoryEntry, readHistory, readPresent, readStateFile } from "../state/history.ts";
import { writeJson } from "../terminal.ts";
import { pageOf } from "./html.ts";

/** Writes the record of a rollout beside the program: an HTML page, and the same as JSON. */
export async function report(named: string | undefined, options: ReportOptions): Promise<void> {
  const program = chooseStack(options.cwd, named);
  const { stack, folder } = program;
  const kept = await keptStates(program, options.history);
  // a state has them in the order in which they happened to be made
  const byName = [...kept].toSorted(([one], [other]) => one.localeCompare(other));
  const clusters = byName.map(([cluster, states]) =>
    rolloutsIn(cluster === "" ? stack : `${stack}/${cluster}`, states),
  );
  const chosen = choose(clusters, stack, options.rollout);
  mkdirSync(join(folder, "reports"), { recursive: true });
  const out = options.json ? process.stderr : process.stdout;
  for (const each of chosen) {
    const base = join(folder, "reports", `${each.stack.replace("/", "-")}-rollout-${each.rollout}`);
    writeAtomically(`${base}.json`, `${JSON.stringify(each, null, 2)}\n`, 0o644);
    writeAtomically(`${base}.html`, pageOf(each), 0o644);
    out.write(`Rollout ${each.rollout} of ${each.stack}: ${each.result}\n${base}.html\n${base}.json\n`);
    if (options.open) {
      open(`${base}.html`);
    }
  }
  if (options.json) {
    writeJson(kept.size === 1 ? chosen[0] : chosen);
  }
  const notices = (chosen[0]?.later ?? []).flatMap(({ number, result }) =>
    result === "failed" ? `notice: update ${number}, after it, has failed before a step had ended\n` : [],
  );
  process.stderr.write(notices.join(""));
}

/** Of each cluster of the stack one, where it has it. */
function choose(
  clusters: readonly (readonly RolloutReport[])[],
  stack: string,
  wanted: number | undefined,
): RolloutReport[] {
  // of two with one number the first has failed before it made a backup
  const chosen = clusters.flatMap(
    (reports) => reports.findLast(({ rollout }) => wanted === undefined || rollout === wanted) ?? [],
  );
  if (chosen.length > 0) {
    return chosen;
  }
  const known = [...new Set(clusters.flat().map(({ rollout }) => rollout))].toSorted((a, b) => a - b);
  if (known.length > 0) {
    throw CommandError.usage(
      `Cannot report rollout ${wanted} of ${stack}; expected one of ${known.join(", ")}`,
    );
  }
  throw CommandError.failed(
    `Cannot report a rollout of ${stack}: no state of its history has a step that has ended; expected one after an up. What is on the masters: npx etcd-rotation status ${stack}`,
  );
}

/**
 * What the history has, then the present state: only that one has the steps of a run that was killed. By cluster; the only one of a
 * stack has no name.
 */
async function keptStates(
  program: Program,
  history: string | undefined,
): Promise<ReadonlyMap<string, KeptState[]>> {
  const engine = new Engine({ folder: program.folder });
  const copy = history === undefined ? undefined : resolve(history);
  const kept = new Map<string, KeptState[]>();
  const keep = (update: Update, deployment: Deployment) => {
    for (const [cluster, own] of clustersIn(deployment)) {
      kept.set(cluster, [...(kept.get(cluster) ?? []), stateOf(update, own)]);
    }
  };
  for (const entry of await readHistory(engine, program, copy)) {
    try {
      keep(updateOf(entry), parseDeployment(readStateFile(entry.file), entry.file));
    } catch (error) {
      process.stderr.write(`notice: ${entry.number}: ${messageOf(error)}\n`);
    }
  }
  const present = copy === undefined ? (await readPresent(engine, program)).deployment : undefined;
  if (present !== undefined) {
    keep({ result: "unfinished", changes: {} }, present);
  }
  return kept;
}

function updateOf({ number, time, result, started, changes = {} }: HistoryEntry): Update {
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
