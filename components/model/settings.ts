import type { MasterSpec } from "./checks.ts";
import type { CrossPolicy } from "./handover.ts";
import { type Component, type KubernetesAuthority, type KubernetesRow, withPaths } from "./layout/rows.ts";
import { type Layout, type LayoutKind, layouts } from "./layout/tables.ts";
import type { Hold } from "./missing.ts";
import type { RenewalPolicy } from "./renewals.ts";
import type { ForeignPolicy } from "./trust.ts";
import type { Window } from "./window.ts";

/** Key algorithms, as the stack file names them. */
export const keyAlgorithms = ["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

export const probePolicies = ["on", "off"] as const;
type ProbePolicy = (typeof probePolicies)[number];

/** What of the settings decides how masters are reached and treated; durations in seconds. */
export interface ClusterArgs {
  readonly rotation: string;
  readonly masters: readonly (MasterSpec & {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly user?: string | undefined;
    readonly hostKey: string;
  })[];
  readonly ssh: Login & {
    readonly bastion?: (Login & { readonly host: string; readonly hostKey: string }) | undefined;
  };
  readonly certificates: {
    readonly validity: number;
    readonly renewBefore: number;
    readonly algorithm: KeyAlgorithm;
  };
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
  readonly crossCertificates?: CrossPolicy | undefined;
  /** of etcd, besides Kubernetes: Secrets, processes, units and addresses that nobody is told of and nothing waits for */
  readonly clients?: { readonly ignore: readonly string[] } | undefined;
  /** what clients notice of an update is watched on the masters, unless it is off */
  readonly probe?: ProbePolicy | undefined;
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

/** A file of one of Kubernetes' authorities that the stack file adds to the layout: a certificate with its key, or a kubeconfig. */
type ExtraFile = {
  readonly name: string;
  /** who reads it only at its start */
  readonly restarts: readonly Component[];
} & (
  | {
      readonly kind: "pair";
      readonly certificate: string;
      readonly key: string;
      readonly authority: KubernetesAuthority;
    }
  | { readonly kind: "kubeconfig"; readonly path: string }
);

interface LayoutSettings {
  readonly kind: LayoutKind;
  readonly paths: Readonly<Partial<Record<string, string>>>;
  readonly extra?: readonly ExtraFile[] | undefined;
}

/** When Kubernetes' own certificates are renewed, and how. */
export function renewalPolicy({
  certificates,
  kubernetes,
}: Pick<ClusterArgs, "certificates" | "kubernetes">): RenewalPolicy {
  return { ...certificates, ...kubernetes, rotation: kubernetes.rotation };
}

/** The tables of a cluster: its own paths in place of the defaults, and what it has besides. */
export function tablesOf({ kind, paths, extra = [] }: LayoutSettings): Pick<Layout, "rows" | "kubernetes"> {
  const { rows, kubernetes } = layouts[kind];
  return {
    rows: withPaths(rows, paths),
    kubernetes: [...withPaths(kubernetes, paths), ...extra.flatMap(rowsOf)],
  };
}

/** An extra row is a row like any other. */
function rowsOf(file: ExtraFile): KubernetesRow[] {
  const common = {
    group: file.name,
    owner: "root:root",
    optional: true,
    isLater: true,
    restarts: file.restarts,
  } as const;
  switch (file.kind) {
    case "pair": {
      const pair = { signer: file.authority, ...common };
      return [
        { id: file.name, kind: "cert", path: file.certificate, mode: "644", ...pair },
        { id: `${file.name}-key`, kind: "key", path: file.key, mode: "600", ...pair },
      ];
    }
    case "kubeconfig":
      return [
        { id: file.name, kind: "kubeconfig", path: file.path, signer: "cluster-ca", mode: "600", ...common },
      ];
    default:
      return file satisfies never;
  }
}
