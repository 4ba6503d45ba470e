import {
  type CertificateInput,
  type CertificateStatus,
  certificateStatuses,
  type State,
  states,
} from "./certificate-status.ts";
import { type Identity, type MasterSpec, refusals } from "./checks.ts";
import { clientCommands, clientNotices, clientsOf } from "./clients.ts";
import { renewalDifferences } from "./differences.ts";
import { driftOf } from "./drift.ts";
import { certificatesAt, type Found, type FoundMaster } from "./found.ts";
import { type Progress, progressOf, progressWords, runOn } from "./progress.ts";
import { planRenewals, type RenewalPolicy, renewedRows } from "./renewals.ts";
import { carrierNotices } from "./report.ts";
import { rotationOf } from "./restore.ts";
import type { ClusterArgs } from "./settings.ts";
import { oldKeyNotices, strangerNotices } from "./strangers.ts";
import { linesOf, minute } from "./text.ts";
import { keptAuthorities, ownerOf, recordedAuthorities, trustNotices } from "./trust.ts";

interface Finding {
  readonly state: State;
  readonly master: string | undefined;
  readonly what: string;
}

/** A cluster's certificates, and whether somebody has to do something about them. */
export interface ClusterStatus {
  readonly stack: string;
  readonly state: State;
  readonly masters: readonly (Pick<FoundMaster, "name" | "isLeader" | "isApiReady" | "databaseBytes"> & {
    readonly state: State;
    readonly etcd: string;
    /** of etcd and of Kubernetes; undefined where the master does not tell */
    readonly etcdVersion: string | undefined;
    readonly kubernetesVersion: string | undefined;
  })[];
  /** of etcd, by its own list; undefined when nobody shows it */
  readonly members: number | undefined;
  readonly certificates: readonly CertificateStatus[];
  /** of a rollout that has not ended; undefined when there is none */
  readonly progress: Progress | undefined;
  readonly findings: readonly Finding[];
  /** what is worth knowing and changes no state */
  readonly notes: readonly string[];
  /** of the receipts, the highest; undefined when no rollout has been recorded */
  readonly rollout: number | undefined;
  readonly rotation: string | undefined;
  readonly isComplete: boolean;
  /** number of the newest rollout with a backup on a master */
  readonly lastBackup: number | undefined;
}

export interface StatusInput
  extends Omit<CertificateInput, "drift" | "renewBefore">,
    Required<Pick<ClusterArgs, "rotation" | "restore" | "foreignAuthorities">> {
  readonly stack: string;
  /** masters that could not be looked at, and why */
  readonly unreachable: readonly { readonly name: string; readonly reason: string }[];
  readonly masters: readonly MasterSpec[];
  readonly policy: RenewalPolicy;
  readonly identity: Identity;
  readonly isOutageAllowed: boolean;
  /** of etcd, besides Kubernetes */
  readonly ignoredClients: readonly string[];
}

/** Judges what was found on the masters that could be reached; needs no state, so what the stack wants is not known. */
export function clusterStatus(input: StatusInput): ClusterStatus {
  const { stack, found, unreachable, rows, kubernetes, identity, now } = input;
  const progress = progressOf(found);
  const drift = driftOf({
    found,
    rows,
    kubernetes,
    owners: [identity.owner, ...(identity.takeOver === undefined ? [] : [identity.takeOver])],
    progress: progress?.state,
    now,
  });
  const { renewBefore } = input.policy;
  const certificates = found.masters.flatMap((master) =>
    certificateStatuses(master, { ...input, renewBefore, drift }),
  );
  const findings: Finding[] = [
    ...unreachable.map(({ name, reason }): Finding => ({ state: "unreachable", master: name, what: reason })),
    ...drift.map(({ master, what }): Finding => ({ state: "drifted", master, what })),
    ...progressFindings(progress),
    ...dueFindings(input).map(({ master, what }): Finding => ({ state: "due", master, what })),
  ];
  const receipts = found.masters.flatMap((master) => master.receipt ?? []);
  const last = receipts.toSorted((a, b) => b.rollout - a.rollout)[0];
  const backups = found.masters.flatMap((master) => master.backups);
  const stateOf = (name?: string) =>
    gravest(
      [...certificates, ...findings].flatMap((each) =>
        name === undefined || each.master === name || each.master === undefined ? [each.state] : [],
      ),
    );
  return {
    stack,
    state: stateOf(),
    masters: input.masters.map(({ name }) => {
      const master = found.masters.find((each) => each.name === name);
      return {
        name,
        state: master === undefined ? "unreachable" : stateOf(name),
        etcd: master === undefined ? "unknown" : master.etcdProblem || master.etcd,
        isLeader: master?.isLeader ?? false,
        isApiReady: master?.isApiReady ?? false,
        etcdVersion: master?.version || undefined,
        kubernetesVersion: master?.kubernetes || undefined,
        databaseBytes: master?.databaseBytes,
      };
    }),
    members: membersIn(found),
    certificates,
    progress,
    findings,
    notes: notesOf(input, progress),
    rollout: last?.rollout,
    rotation: last?.rotation,
    isComplete:
      receipts.length === found.masters.length &&
      receipts.length > 0 &&
      receipts.every((receipt) => receipt.isComplete),
    lastBackup: backups.length === 0 ? undefined : Math.max(...backups),
  };
}

