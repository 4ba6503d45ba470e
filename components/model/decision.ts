import { certificatesIn } from "./certificate.ts";
import { refusals, sharedFileRefusals } from "./checks.ts";
import { type Client, clientsOf } from "./clients.ts";
import { type CloudCluster, cloudRefusals, diskRefusals } from "./cloud.ts";
import { type Found, presentRows } from "./found.ts";
import { decideHandover, type Handover, type HandoverQuestion } from "./handover.ts";
import type { Authority, KubernetesRow } from "./layout/rows.ts";
import { layouts } from "./layout/tables.ts";
import { type Hold, holdOf, missingRefusals } from "./missing.ts";
import { longestRollout, planRollout, type RolloutPlan } from "./plan.ts";
import { planRenewals, type RenewalPlan, renewedRows } from "./renewals.ts";
import { noRenewals, planRestore, type Restore } from "./restore.ts";
import { type ClusterArgs, renewalPolicy, tablesOf } from "./settings.ts";
import type { Wanted } from "./wanted.ts";
import { windowRefusal } from "./window.ts";

/** What was seen of a cluster, and what its last update has put out. */
export interface Observed {
  readonly found: Found;
  /** undefined unless the stack file names a cluster of Alibaba Cloud */
  readonly cloud: CloudCluster | undefined;
  readonly last: LastOutputs;
  /** milliseconds since 1970 */
  readonly now: number;
}

export interface LastOutputs {
  /** etcd's cluster id; undefined before the first update, as is the rotation */
  readonly cluster: string | undefined;
  readonly rotation: string | undefined;
  /** fingerprints */
  readonly authorities: readonly string[];
  /** whether the state that this run begins with has snapshots of system disks */
  readonly hasDiskSnapshots: boolean;
  /** of that rotation's authorities, and of those before them; secret */
  readonly keys: {
    readonly current: AuthorityKeys | undefined;
    readonly previous: AuthorityKeys | undefined;
  };
}

/** PEM texts. Secret. */
export type AuthorityKeys = Readonly<
  Record<Authority, { readonly certPem: string; readonly keyPem: string }>
>;

/** What may sign the authorities of a rotation: the same in every run until the next rotation. */
export function previousKeys(
  { keys, rotation }: LastOutputs,
  wantedRotation: string,
): AuthorityKeys | undefined {
  return rotation === wantedRotation ? keys.previous : keys.current;
}

/** What is going to be done with a cluster. */
export interface Decision extends Pick<HandoverQuestion, "rows" | "inState" | "now" | "end"> {
  /** Kubernetes' own files that are looked after; empty when they are left alone */
  readonly kubernetes: readonly KubernetesRow[];
  readonly plan: RolloutPlan;
  /** what comes back from the masters' backups; undefined when the stack's own certificates are wanted */
  readonly restore: Restore | undefined;
  /** of etcd */
  readonly clusterId: string;
  /** every reason not to begin */
  readonly refusals: readonly string[];
  /** why an update may not begin now */
  readonly shut: string | undefined;
  /** fingerprints of the authorities that the state has for the wanted rotation; none while it has none */
  readonly authorities: readonly string[];
  /** what depends on the wanted set, which is unknown while a rotation is being previewed */
  readonly given: (wanted: Wanted | undefined) => Given;
}

/** What is decided when the wanted set is known. */
export interface Given {
  /** of etcd, besides Kubernetes */
  readonly clients: readonly Client[];
  /** what of Kubernetes' own files is renewed */
  readonly renewals: RenewalPlan;
  /** the rollout stops there */
  readonly heldBefore: Hold | undefined;
  readonly handover: Handover;
}

/** Every file that is looked after, wherever the stack file says it lies. */
export function lookedAfter(settings: Pick<ClusterArgs, "layout" | "kubernetes" | "certificates">) {
  const { rows, kubernetes } = tablesOf(settings.layout);
  return { table: rows, kubernetesTable: renewedRows(kubernetes, renewalPolicy(settings)) };
}

