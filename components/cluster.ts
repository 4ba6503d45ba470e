import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type Cloud, cloudOf } from "./alicloud/cloud.ts";
import { refusals } from "./model/checks.ts";
import { type Client, clientsOf } from "./model/clients.ts";
import { cloudRefusals, diskRefusals } from "./model/cloud.ts";
import { type Found, presentRows } from "./model/found.ts";
import { type KubernetesRow, layouts, type Row } from "./model/layout.ts";
import { foundOf, missingRefusals } from "./model/missing.ts";
import { longestRollout, planRollout, type RolloutPlan } from "./model/plan.ts";
import { planRenewals, type RenewalPlan, type RenewalPolicy, renewedRows } from "./model/renewals.ts";
import { noRenewals, planRestore, type Restore } from "./model/restore.ts";
import { type ClusterArgs, tablesOf } from "./model/settings.ts";
import { sharedFileRefusals } from "./model/shared-files.ts";
import type { ForeignPolicy } from "./model/trust.ts";
import type { Wanted } from "./model/wanted.ts";
import { ignoreWindowVariable, windowRefusal } from "./model/window.ts";
import { requireEngine } from "./require-engine.ts";
import "./stack-traces.ts";
import type { Access } from "./survey/access.ts";
import { refuseStaleAgent } from "./survey/agent.ts";
import { claimMasters } from "./survey/claim.ts";
import { takeSurvey } from "./survey/survey.ts";
import { accessTo, bastionOf, surveyTargets } from "./survey/targets.ts";

/** A cluster as found, and what is going to be done with it. */
export interface Cluster {
  /** tells clusters of one stack apart; empty for the only one */
  readonly name: string;
  readonly args: ClusterArgs;
  readonly found: Found;
  readonly rows: readonly Row[];
  /** Kubernetes' own files that are looked after; empty when they are left alone */
  readonly kubernetes: readonly KubernetesRow[];
  readonly plan: RolloutPlan;
  /** of etcd, besides Kubernetes */
  readonly clients: (wanted: Wanted | undefined) => readonly Client[];
  /** what of these files is renewed; the wanted set is unknown while a rotation is being previewed */
  readonly renewals: (wanted: Wanted | undefined) => RenewalPlan;
  /** what comes back from the masters' backups; undefined when the stack's own certificates are wanted */
  readonly restore: Restore | undefined;
  /** of etcd */
  readonly clusterId: string;
  /** undefined unless the stack file names a cluster of Alibaba Cloud */
  readonly cloud: Cloud | undefined;
  /** whether the state that this run begins with has snapshots of system disks */
  readonly hasDiskSnapshots: boolean;
  readonly owner: string;
  /** of the state that this run begins with; undefined before the first update */
  readonly lastRotation: string | undefined;
  /** why an update may not begin now */
  readonly shut: string | undefined;
  /** what the masters know this run by; empty in a preview, which claims none */
  readonly claim: string;
}

/** The name of a cluster's resource, distinct from those of the stack's other clusters. */
export function resourceName(cluster: Pick<Cluster, "name">, own: string): string {
  return cluster.name === "" ? own : `${cluster.name}-${own}`;
}

/**
 * Looks at the masters, read only, and decides what a rollout would do.
 * @param name of the cluster, in a stack with several: the owner in its receipts, and the stack output that it is remembered by
 * @throws pulumi.RunError with every reason not to begin, before any key is made
 */
export async function surveyCluster(args: ClusterArgs, name = ""): Promise<Cluster> {
  await requireEngine();
  const owner = [pulumi.getProject(), pulumi.getStack(), ...(name === "" ? [] : [name])].join("/");
  const policy = { ...args.certificates, ...args.kubernetes, rotation: args.kubernetes.rotation };
  const tables = renewedTables(args, policy);
  const refuse = (error: unknown) => {
    throw refusal(name, error instanceof Error ? error.message : String(error));
  };
  const place = args.clusterId === undefined || args.region === undefined ? undefined : { clusterId: args.clusterId, region: args.region };
  const takesDisks = args.backup.diskSnapshot === true;
  const [{ claim, found, rows, kubernetes, plan, now }, last, cloud] = await Promise.all([
    claimAndLook(owner, tables, args).catch(refuse),
    lastOutputs(name),
    cloudOf(place, resourceName({ name }, "alicloud"), takesDisks).catch(refuse),
  ]);
  const question = { rows, kubernetes, owner, kept: plan.kept, renewBefore: args.certificates.renewBefore, now };
  const rolloutSeconds = longestRollout(args.masters.length, args.gate, args.pauseBetweenMasters);
  const restore = args.restore === undefined ? undefined : planRestore(found, { ...question, rolloutSeconds, rollout: args.restore });
  const renewals = (wanted: Wanted | undefined) =>
    restore === undefined ? planRenewals(found, kubernetes, policy, wanted?.authorities.etcd, plan.order.retire, now) : noRenewals(restore);
  const allowed = { outage: args.allowOutage, renewals: renewals(undefined).leaves };
  const identity = { owner, takeOver: args.takeOver, lastClusterId: last.cluster };
  const authorities = last.rotation === args.rotation ? last.authorities : undefined;
  const clients = (wanted: Wanted | undefined) =>
    clientsOf(found, {
      rows,
      authorities: wanted === undefined ? (authorities ?? []) : Object.values(wanted.authorities),
      kept: plan.kept,
      ignored: args.clients?.ignore ?? [],
    });
  const reasons = [
    ...refusals(found, args.masters, tables.table, identity, allowed),
    ...sharedFileRefusals(found, rows, kubernetes, layouts[args.layout.kind]),
    ...missingRefusals(found, rows, plan, authorities),
    ...(restore?.refusals ?? []),
    ...(cloud === undefined ? [] : cloudRefusals(cloud, cloud.masters, args.masters)),
    ...(cloud === undefined || !takesDisks ? [] : diskRefusals(cloud, cloud.masters)),
  ];
  if (reasons.length > 0) {
    throw refusal(name, reasons.join("\n"));
  }
  // a recovery cannot wait
  const shut = plan.mode === "recovery" ? undefined : windowRefusal(args.window, now, pulumi.getStack());
  if (shut !== undefined && !pulumi.runtime.isDryRun() && process.env[ignoreWindowVariable] !== pulumi.getStack()) {
    throw refusal(name, shut);
  }
  const clusterId = found.masters.map((master) => master.clusterId).find((id) => id !== "") ?? last.cluster ?? "";
  const { hasDiskSnapshots, rotation: lastRotation } = last;
  return { name, args, found, rows, kubernetes, plan, clients, renewals, restore, clusterId, cloud, hasDiskSnapshots, owner, lastRotation, shut, claim };
}

