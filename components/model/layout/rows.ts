/** A process on a master that reads files of the layout, in the order in which they are restarted: a kubelet that restarts forgets the back-off of its pods. */
export const components = [
  "etcd",
  "kube-apiserver",
  "kubelet",
  "kube-controller-manager",
  "kube-scheduler",
] as const;
export type Component = (typeof components)[number];

/** An authority of this program. Client and peer trust are apart, so that no client can pose as a member. */
export const authorities = ["etcd", "etcd-peer"] as const;
export type Authority = (typeof authorities)[number];

/** A leaf per master; the rows that name it are the places it is written to. */
export const leaves = ["etcd-server", "etcd-peer", "etcd-client"] as const;
export type Leaf = (typeof leaves)[number];

/** Something for each authority. */
export function byAuthority<T>(of: (authority: Authority) => T): Record<Authority, T> {
  return { etcd: of("etcd"), "etcd-peer": of("etcd-peer") };
}

/** Something for each leaf. */
export function byLeaf<T>(of: (leaf: Leaf) => T): Record<Leaf, T> {
  return { "etcd-server": of("etcd-server"), "etcd-peer": of("etcd-peer"), "etcd-client": of("etcd-client") };
}

/**
 * When a new file takes effect: `handshake` at the next one, `restart` only then.
 * etcd reads its leaves in GetCertificate and its trust files once (etcd client/pkg/transport/listener.go, etcd#11555);
 * kube-apiserver's etcd client is the same code (k8s.io/apiserver storagebackend/factory/etcd3.go).
 */
type Reload = "handshake" | "restart";

/** One file on a master, or one use of it, as far as scripts treat it. */
export interface FileRow {
  readonly id: string;
  /** `{etcdName}` and `{address}` stand for the master's */
  readonly path: string;
  readonly kind: "trust" | "cert" | "key" | "authority" | "authority-key" | "kubeconfig";
  /** a certificate and its key, or a file that stands alone: what is written together */
  readonly group: string;
  /** for a file that does not exist yet; an existing one keeps its own */
  readonly owner: string;
  readonly mode: string;
  /** left alone on a cluster that does not have it */
  readonly optional?: true;
}

/** A file whose content comes from the state. */
export interface Row extends FileRow {
  readonly kind: "trust" | "cert" | "key";
  readonly group: "server-trust" | "peer-trust" | "api-trust" | "server" | "peer" | "client" | "api-client";
  readonly authority: Authority;
  readonly leaf?: Leaf;
  /** for trust files: the leaves that are checked against it */
  readonly accepts?: readonly Leaf[];
  readonly reader: Component | "none";
  readonly reload: Reload;
  /** the flag of the reader's process that names the path */
  readonly flag?: string;
}

/** Whether a row's leaf is checked against a trust file. */
export function isCheckedAgainst({ leaf }: Row, trust: Row): boolean {
  return leaf !== undefined && (trust.accepts ?? []).includes(leaf);
}

/** An authority of Kubernetes, whose key stays on the masters: the group of its certificate and key. */
export const kubernetesAuthorities = ["cluster-ca", "front-proxy-ca"] as const;
export type KubernetesAuthority = (typeof kubernetesAuthorities)[number];

/** A file that is renewed on the master, with the authority key that lives there. */
export interface KubernetesRow extends FileRow {
  readonly kind: "cert" | "key" | "authority" | "authority-key" | "kubeconfig";
  /** who signs it; an authority signs itself */
  readonly signer: KubernetesAuthority;
  /** the processes that read it only when they start */
  readonly restarts: readonly Component[];
  /** the minor version of Kubernetes from which kube-apiserver takes a new file while it runs; before, only when it starts */
  readonly reloadsSince?: number;
  /** where a running process says what path it uses: component, flag, and the field of the file that its --config names */
  readonly flag?: readonly [component: Component, flag: string, field?: string];
  /** the records of what a process has read at its start may be from before this row: they do not cover its file */
  readonly isLater?: true;
  /** where it is served; one that is on disk and not served there is not in use */
  readonly port?: number;
  readonly optional: true;
}

/** The row as a master with this version of Kubernetes has it; one whose version is not known is taken for a newer one. */
export function asReadBy<T extends Row | KubernetesRow>(row: T, version: string): T {
  return "restarts" in row && (minorOf(version) ?? Number.POSITIVE_INFINITY) < (row.reloadsSince ?? 0)
    ? { ...row, restarts: ["kube-apiserver", ...row.restarts] }
    : row;
}

/** 18 of `v1.18.8-aliyun.1`; undefined of anything else. */
export function minorOf(version: string): number | undefined {
  const [, minor] = /^v1\.(\d+)(\D|$)/.exec(version) ?? [];
  return minor === undefined ? undefined : Number(minor);
}

/** The components that read a file only when they start. */
export function startReaders(row: Row | KubernetesRow): readonly Component[] {
  if ("restarts" in row) {
    return row.restarts;
  }
  return row.reader === "none" || row.reload !== "restart" ? [] : [row.reader];
}

/** A master, as far as the layout depends on it. */
export interface Placed {
  readonly etcdName: string;
  readonly address: string;
}

/** The rows with a cluster's own paths in place of the defaults. */
export function withPaths<T extends FileRow>(
  table: readonly T[],
  paths: Readonly<Partial<Record<string, string>>>,
): T[] {
  return table.map((row) => ({ ...row, path: paths[row.id] ?? row.path }));
}

/** A row's path on one master. */
export function pathOn(master: Placed, row: FileRow): string {
  return fillIn(row.path, master);
}

/** Replaces `{etcdName}` and `{address}`. */
export function fillIn(template: string, master: Placed): string {
  return template.replaceAll("{etcdName}", master.etcdName).replaceAll("{address}", master.address);
}
