import { apiFaults, certificateFaults } from "./faults.ts";
import type { Found, FoundMaster } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import type { Component, KubernetesRow, Row } from "./layout/rows.ts";
import { linesOf } from "./text.ts";

/** What a recovery is for; empty while nothing is out. */
export interface Outages {
  /** why it is a recovery, in words */
  readonly causes: readonly string[];
  /** by master: what does not work there and is started with its new files */
  readonly out: Readonly<Record<string, readonly Component[]>>;
}

/**
 * A member that is out because of its certificates, an API server that everybody refuses because of its own, either where it has
 * not read its files: waiting for their health would be in vain. The others are rolled, unless those that a restart
 * brings back are no quorum, or the one that is out leads them by the connections that it still has: then everything is out.
 * Any other ill health (an alarm, a learner, a lagging member) is none: its members serve, and a rollout refuses to begin.
 */
export function brokenIn(
  { masters, missing = [] }: Found,
  rows: readonly Row[],
  kubernetes: readonly KubernetesRow[],
  now: number,
): Outages {
  const quorum = Math.floor((masters.length + missing.length) / 2) + 1;
  const alive = missing.filter(({ isAlive }) => isAlive).length;
  const answering = masters.filter((master) => master.doesAnswer).length + alive;
  const broken = masters.map((master) => ({
    master,
    etcd: etcdCauses(master, masters, rows, now),
    api: apiCauses(master, kubernetes, now),
  }));
  const lasting = broken.filter(({ master, etcd }) => master.doesAnswer && etcd.length === 0).length + alive;
  const isEverythingOut =
    lasting < quorum ||
    broken.some(({ master, etcd }) => master.isLeader && master.doesAnswer && etcd.length > 0);
  return {
    causes: linesOf(
      answering < quorum &&
        `etcd has no quorum that answers: ${answering} of ${masters.length + missing.length} members do`,
      ...broken.flatMap(({ etcd }) => etcd),
      ...broken.flatMap(({ api }) => api),
    ),
    out: Object.fromEntries(
      broken.flatMap(({ master: { name }, etcd, api }): [string, readonly Component[]][] => {
        // an API server may have no other member than its own
        if (isEverythingOut || etcd.length > 0) {
          return [[name, ["etcd", "kube-apiserver"]]];
        }
        return api.length > 0 ? [[name, ["kube-apiserver"]]] : [];
      }),
    ),
  };
}

/** Why a member is out, as far as a rollout mends it; an alarm or a lagging member is no matter of certificates. */
function etcdCauses(
  master: FoundMaster,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
  now: number,
): string[] {
  if (master.doesAnswer && master.etcd !== "peer-refused") {
    return [];
  }
  // one that serves nothing yet is starting
  const isServing = Object.keys(servedLeaves).some((port) => master.served[Number(port)] !== undefined);
  const isStale = !master.doesAnswer && isServing && master.processes.etcd?.isStale === true;
  return linesOf(
    ...certificateFaults(master, masters, rows, now),
    isStale && `${master.name}: etcd does not answer, and runs with files that have changed since its start`,
    neverStarted(master, "etcd"),
  );
}

/** Why an API server that is not ready is out, as far as a rollout mends it. */
function apiCauses(master: FoundMaster, kubernetes: readonly KubernetesRow[], now: number): string[] {
  if (master.isApiReady) {
    return [];
  }
  const isStale = master.processes["kube-apiserver"]?.isStale === true;
  return linesOf(
    ...apiFaults(master, kubernetes, now),
    isStale &&
      `${master.name}: kube-apiserver is not ready, and runs with files that have changed since its start`,
    neverStarted(master, "kube-apiserver"),
  );
}

/**
 * A recovery was interrupted between its files and the start of what reads them; after a step that was, a journal has what to do.
 * A rollout that is held has come to settle, where everything runs: what is stopped since then was stopped by somebody.
 */
function neverStarted(
  { name, processes, receipt, leftovers }: FoundMaster,
  component: "etcd" | "kube-apiserver",
): string | undefined {
  const isInterrupted =
    receipt?.isComplete === false && ["trust", "issue"].includes(receipt.phase) && leftovers.length === 0;
  return processes[component] === undefined && isInterrupted
    ? `${name}: ${component} does not run since rollout ${receipt.rollout} was interrupted`
    : undefined;
}
