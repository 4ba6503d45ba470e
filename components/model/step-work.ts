import type { Attempt } from "./attempt.ts";
import { authorityContents, contentsFor, restoredContents, type Work, wantedRows } from "./contents.ts";
import type { Decision, Given } from "./decision.ts";
import type { Found } from "./found.ts";
import { type CrossCertificates, crossCertificates, type Handover } from "./handover.ts";
import {
  type Authority,
  asReadBy,
  authorities as authorityRoles,
  type KubernetesRow,
  type Row,
} from "./layout/rows.ts";
import { deadIn, isHeldAt } from "./missing.ts";
import { outIn, type PlannedStep, type RolloutPlan, restartsIn } from "./plan.ts";
import { type RenewalPlan, signedAuthorities } from "./renewals.ts";
import { rotationOf } from "./restore.ts";
import type { ClusterArgs } from "./settings.ts";
import type { StepData } from "./step-data.ts";
import type { Wanted, WantedPems } from "./wanted.ts";

/** A cluster as found, and what has been decided about it. */
export interface SurveyedCluster extends Decision {
  readonly args: ClusterArgs;
  readonly found: Found;
  /** in receipts */
  readonly owner: string;
  /** what the masters know this run by; empty in a preview, which claims none */
  readonly claim: string;
}

/** What is known once the wanted certificates are there, and backup has run. */
export interface StepInput extends Pick<Given, "renewals" | "handover"> {
  readonly pems: WantedPems;
  readonly wanted: Wanted;
  readonly attempt: Attempt;
  /** cross-certificates by keys in the state */
  readonly inState: Readonly<Partial<Record<Authority, string>>>;
  /** standard outputs of backup */
  readonly signed: readonly string[];
}

/** Kubernetes' certificates are renewed where their readers restart next: an API server that is out is started after issue. */
function renews(
  { plan }: SurveyedCluster,
  { phase, master }: Pick<PlannedStep, "phase" | "master">,
): boolean {
  return phase === (plan.out[master]?.includes("kube-apiserver") === true ? "issue" : "retire");
}

/** What a step of the plan is told. */
export function stepDataFor(
  cluster: SurveyedCluster,
  planned: PlannedStep,
  master: ClusterArgs["masters"][number],
  input: StepInput,
): StepData {
  const { pems, wanted, attempt, renewals, handover } = input;
  const signed = signedAuthorities(input.signed, attempt.id);
  const cross = crossCertificates(handover, pems.authorities, input.inState, signed);
  const found = cluster.found.masters.find(({ name }) => name === master.name);
  const joining = cluster.found.joining?.map(({ name }) => name) ?? [];
  const isJoining = joining.includes(master.name);
  // the paths that the running processes use, and what they read only when they start
  const kubernetes = cluster.kubernetes.map((row) =>
    asReadBy({ ...row, path: found?.files[row.id]?.path || row.path }, found?.kubernetes ?? ""),
  );
  const authorities =
    found === undefined || !renews(cluster, planned)
      ? {}
      : authorityContents(found, kubernetes, renewals.authorities, signed);
  const address = (own: string) =>
    cluster.args.masters.filter((each) => each.name === own).map((each) => each.address);
  return {
    ...commonData(
      cluster.args,
      cluster.owner,
      [...cluster.rows, ...kubernetes],
      master,
      deadIn(cluster.found),
    ),
    phase: planned.phase,
    heirAddresses: planned.heirs.flatMap(address),
    ...wantedContents(cluster, planned, isJoining ? "joining" : planned.phase, pems, authorities, cross),
    renewal: renewalOf(cluster, planned, renewals),
    cross: planned.phase === "backup" ? crossOn(master.name, handover, pems) : [],
    clusterId: cluster.clusterId,
    claim: cluster.claim,
    rollout: attempt.rollout,
    attempt: attempt.id,
    authorities: Object.values(wanted.authorities),
    isJoining,
    restarts: restartsIn(planned.phase, cluster.plan),
    out: Object.entries(outIn(planned.phase, master.name, cluster.plan, joining)).flatMap(
      ([own, components]) => components.flatMap((each) => address(own).map((at) => `${each}@${at}`)),
    ),
    isHeld: isHeldAt(planned.phase, wanted.heldBefore),
    ...(restartsFirst(planned, cluster.plan, handover) ? { pauseSeconds: 0 } : {}),
    tellsReach: false,
    takesSnapshot: cluster.plan.snapshotFrom === planned.master,
  };
}