/** As the leader lists them, else whoever does. */
function membersIn({ masters }: Found): number | undefined {
  const telling = masters.filter(({ members }) => members.length > 0);
  return (telling.find(({ isLeader }) => isLeader) ?? telling[0])?.members.length;
}

/** The gravest of some states; `ok` when there is none. */
export function gravest(all: readonly State[]): State {
  return states.find((state) => state !== "other" && all.includes(state)) ?? "ok";
}

/** 0 ok, 1 due, expiring or rotating, 2 expired, drifted or interrupted, 3 could not look. What is known to be bad comes before what is not known. */
export function exitCodeOf(state: State): 0 | 1 | 2 | 3 {
  return exitCodes[state];
}

const exitCodes = {
  expired: 2,
  drifted: 2,
  interrupted: 2,
  unreachable: 3,
  rotating: 1,
  due: 1,
  expiring: 1,
  ok: 0,
  other: 0,
} as const satisfies Record<State, number>;

function progressFindings(progress: Progress | undefined): Finding[] {
  return progress === undefined
    ? []
    : progress.masters.map((master) => ({ state: progress.state, master, what: progressWords(progress) }));
}

/** What the next `up` would do, as far as it can be told without the state. */
function dueFindings(input: StatusInput): Omit<Finding, "state">[] {
  const { found } = input;
  const rotation = rotationOf(input);
  const receipts = found.masters.flatMap((master) => master.receipt ?? []);
  if (receipts.length === 0) {
    return [];
  }
  const before = new Set(receipts.map((receipt) => receipt.rotation));
  const what = `rotation "${rotation}" is asked for; the masters have "${[...before].join('", "')}"`;
  return [...(before.has(rotation) ? [] : [{ master: undefined, what }]), ...renewalFindings(input)];
}

/**
 * Kubernetes' certificates that the next `up` would renew: none while a backup is wanted; nothing is said while the masters' etcd
 * authorities disagree, since all would be.
 */
function renewalFindings(input: StatusInput): Omit<Finding, "state">[] {
  const { found, rows, kubernetes, policy, restore, now } = input;
  const owner = ownerOf(found.masters, rows);
  const held = new Set(
    found.masters
      .flatMap((master) => certificatesAt(master, { id: "etcd-ca" }))
      .flatMap((each) => (owner(each) === "foreign" ? [] : each.fingerprint)),
  );
  const [authority] = held;
  const renewed = renewedRows(kubernetes, policy);
  if (held.size !== 1 || renewed.length === 0 || restore !== undefined) {
    return [];
  }
  const order = found.masters.map((master) => master.name);
  return renewalDifferences(found, planRenewals(found, renewed, policy, authority, order, now));
}

function notesOf(input: StatusInput, progress: Progress | undefined): string[] {
  const { found, masters, rows, kubernetes, policy, foreignAuthorities, restore, now } = input;
  const authorities = recordedAuthorities(found);
  const kept = keptAuthorities(found, rows, foreignAuthorities);
  const clients = clientsOf(found, { rows, authorities, kept, ignored: input.ignoredClients });
  const reached = masters.filter((master) => found.masters.some((each) => each.name === master.name));
  const isNew = found.masters.length > 0 && found.masters.every((master) => master.receipt === undefined);
  const renewed = renewedRows(kubernetes, policy);
  const allowed = {
    outage: input.isOutageAllowed,
    renewals: restore === undefined ? planRenewals(found, renewed, policy, undefined, [], now).leaves : {},
  };
  const isRotating = progress?.state === "rotating";
  const run = runOn(found.masters);
  // while one is at work another would be refused for that alone
  const refused =
    reached.length === 0 || isRotating ? [] : refusals(found, masters, rows, input.identity, allowed);
  return linesOf(
    isNew && "No rollout has been recorded: the first pulumi up takes this cluster over.",
    restore !== undefined &&
      `restore: the files from before rollout ${restore} are wanted, and nothing is renewed; remove restore to go forward to the stack's own.`,
    kubernetes.length > 0 &&
      renewed.length === 0 &&
      "kubernetes.renew is never: pulumi up leaves Kubernetes' own certificates as they are.",
    ...found.masters.flatMap(({ name, etcd, etcdProblem, isApiReady, lock }) =>
      linesOf(
        etcd !== "healthy" && `${name}: etcd is not healthy: ${etcdProblem}`,
        !isApiReady && `${name}: kube-apiserver is not ready`,
        lock !== undefined && !isRotating && `${name} is locked by ${lock}`,
      ),
    ),
    run !== undefined &&
      !isRotating &&
      `pulumi up is at work${run.since === undefined ? "" : `, since ${minute(run.since)}`}, by ${run.by}; no rollout has begun, or it has just ended`,
    ...carrierNotices(found),
    ...trustNotices(found, rows, authorities, foreignAuthorities),
    ...strangerNotices(found, rows, kubernetes),
    ...oldKeyNotices(found, rows),
    ...clientNotices(found, clients),
    ...(authorities.length === 0 ? [] : clientCommands(clients)),
    ...refused.map((reason) => `pulumi up would refuse: ${reason}`),
  );
}
