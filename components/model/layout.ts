/** A process on a master that reads files of the layout, in the order in which they are restarted. */
export const components = ["etcd", "kube-apiserver"] as const;
export type Component = (typeof components)[number];

/** An authority of this program. Client and peer trust are apart, so that no client can pose as a member. */
export const authorities = ["etcd", "etcd-peer"] as const;
export type Authority = (typeof authorities)[number];

/** A leaf per master; the rows that name it are the places it is written to. */
export const leaves = ["etcd-server", "etcd-peer", "etcd-client"] as const;
export type Leaf = (typeof leaves)[number];

/**
 * When a new file takes effect: `handshake` at the next one, `restart` only then.
 * etcd reads its leaves in GetCertificate and its trust files once (etcd client/pkg/transport/listener.go, etcd#11555);
 * kube-apiserver's etcd client is the same code (k8s.io/apiserver storagebackend/factory/etcd3.go).
 */
export type Reload = "handshake" | "restart";

/** One file on a master. */
export interface Row {
  readonly id: string;
  /** `{etcdName}` and `{address}` stand for the master's */
  readonly path: string;
  readonly kind: "trust" | "cert" | "key";
  /** a certificate and its key, or a trust file: what is written together */
  readonly group: "server-trust" | "peer-trust" | "api-trust" | "server" | "peer" | "client" | "api-client";
  /** whose certificate it is (trust), or who signed it */
  readonly authority: Authority;
  readonly leaf?: Leaf;
  /** for trust files: the leaves that are checked against it */
  readonly accepts?: readonly Leaf[];
  readonly reader: Component | "none";
  readonly reload: Reload;
  /** the flag of the reader's process that names the path */
  readonly flag?: string;
  /** for a file that does not exist yet; an existing one keeps its own */
  readonly owner: string;
  readonly mode: string;
  /** left alone on a cluster that does not have it */
  readonly optional?: true;
}

/** What is asked of each leaf; key usages as RFC 5280 section 4.2.1.3 and 4.2.1.12 name them. */
export const leafProfiles = {
  // a server leaf is etcd's own client towards its gateway (etcd#9785): without clientAuth the gateway answers 503
  "etcd-server": { authority: "etcd", commonName: "etcd-server", uses: ["server_auth", "client_auth"], sans: "server" },
  // peers are each other's clients and servers; a peer is checked against its remote address (etcd listener_tls.go)
  "etcd-peer": { authority: "etcd-peer", commonName: "{etcdName}", uses: ["server_auth", "client_auth"], sans: "server" },
  "etcd-client": { authority: "etcd", commonName: "etcd-client", uses: ["client_auth"], sans: "none" },
} as const satisfies Record<Leaf, LeafProfile>;

export interface LeafProfile {
  readonly authority: Authority;
  readonly commonName: string;
  readonly uses: readonly string[];
  readonly sans: "server" | "none";
}

const etcdFile = { reader: "etcd", owner: "etcd:etcd" } as const;
const apiFile = { reader: "kube-apiserver", owner: "root:root" } as const;
const clientFile = { reader: "none", owner: "etcd:etcd" } as const;

/**
 * An ACK dedicated master (source: the flags in its etcd.service and kube-apiserver manifest).
 * Kubernetes' own certificates and kubeconfigs belong here as rows of the readers that retire restarts.
 */
