import type { KeyAlgorithm } from "../certificate-authority.ts";
import type { MasterSpec } from "../model/checks.ts";
import type { LayoutSettings } from "../model/extra-files.ts";
import type { KubernetesRow, Row } from "../model/layout.ts";
import type { Hold } from "../model/missing.ts";
import type { RenewalPolicy } from "../model/renewals.ts";
import { rotationOf } from "../model/restore.ts";
import { noRenewal, type StepData } from "../model/step-data.ts";
import type { ForeignPolicy } from "../model/trust.ts";
import type { Window } from "../model/window.ts";
import type { Access } from "./access.ts";
import { agentSocket } from "./agent.ts";
import type { SurveyTarget } from "./survey.ts";

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
  readonly certificates: { readonly validity: number; readonly renewBefore: number; readonly algorithm: KeyAlgorithm };
  readonly kubernetes: Pick<RenewalPolicy, "renew" | "keepKeys"> & { readonly rotation?: string | undefined };
  readonly layout: LayoutSettings;
  readonly drain: number;
  readonly pauseBetweenMasters: number;
  readonly gate: number;
  readonly backup: {
    readonly keep: number;
    readonly directory: string;
    /** of each master's system disk, before the first phase; needs clusterId */
    readonly diskSnapshot?: boolean;
    readonly diskSnapshotRetentionDays?: number;
  };
  /** as Alibaba Cloud knows the cluster; its masters are compared with these */
  readonly clusterId?: string | undefined;
  readonly region?: string | undefined;
  /** rollout whose backup on the masters is the wanted set, instead of the stack's certificates */
  readonly restore?: number | undefined;
  readonly foreignAuthorities?: ForeignPolicy | undefined;
  /** of etcd, besides Kubernetes: Secrets, processes, units and addresses that nobody is told of and nothing waits for */
  readonly clients?: { readonly ignore: readonly string[] } | undefined;
  readonly allowOutage: boolean;
  readonly skipUnreachable?: boolean;
  readonly holdBefore?: Hold | undefined;
  readonly takeOver?: string | undefined;
  /** when a rollout may begin; always, when there is none */
  readonly window?: Window | undefined;
}

/** How a user logs in: by a key, as text, by a password, or by an agent. */
export interface Login {
  readonly user: string;
  readonly port: number;
  readonly privateKey?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly password?: string | undefined;
  readonly agent: boolean;
}

/** Where to look, and what each master's survey is told. */
export function surveyTargets(args: ClusterArgs, owner: string, rows: readonly (Row | KubernetesRow)[]): SurveyTarget[] {
  return args.masters.map((master) => ({ access: accessTo(args, master), bastion: bastionOf(args), data: surveyData(args, owner, rows, master) }));
}

/** How a master is reached. */
export function accessTo({ ssh }: ClusterArgs, master: ClusterArgs["masters"][number]): Access {
  return { ...credentials(ssh), host: master.host ?? master.address, port: master.port ?? ssh.port, user: master.user ?? ssh.user, hostKey: master.hostKey };
}

/** The machine on the way to every master; undefined when they are reached directly. */
export function bastionOf({ ssh }: ClusterArgs): Access | undefined {
  return ssh.bastion === undefined
    ? undefined
    : { ...credentials(ssh.bastion), host: ssh.bastion.host, port: ssh.bastion.port, user: ssh.bastion.user, hostKey: ssh.bastion.hostKey };
}

function credentials({ privateKey, passphrase, password, agent }: Login): Pick<Access, "privateKey" | "passphrase" | "password" | "agentSocket"> {
  return { privateKey, passphrase, password, agentSocket: agent ? agentSocket() : undefined };
}

function surveyData(args: ClusterArgs, owner: string, rows: readonly (Row | KubernetesRow)[], master: ClusterArgs["masters"][number]): StepData {
  return {
    ...commonData(args, owner, rows, master),
    phase: "survey",
    claim: "",
    contents: {},
    heirAddresses: [],
    clusterId: "",
    rollout: 0,
    attempt: "",
    authorities: [],
    isJoining: false,
    out: [],
    isHeld: false,
    renewal: noRenewal,
    takesSnapshot: false,
    tellsReach: args.skipUnreachable === true,
    saved: [],
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
    memberAddresses: args.masters.filter((each) => each.joining !== true && !without.includes(each.name)).map((each) => each.address),
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