/** What ends the program with these reasons, and with the cluster's name where a stack has several. */
export function refusal(name: string, reasons: string): pulumi.RunError {
  return new pulumi.RunError(name === "" ? reasons : reasons.replaceAll(/^/gm, `${name}: `));
}

/** Every file that is looked after, wherever the stack file says it lies. */
interface Tables {
  readonly table: readonly Row[];
  readonly kubernetesTable: readonly KubernetesRow[];
}

function renewedTables({ layout }: ClusterArgs, policy: RenewalPolicy): Tables {
  const { rows, kubernetes } = tablesOf(layout);
  return { table: rows, kubernetesTable: renewedRows(kubernetes, policy) };
}

/**
 * In an update the masters are claimed first, so that nobody else changes them after the survey. One look may fall into an election
 * or a start: a recovery is begun only when two in a row, some seconds apart, say the same.
 */
async function claimAndLook(owner: string, tables: Tables, args: ClusterArgs) {
  const { skipUnreachable } = args;
  await refuseStaleAgent();
  const all = surveyTargets(args, owner, [...tables.table, ...tables.kubernetesTable]);
  const { name: claim, targets } = pulumi.runtime.isDryRun() ? { name: "", targets: all } : await claimMasters(all, owner, skipUnreachable);
  const look = async () => {
    const { masters } = await takeSurvey(targets, skipUnreachable);
    return judge(foundOf(masters, args.masters), tables, args.foreignAuthorities);
  };
  let last = await look();
  for (let looks = 1; last.plan.mode === "recovery"; looks += 1) {
    await setTimeout(nextLookMilliseconds);
    const next = await look();
    if (isDeepStrictEqual(next.plan.out, last.plan.out)) {
      return { claim, ...next };
    }
    if (looks === mostLooks) {
      const [before, now] = [last, next].map(({ plan }) => (plan.causes.length === 0 ? "nothing" : plan.causes.join("; ")));
      throw new Error(`Cannot tell what is out: ${before}; and some seconds later: ${now}; expected the same twice. Nothing was changed: run it again`);
    }
    last = next;
  }
  return { claim, ...last };
}

/** Longer than an election, which takes up to twice etcd's --election-timeout (3 s on ACK). */
const nextLookMilliseconds = 8000;
const mostLooks = 4;

function judge(found: Found, { table, kubernetesTable }: Tables, foreignAuthorities: ForeignPolicy | undefined) {
  const now = Date.now();
  const rows = presentRows(table, found);
  const kubernetes = presentRows(kubernetesTable, found);
  return { found, rows, kubernetes, plan: planRollout(found, rows, kubernetes, now, foreignAuthorities), now };
}

/** The steps' connection to a master; secret, since it holds the key or the password. */
export function connectionTo(args: ClusterArgs, master: ClusterArgs["masters"][number]): command.types.input.remote.ConnectionArgs {
  const bastion = bastionOf(args);
  return { ...endpoint(accessTo(args, master)), ...(bastion === undefined ? {} : { proxy: endpoint(bastion) }) };
}

function endpoint(access: Access) {
  return {
    host: access.host,
    port: access.port,
    user: access.user,
    dialErrorLimit: 5,
    perDialTimeout: 15,
    ...(access.hostKey === "unchecked" ? {} : { hostKey: access.hostKey }),
    ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
    ...(access.passphrase === undefined ? {} : { privateKeyPassword: access.passphrase }),
    ...(access.password === undefined ? {} : { password: access.password }),
    ...(access.agentSocket === undefined ? {} : { agentSocketPath: access.agentSocket }),
  };
}

interface LastOutputs extends Readonly<Record<"cluster" | "rotation", string | undefined>> {
  readonly authorities: readonly string[];
  readonly hasDiskSnapshots: boolean;
}

/** What this stack's last update has put out for a cluster; a stack may refer to itself, also before its first update. */
async function lastOutputs(name: string): Promise<LastOutputs> {
  const self = new pulumi.StackReference(resourceName({ name }, "self"), {
    name: `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`,
  });
  const read = async (key: string) => (await self.getOutputDetails(key)).value;
  const own = name === "" ? undefined : await read(name);
  const [cluster, rotation, authorities, diskSnapshots] = await Promise.all(
    ["cluster", "rotation", "authorities", "diskSnapshots"].map((key) => (name === "" ? read(key) : fieldOf(own, key))),
  );
  const held: unknown[] = typeof authorities === "object" && authorities !== null ? Object.values(authorities) : [];
  const hasDiskSnapshots = typeof diskSnapshots === "object" && diskSnapshots !== null && Object.keys(diskSnapshots).length > 0;
  return { cluster: textIn(cluster), rotation: textIn(rotation), authorities: held.flatMap((each) => textIn(each) ?? []), hasDiskSnapshots };
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

function textIn(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