// biome-ignore format: a table, a row per line
export const ackLayout: readonly Row[] = [
  { id: "etcd-ca", path: "/var/lib/etcd/cert/ca.pem", kind: "trust", group: "server-trust", authority: "etcd", accepts: ["etcd-client", "etcd-server"], reload: "restart", flag: "--trusted-ca-file", mode: "644", ...etcdFile },
  { id: "etcd-peer-ca", path: "/var/lib/etcd/cert/peer-ca.pem", kind: "trust", group: "peer-trust", authority: "etcd-peer", accepts: ["etcd-peer"], reload: "restart", flag: "--peer-trusted-ca-file", mode: "644", ...etcdFile },
  { id: "apiserver-etcd-ca", path: "/etc/kubernetes/pki/etcd/ca.pem", kind: "trust", group: "api-trust", authority: "etcd", accepts: ["etcd-server"], reload: "restart", flag: "--etcd-cafile", mode: "644", ...apiFile },
  { id: "etcd-server", path: "/var/lib/etcd/cert/etcd-server.pem", kind: "cert", group: "server", authority: "etcd", leaf: "etcd-server", reload: "handshake", flag: "--cert-file", mode: "644", ...etcdFile },
  { id: "etcd-server-key", path: "/var/lib/etcd/cert/etcd-server-key.pem", kind: "key", group: "server", authority: "etcd", leaf: "etcd-server", reload: "handshake", flag: "--key-file", mode: "600", ...etcdFile },
  { id: "etcd-peer", path: "/var/lib/etcd/cert/{etcdName}.pem", kind: "cert", group: "peer", authority: "etcd-peer", leaf: "etcd-peer", reload: "handshake", flag: "--peer-cert-file", mode: "644", ...etcdFile },
  { id: "etcd-peer-key", path: "/var/lib/etcd/cert/{etcdName}-key.pem", kind: "key", group: "peer", authority: "etcd-peer", leaf: "etcd-peer", reload: "handshake", flag: "--peer-key-file", mode: "600", ...etcdFile },
  { id: "etcd-client", path: "/var/lib/etcd/cert/etcd-client.pem", kind: "cert", group: "client", authority: "etcd", leaf: "etcd-client", reload: "handshake", mode: "644", optional: true, ...clientFile },
  { id: "etcd-client-key", path: "/var/lib/etcd/cert/etcd-client-key.pem", kind: "key", group: "client", authority: "etcd", leaf: "etcd-client", reload: "handshake", mode: "600", optional: true, ...clientFile },
  { id: "apiserver-etcd-client", path: "/etc/kubernetes/pki/etcd/etcd-client.pem", kind: "cert", group: "api-client", authority: "etcd", leaf: "etcd-client", reload: "handshake", flag: "--etcd-certfile", mode: "644", ...apiFile },
  { id: "apiserver-etcd-client-key", path: "/etc/kubernetes/pki/etcd/etcd-client-key.pem", kind: "key", group: "api-client", authority: "etcd", leaf: "etcd-client", reload: "handshake", flag: "--etcd-keyfile", mode: "600", ...apiFile },
];

/** The three listings of the official page, as globs. */
export const ackListings = ["/var/lib/etcd/cert/*.pem", "/etc/kubernetes/pki/etcd/*.pem", "/etc/kubernetes/pki/*.crt"] as const;

/** Files and ports of a master that are used but not rotated here. */
export const ackSurroundings = {
  etcdUnit: "etcd",
  kubeletUnit: "kubelet",
  etcdClientPort: 2379,
  etcdPeerPort: 2380,
  apiPort: 6443,
  apiCa: "/etc/kubernetes/pki/apiserver-ca.crt",
  apiClientCert: "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
  apiClientKey: "/etc/kubernetes/pki/apiserver-kubelet-client.key",
} as const;

/** Which leaf answers on which port: each is checked by the trust rows that accept it, and by no others. */
export const servedLeaves = { [ackSurroundings.etcdClientPort]: "etcd-server", [ackSurroundings.etcdPeerPort]: "etcd-peer" } as const satisfies Record<
  number,
  Leaf
>;

/** A master, as far as the layout depends on it. */
export interface Placed {
  readonly etcdName: string;
  readonly address: string;
}

/** The rows with a cluster's own paths in place of the defaults. */
export function withPaths(table: readonly Row[], paths: Readonly<Partial<Record<string, string>>>): Row[] {
  return table.map((row) => ({ ...row, path: paths[row.id] ?? row.path }));
}

/** A row's path on one master. */
export function pathOn(master: Placed, row: Row): string {
  return fillIn(row.path, master);
}

/** Replaces `{etcdName}` and `{address}`. */
export function fillIn(template: string, master: Placed): string {
  return template.replaceAll("{etcdName}", master.etcdName).replaceAll("{address}", master.address);
}