/** Before its restarts there are none that the load balancer has to notice, unless a process was stale. */
function restartsFirst({ phase, master }: PlannedStep, { order }: RolloutPlan, { kind }: Handover): boolean {
  return (
    (phase === "trust" && master === order.trust[0]) ||
    (phase === "retire" && master === order.retire[0] && kind === "cross")
  );
}

/** What a master signs with the keys of authorities that lie there. */
function crossOn(master: string, handover: Handover, { authorities }: WantedPems): StepData["cross"] {
  return authorityRoles.flatMap((role) => {
    const signer = handover.kind === "cross" ? handover.signers[role] : undefined;
    return signer === undefined || signer.key === "state" || signer.key.master !== master
      ? []
      : {
          role,
          keyPath: signer.key.path,
          signerPem: signer.certificate.pem,
          wantedPem: authorities[role],
        };
  });
}

/** What the step writes: the stack's certificates, or the bytes that the master itself keeps in a backup. */
function wantedContents(
  cluster: SurveyedCluster,
  planned: PlannedStep,
  work: Work,
  pems: WantedPems,
  authorities: Readonly<Record<string, string>>,
  cross: CrossCertificates | undefined,
) {
  const { restore, rows, plan } = cluster;
  const { master } = planned;
  if (restore === undefined) {
    return { contents: { ...contentsFor(work, master, rows, plan, pems, cross), ...authorities }, saved: [] };
  }
  const saved = cluster.found.masters.find(({ name }) => name === master)?.saved ?? {};
  const kubernetes = renews(cluster, planned) ? (restore.kubernetes[master] ?? []) : [];
  return {
    contents: restoredContents(work, master, rows, plan, saved),
    saved: [...wantedRows(work, rows).map(({ id }) => id), ...kubernetes],
  };
}

function renewalOf(
  cluster: SurveyedCluster,
  planned: PlannedStep,
  { leaves, authorities, purpose }: RenewalPlan,
): StepData["renewal"] {
  const { args } = cluster;
  const { phase, master } = planned;
  const signing = Object.entries(authorities).flatMap(([group, plan]) =>
    plan.kind === "sign" && plan.on === master ? group : [],
  );
  return {
    groups: renews(cluster, planned) ? (leaves[master] ?? []).map(({ group }) => group) : [],
    authorities: phase === "backup" ? signing : [],
    purpose,
    keepKeys: args.kubernetes.keepKeys,
    validitySeconds: args.certificates.validity,
  };
}

/**
 * What every script on a master is told, whatever the phase.
 * @param without names of masters whose members are known to be dead: no gate waits for them; quorum is counted by etcd's own list
 */
export function commonData(
  args: ClusterArgs,
  owner: string,
  rows: readonly (Row | KubernetesRow)[],
  master: ClusterArgs["masters"][number],
  without: readonly string[] = [],
) {
  return {
    master,
    memberAddresses: args.masters
      .filter((each) => each.joining !== true && !without.includes(each.name))
      .map((each) => each.address),
    layout: args.layout.kind,
    rows,
    owner,
    takeOver: args.takeOver ?? "",
    rotation: rotationOf(args),
    restore: args.restore ?? 0,
    // with three and more a restart is no outage, whatever is allowed
    isOutageAllowed: args.allowOutage && args.masters.length < 3,
    backupFolder: args.backup.directory,
    backupsToKeep: args.backup.keep,
    drainSeconds: args.drain,
    pauseSeconds: args.pauseBetweenMasters,
    gateSeconds: args.gate,
  };
}
