import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type MasterSpec, refusals } from "./model/checks.ts";
import type { Found } from "./model/found.ts";
import { ackLayout, type Row, withPaths } from "./model/layout.ts";
import { planRollout, type RolloutPlan } from "./model/plan.ts";
import type { StepData } from "./model/step-data.ts";
import type { Access } from "./survey/ssh.ts";
import { takeSurvey } from "./survey/survey.ts";

/** What of the settings decides how masters are reached and treated; durations in seconds. */
export interface ClusterArgs {
  readonly rotation: string;
  readonly masters: readonly (MasterSpec & {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly user?: string | undefined;
    readonly hostKey: string;
  })[];
  readonly ssh: Login & { readonly bastion?: (Login & { readonly host: string; readonly hostKey: string }) | undefined };
  readonly layout: { readonly paths: Readonly<Partial<Record<string, string>>> };
  readonly drain: number;
  readonly pauseBetweenMasters: number;
  readonly gate: number;
  readonly backup: { readonly keep: number; readonly directory: string };
  readonly allowOutage: boolean;
  readonly takeOver?: string | undefined;
}

/** How a user logs in; the key as text. */
export interface Login {
  readonly user: string;
  readonly port: number;
  readonly privateKey?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly agent: boolean;
}

/** A cluster as found, and what is going to be done with it. */
export interface Cluster {
  readonly args: ClusterArgs;
  readonly found: Found;
  readonly rows: readonly Row[];
  readonly plan: RolloutPlan;
  readonly clusterId: string;
  readonly owner: string;
}

/**
 * Looks at the masters, read only, and decides what a rollout would do.
 * @throws pulumi.RunError with every reason not to begin, before any key is made
 */
export async function surveyCluster(args: ClusterArgs): Promise<Cluster> {
  const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
  const table = withPaths(ackLayout, args.layout.paths);
  const [found, lastClusterId] = await Promise.all([
    takeSurvey(
      args.masters.map((master) => ({ access: accessTo(args, master), bastion: bastionOf(args), data: surveyData(args, owner, table, master) })),
    ).catch((error: unknown) => {
      throw new pulumi.RunError(error instanceof Error ? error.message : String(error));
    }),
    ownClusterId(),
  ]);
  const reasons = refusals(found, args.masters, table, { owner, takeOver: args.takeOver, lastClusterId }, args.allowOutage);
  if (reasons.length > 0) {
    throw new pulumi.RunError(reasons.join("\n"));
  }
  const rows = presentRows(table, found);
  const clusterId = found.masters.map((master) => master.clusterId).find((id) => id !== "") ?? lastClusterId ?? "";
  return { args, found, rows, plan: planRollout(found, rows, Date.now()), clusterId, owner };
}

/** The steps' connection to a master; secret, since it holds the key. */
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
    ...(access.agentSocket === undefined ? {} : { agentSocketPath: access.agentSocket }),
  };
}

/** The cluster that this stack's last update worked on; a stack may refer to itself, also before its first update. */
async function ownClusterId(): Promise<string | undefined> {
  const self = new pulumi.StackReference("self", { name: `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}` });
  const { value } = await self.getOutputDetails("cluster");
  return typeof value === "string" ? value : undefined;
}

/** A row that may be missing, and is missing everywhere, is none of this cluster's. */
function presentRows(table: readonly Row[], found: Found): Row[] {
  return table.filter((row) => row.optional !== true || found.masters.some((master) => master.files[row.id]?.isPresent === true));
}

function accessTo({ ssh }: ClusterArgs, master: ClusterArgs["masters"][number]): Access {
  return { ...credentials(ssh), host: master.host ?? master.address, port: master.port ?? ssh.port, user: master.user ?? ssh.user, hostKey: master.hostKey };
}

function bastionOf({ ssh }: ClusterArgs): Access | undefined {
  return ssh.bastion === undefined
    ? undefined
    : { ...credentials(ssh.bastion), host: ssh.bastion.host, port: ssh.bastion.port, user: ssh.bastion.user, hostKey: ssh.bastion.hostKey };
}

function credentials({ privateKey, passphrase, agent }: Login): Pick<Access, "privateKey" | "passphrase" | "agentSocket"> {
  return { privateKey, passphrase, agentSocket: agent ? process.env["SSH_AUTH_SOCK"] : undefined };
}

function surveyData(args: ClusterArgs, owner: string, rows: readonly Row[], master: ClusterArgs["masters"][number]): StepData {
  return {
    ...commonData(args, owner, rows, master),
    phase: "survey",
    contents: {},
    heirAddresses: [],
    clusterId: "",
    rollout: 0,
    attempt: "",
    authorities: [],
    mode: "rolling",
    takesSnapshot: false,
    gateSeconds: 0,
  };
}

/** What every script on a master is told, whatever the phase. */
export function commonData(args: ClusterArgs, owner: string, rows: readonly Row[], master: ClusterArgs["masters"][number]) {
  return {
    master,
    memberAddresses: args.masters.map((each) => each.address),
    rows,
    owner,
    takeOver: args.takeOver ?? "",
    rotation: args.rotation,
    isOutageAllowed: args.allowOutage,
    backupFolder: args.backup.directory,
    backupsToKeep: args.backup.keep,
    drainSeconds: args.drain,
    pauseSeconds: args.pauseBetweenMasters,
    gateSeconds: args.gate,
  };
}
