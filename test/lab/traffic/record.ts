import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { labLayouts } from "../layouts.ts";
import type { LabOptions } from "../options.ts";
import { buildTraffic } from "./build.ts";
import { parseRecord, type TrafficRecord } from "./entry.ts";

/** What the traffic needs to know of a lab. */
export interface TrafficLab {
  /** Name of the network namespace that reaches the masters and the load balancer. */
  readonly namespace: string;
  readonly loadBalancer: { readonly host: string; readonly port: number };
  readonly kubeconfigPath: string;
  readonly options: Pick<LabOptions, "layout">;
  readonly masters: readonly { readonly address: string; readonly root: string }[];
}

export interface TrafficOptions {
  /**
   * Resolve only when the writer has a success and the watcher an event. Turn it off for a cluster that is down.
   * @default true
   */
  readonly waitUntilServing?: boolean;
}

export interface Traffic {
  /** Lets the rounds under way end, and completes the record. */
  stop(): Promise<void>;
}

const startSeconds = 60;
/** A request and its retry take 11 s at most, the watcher has 5 s to catch up. */
const stopSeconds = 30;

/**
 * Starts the traffic against a lab and records it in `file`, which is replaced; beside it, `<file>.log` has what the
 * program says. The traffic ends by itself when this process is gone.
 *
 * @throws when the program ends early or the cluster does not serve within a minute
 */
export async function startTraffic(
  lab: TrafficLab,
  file: string,
  options: TrafficOptions = {},
): Promise<Traffic> {
  const program = await buildTraffic();
  await rm(file, { force: true });
  const log = await open(`${file}.log`, "w");
  const command = [`--net=/run/netns/${lab.namespace}`, program, ...trafficArguments(lab, file)];
  const child = spawn("nsenter", command, { stdio: ["ignore", "ignore", log.fd], detached: true });
  const ended = exit(child);
  if (child.pid !== undefined) {
    prioritize(child.pid);
  }
  await log.close();
  const stop = () => stopTraffic(child, ended, file);
  try {
    if (options.waitUntilServing ?? true) {
      await untilServing(child, ended, file);
    }
  } catch (error) {
    child.kill("SIGTERM");
    throw error;
  }
  return { stop };
}

/** Clients have processors of their own, too: how long a request takes is to be the cluster's time, not what the engine leaves. */
function prioritize(pid: number): void {
  setPriority(pid, constants.priority.PRIORITY_HIGHEST);
  // a kernel that shares its time among sessions has a priority for each; so the traffic's is its own
  const session = `/proc/${pid}/autogroup`;
  if (existsSync(session)) {
    writeFileSync(session, `${constants.priority.PRIORITY_HIGHEST}`);
  }
}

/** The record as it is in the file now. */
export async function readRecord(file: string): Promise<TrafficRecord> {
  return parseRecord(await readFile(file, "utf8"));
}

function trafficArguments(lab: TrafficLab, file: string): string[] {
  const [first] = lab.masters;
  if (first === undefined) {
    throw new Error("Cannot start the traffic: the lab has no master; expected at least one");
  }
  const { ca, cert, key } = labLayouts[lab.options.layout].clientFiles;
  return [
    ...["--masters", lab.masters.map((master) => master.address).join(",")],
    ...["--api", `https://${lab.loadBalancer.host}:${lab.loadBalancer.port}`],
    ...["--kubeconfig", lab.kubeconfigPath],
    ...["--cert", join(first.root, cert)],
    ...["--key", join(first.root, key)],
    ...["--cacert", join(first.root, ca)],
    ...["--out", file, "--with-parent"],
  ];
}

/** How a process ended, in words; undefined when it ended well. */
type Ending = Promise<string | undefined>;

function exit(child: ChildProcess): Ending {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code === 0 ? undefined : `exit code ${code ?? signal}`));
  });
}

async function untilServing(child: ChildProcess, ended: Ending, file: string): Promise<void> {
  for (const begin = Date.now(); Date.now() - begin < startSeconds * 1000; ) {
    if (await isServing(file)) {
      return;
    }
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new Error(`Cannot start the traffic: ${await ended}; see ${file}.log`);
    }
    await wait(100);
  }
  throw new Error(`Cannot start the traffic: no write and watch event in ${startSeconds} s; see ${file}`);
}

async function isServing(file: string): Promise<boolean> {
  const { entries } = await readRecord(file).catch((): TrafficRecord => ({ entries: [] }));
  return (
    entries.some((entry) => entry.kind === "write" && entry.ok) &&
    entries.some((entry) => entry.kind === "watch")
  );
}

async function stopTraffic(child: ChildProcess, ended: Ending, file: string): Promise<void> {
  const limit = new AbortController();
  child.kill("SIGTERM");
  const late = wait(stopSeconds * 1000, `still running after ${stopSeconds} s`, { signal: limit.signal });
  const failure = await Promise.race([ended, late]);
  limit.abort();
  // The loser of the race is aborted, which is no failure.
  await late.catch(() => undefined);
  if (failure === undefined) {
    return;
  }
  child.kill("SIGKILL");
  throw new Error(`Cannot stop the traffic cleanly: ${failure}; see ${file}.log`);
}