/** The authorities whose keys are at hand. */
function authoritiesOf(keys: AuthorityKeys | undefined): HandoverQuestion["inState"] {
  const [etcd, peer] = [keys?.etcd, keys?.["etcd-peer"]].map((own) => certificatesIn(own?.certPem ?? "")[0]);
  return etcd === undefined || peer === undefined ? undefined : { etcd, "etcd-peer": peer };
}

/** The plan by what was seen alone. */
export function planOf(
  settings: ClusterArgs,
  found: Found,
  now: number,
): Pick<Decision, "rows" | "kubernetes" | "plan"> {
  const { table, kubernetesTable } = lookedAfter(settings);
  const [rows, kubernetes] = [presentRows(table, found), presentRows(kubernetesTable, found)];
  return { rows, kubernetes, plan: planRollout(found, rows, kubernetes, now, settings.foreignAuthorities) };
}

/** @param stack its name, and what the receipts call its cluster's owner */
export function decide(
  { found, cloud, last, now }: Observed,
  settings: ClusterArgs,
  stack: { readonly name: string; readonly owner: string },
): Decision {
  const { rows, kubernetes, plan } = planOf(settings, found, now);
  const { owner } = stack;
  const policy = renewalPolicy(settings);
  const rolloutSeconds = longestRollout(settings.masters.length, settings.gate, settings.pauseBetweenMasters);
  const restore =
    settings.restore === undefined
      ? undefined
      : planRestore(found, {
          ...{ rows, kubernetes, owner, kept: plan.kept, rollout: settings.restore },
          ...{ renewBefore: settings.certificates.renewBefore, rolloutSeconds, now },
        });
  const authorities = last.rotation === settings.rotation ? last.authorities : undefined;
  // of leaves alone, or until something else is known
  const [etcd, peer = etcd] = authorities ?? [];
  const lastWanted = etcd === undefined || peer === undefined ? undefined : { etcd, "etcd-peer": peer };
  const inState = authoritiesOf(previousKeys(last, settings.rotation));
  const end = now + rolloutSeconds * 1000;
  const given = (wanted: Wanted | undefined): Given => {
    const clients = clientsOf(found, {
      rows,
      authorities: wanted === undefined ? (authorities ?? []) : Object.values(wanted.authorities),
      kept: plan.kept,
      ignored: settings.clients?.ignore ?? [],
    });
    const renewals =
      restore === undefined
        ? planRenewals(found, kubernetes, policy, wanted?.authorities.etcd, plan.order.retire, now)
        : noRenewals(restore);
    const heldBefore = holdOf(found, settings.holdBefore, clients);
    const handover = decideHandover(found, {
      ...{ rows, mode: plan.mode, inState, now, end },
      wanted: wanted?.authorities ?? lastWanted,
      policy: settings.crossCertificates,
      isRestoring: restore !== undefined,
      isHeld: heldBefore !== undefined,
    });
    return { clients, renewals, heldBefore, handover };
  };
  const identity = { owner, takeOver: settings.takeOver, lastClusterId: last.cluster };
  const allowed = { outage: settings.allowOutage, renewals: given(undefined).renewals.leaves };
  return {
    ...{ rows, kubernetes, plan, restore, given, inState, now, end },
    authorities: authorities ?? [],
    clusterId: found.masters.map((master) => master.clusterId).find((id) => id !== "") ?? last.cluster ?? "",
    refusals: [
      ...refusals(found, settings.masters, lookedAfter(settings).table, identity, allowed),
      ...sharedFileRefusals(found, rows, kubernetes, layouts[settings.layout.kind]),
      ...missingRefusals(found, rows, plan, authorities),
      ...(restore?.refusals ?? []),
      ...(cloud === undefined ? [] : cloudRefusals(cloud, cloud.masters, settings.masters)),
      ...(cloud && settings.backup.diskSnapshot === true ? diskRefusals(cloud, cloud.masters) : []),
    ],
    // a recovery cannot wait
    shut: plan.mode === "recovery" ? undefined : windowRefusal(settings.window, now, stack.name),
  };
}
