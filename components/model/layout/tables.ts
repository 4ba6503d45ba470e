import { type KubernetesRow, leaves, type Row, withPaths } from "./rows.ts";

const etcdFile = { reader: "etcd", owner: "etcd:etcd" } as const;
const apiFile = { reader: "kube-apiserver", owner: "root:root" } as const;
const clientFile = { reader: "none", owner: "etcd:etcd" } as const;

/** An ACK dedicated master (source: the flags in its etcd.service and kube-apiserver manifest). */
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

const kubernetesFile = { owner: "root:root", optional: true } as const;
/** The path of a row that has a file only where a running process names one. */
export const nowhere = "/nonexistent";
/**
 * The cluster's authority under another name: its own group, with the authority as its signer, where no row above has that file
 * (ACK: ca.crt beside apiserver-ca.crt).
 */
const clusterAuthority = {
  path: nowhere,
  kind: "authority",
  signer: "cluster-ca",
  restarts: ["kubelet", "kube-controller-manager"],
  mode: "644",
  isLater: true,
  ...kubernetesFile,
} as const;

/**
 * Kubernetes' own certificates and kubeconfigs on an ACK dedicated master. Who reads them when:
 * kube-apiserver takes its serving pair (since 1.17, kubernetes#84200), both client pairs (for kubelets since 1.18, kubernetes#79083;
 * of the aggregator since 1.19, kubernetes#92791) and its client authorities while it runs: these since 1.17 (kubernetes#83579), but
 * not everywhere where they are used before 1.19 (kubernetes#90360);
 * a kubeconfig with embedded certificates is read once (client-go transport: "treat cert as static if either key or
 * cert was data"); kube-controller-manager reads --root-ca-file once (kubernetes#137410), the kubelet its serving pair
 * (before 1.31) and its client authority.
 */
// biome-ignore format: a table, a row per line
export const ackKubernetes: readonly KubernetesRow[] = [
  { id: "cluster-ca", path: "/etc/kubernetes/pki/apiserver-ca.crt", kind: "authority", group: "cluster-ca", signer: "cluster-ca", restarts: ["kubelet", "kube-controller-manager"], reloadsSince: 19, flag: ["kube-apiserver", "--client-ca-file"], mode: "644", ...kubernetesFile },
  { id: "cluster-ca-key", path: "/etc/kubernetes/pki/apiserver-ca.key", kind: "authority-key", group: "cluster-ca", signer: "cluster-ca", restarts: [], flag: ["kube-controller-manager", "--cluster-signing-key-file"], mode: "600", ...kubernetesFile },
  { id: "front-proxy-ca", path: "/etc/kubernetes/pki/front-proxy-ca.crt", kind: "authority", group: "front-proxy-ca", signer: "front-proxy-ca", restarts: [], reloadsSince: 19, flag: ["kube-apiserver", "--requestheader-client-ca-file"], mode: "644", ...kubernetesFile },
  { id: "front-proxy-ca-key", path: "/etc/kubernetes/pki/front-proxy-ca.key", kind: "authority-key", group: "front-proxy-ca", signer: "front-proxy-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "apiserver", path: "/etc/kubernetes/pki/apiserver.crt", kind: "cert", group: "apiserver", signer: "cluster-ca", restarts: [], reloadsSince: 17, port: 6443, flag: ["kube-apiserver", "--tls-cert-file"], mode: "644", ...kubernetesFile },
  { id: "apiserver-key", path: "/etc/kubernetes/pki/apiserver.key", kind: "key", group: "apiserver", signer: "cluster-ca", restarts: [], reloadsSince: 17, flag: ["kube-apiserver", "--tls-private-key-file"], mode: "600", ...kubernetesFile },
  { id: "apiserver-kubelet-client", path: "/etc/kubernetes/pki/apiserver-kubelet-client.crt", kind: "cert", group: "apiserver-kubelet-client", signer: "cluster-ca", restarts: [], reloadsSince: 18, flag: ["kube-apiserver", "--kubelet-client-certificate"], mode: "644", ...kubernetesFile },
  { id: "apiserver-kubelet-client-key", path: "/etc/kubernetes/pki/apiserver-kubelet-client.key", kind: "key", group: "apiserver-kubelet-client", signer: "cluster-ca", restarts: [], reloadsSince: 18, flag: ["kube-apiserver", "--kubelet-client-key"], mode: "600", ...kubernetesFile },
  { id: "front-proxy-client", path: "/etc/kubernetes/pki/front-proxy-client.crt", kind: "cert", group: "front-proxy-client", signer: "front-proxy-ca", restarts: [], reloadsSince: 19, flag: ["kube-apiserver", "--proxy-client-cert-file"], mode: "644", ...kubernetesFile },
  { id: "front-proxy-client-key", path: "/etc/kubernetes/pki/front-proxy-client.key", kind: "key", group: "front-proxy-client", signer: "front-proxy-ca", restarts: [], reloadsSince: 19, flag: ["kube-apiserver", "--proxy-client-key-file"], mode: "600", ...kubernetesFile },
  { id: "kubelet-server", path: "/var/lib/kubelet/pki/kubelet.crt", kind: "cert", group: "kubelet-server", signer: "cluster-ca", restarts: ["kubelet"], port: 10250, flag: ["kubelet", "--tls-cert-file"], mode: "644", ...kubernetesFile },
  { id: "kubelet-server-key", path: "/var/lib/kubelet/pki/kubelet.key", kind: "key", group: "kubelet-server", signer: "cluster-ca", restarts: ["kubelet"], flag: ["kubelet", "--tls-private-key-file"], mode: "600", ...kubernetesFile },
  { id: "admin.conf", path: "/etc/kubernetes/admin.conf", kind: "kubeconfig", group: "admin.conf", signer: "cluster-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "controller-manager.conf", path: "/etc/kubernetes/controller-manager.conf", kind: "kubeconfig", group: "controller-manager.conf", signer: "cluster-ca", restarts: ["kube-controller-manager"], flag: ["kube-controller-manager", "--kubeconfig"], mode: "600", ...kubernetesFile },
  { id: "scheduler.conf", path: "/etc/kubernetes/scheduler.conf", kind: "kubeconfig", group: "scheduler.conf", signer: "cluster-ca", restarts: ["kube-scheduler"], flag: ["kube-scheduler", "--kubeconfig"], mode: "600", ...kubernetesFile },
  { id: "kubelet.conf", path: "/etc/kubernetes/kubelet.conf", kind: "kubeconfig", group: "kubelet.conf", signer: "cluster-ca", restarts: ["kubelet"], flag: ["kubelet", "--kubeconfig"], mode: "600", ...kubernetesFile },
  { id: "root-kubeconfig", path: "/root/.kube/config", kind: "kubeconfig", group: "root-kubeconfig", signer: "cluster-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "kube.conf", path: "/etc/kubernetes/kube.conf", kind: "kubeconfig", group: "kube.conf", signer: "cluster-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "cloud-controller-manager.conf", path: "/etc/kubernetes/cloud-controller-manager.conf", kind: "kubeconfig", group: "cloud-controller-manager.conf", signer: "cluster-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "dashboard", path: "/etc/kubernetes/pki/dashboard/dashboard.crt", kind: "cert", group: "dashboard", signer: "cluster-ca", restarts: [], mode: "644", ...kubernetesFile },
  { id: "dashboard-key", path: "/etc/kubernetes/pki/dashboard/dashboard.key", kind: "key", group: "dashboard", signer: "cluster-ca", restarts: [], mode: "600", ...kubernetesFile },
  { id: "root-ca", group: "root-ca", flag: ["kube-controller-manager", "--root-ca-file"], ...clusterAuthority },
  { id: "signing-ca", group: "signing-ca", flag: ["kube-controller-manager", "--cluster-signing-cert-file"], ...clusterAuthority },
  { id: "kubelet-ca", group: "kubelet-ca", flag: ["kubelet", "--client-ca-file", "clientCAFile"], ...clusterAuthority },
];

const podFile = { reader: "etcd", owner: "root:root" } as const;
/** One authority for all, so what a trust file accepts does not depend on its use, and neither does its text. */
const kubeadmTrust = {
  path: "/etc/kubernetes/pki/etcd/ca.crt",
  kind: "trust",
  accepts: leaves,
  reload: "restart",
  mode: "644",
} as const;

/**
 * A kubeadm master with stacked etcd, a static pod (source: kubernetes cmd/kubeadm/app/constants/constants.go and phases/etcd/local.go).
 * ca.crt has a row for each of its three uses. The health check's client gets the leaf of kube-apiserver's.
 */
// biome-ignore format: a table, a row per line
const kubeadmRows: readonly Row[] = [
  { id: "etcd-ca", group: "server-trust", authority: "etcd", flag: "--trusted-ca-file", ...kubeadmTrust, ...podFile },
  { id: "etcd-peer-ca", group: "peer-trust", authority: "etcd-peer", flag: "--peer-trusted-ca-file", ...kubeadmTrust, ...podFile },
  { id: "apiserver-etcd-ca", group: "api-trust", authority: "etcd", flag: "--etcd-cafile", ...kubeadmTrust, ...apiFile },
  { id: "etcd-server", path: "/etc/kubernetes/pki/etcd/server.crt", kind: "cert", group: "server", authority: "etcd", leaf: "etcd-server", reload: "handshake", flag: "--cert-file", mode: "644", ...podFile },
  { id: "etcd-server-key", path: "/etc/kubernetes/pki/etcd/server.key", kind: "key", group: "server", authority: "etcd", leaf: "etcd-server", reload: "handshake", flag: "--key-file", mode: "600", ...podFile },
  { id: "etcd-peer", path: "/etc/kubernetes/pki/etcd/peer.crt", kind: "cert", group: "peer", authority: "etcd-peer", leaf: "etcd-peer", reload: "handshake", flag: "--peer-cert-file", mode: "644", ...podFile },
  { id: "etcd-peer-key", path: "/etc/kubernetes/pki/etcd/peer.key", kind: "key", group: "peer", authority: "etcd-peer", leaf: "etcd-peer", reload: "handshake", flag: "--peer-key-file", mode: "600", ...podFile },
  { id: "apiserver-etcd-client", path: "/etc/kubernetes/pki/apiserver-etcd-client.crt", kind: "cert", group: "api-client", authority: "etcd", leaf: "etcd-client", reload: "handshake", flag: "--etcd-certfile", mode: "644", ...apiFile },
  { id: "apiserver-etcd-client-key", path: "/etc/kubernetes/pki/apiserver-etcd-client.key", kind: "key", group: "api-client", authority: "etcd", leaf: "etcd-client", reload: "handshake", flag: "--etcd-keyfile", mode: "600", ...apiFile },
  { id: "etcd-healthcheck-client", path: "/etc/kubernetes/pki/etcd/healthcheck-client.crt", kind: "cert", group: "client", authority: "etcd", leaf: "etcd-client", reload: "handshake", mode: "644", optional: true, ...apiFile, reader: "none" },
  { id: "etcd-healthcheck-client-key", path: "/etc/kubernetes/pki/etcd/healthcheck-client.key", kind: "key", group: "client", authority: "etcd", leaf: "etcd-client", reload: "handshake", mode: "600", optional: true, ...apiFile, reader: "none" },
];

/** The same files as on ACK, but for the cluster's authority and one kubeconfig more (since 1.29). */
const kubeadmKubernetes: readonly KubernetesRow[] = [
  ...withPaths(ackKubernetes, {
    "cluster-ca": "/etc/kubernetes/pki/ca.crt",
    "cluster-ca-key": "/etc/kubernetes/pki/ca.key",
  }),
  {
    id: "super-admin.conf",
    path: "/etc/kubernetes/super-admin.conf",
    kind: "kubeconfig",
    group: "super-admin.conf",
    signer: "cluster-ca",
    restarts: [],
    mode: "600",
    ...kubernetesFile,
  },
];

/** Files and ports of a master that are used but not rotated here. */
export const ackSurroundings = {
  etcdUnit: "etcd",
  /** where etcd is no unit: the manifest of its static pod */
  etcdManifest: "",
  apiManifest: "/etc/kubernetes/manifests/kube-apiserver.yaml",
  kubeletUnit: "kubelet",
  etcdClientPort: 2379,
  etcdPeerPort: 2380,
  apiPort: 6443,
  kubeletPort: 10250,
  apiCa: "/etc/kubernetes/pki/apiserver-ca.crt",
  apiClientCert: "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
  apiClientKey: "/etc/kubernetes/pki/apiserver-kubelet-client.key",
  adminConf: "/etc/kubernetes/admin.conf",
} as const;

/** All that differs between the kinds of masters. */
export interface Layout {
  readonly rows: readonly Row[];
  readonly kubernetes: readonly KubernetesRow[];
  /** globs of certificates that verify lists, as the official page does */
  readonly listings: readonly string[];
  readonly surroundings: Readonly<Record<keyof typeof ackSurroundings, string | number>>;
  /** members trust each other by an authority of their own; else by the one of the clients */
  readonly hasPeerAuthority: boolean;
}

export const layoutKinds = ["ack", "kubeadm"] as const;
export type LayoutKind = (typeof layoutKinds)[number];

export const layouts: Readonly<Record<LayoutKind, Layout>> = {
  ack: {
    rows: ackLayout,
    kubernetes: ackKubernetes,
    listings: ["/var/lib/etcd/cert/*.pem", "/etc/kubernetes/pki/etcd/*.pem", "/etc/kubernetes/pki/*.crt"],
    surroundings: ackSurroundings,
    hasPeerAuthority: true,
  },
  kubeadm: {
    rows: kubeadmRows,
    kubernetes: kubeadmKubernetes,
    listings: ["/etc/kubernetes/pki/etcd/*.crt", "/etc/kubernetes/pki/*.crt"],
    surroundings: {
      ...ackSurroundings,
      etcdUnit: "",
      etcdManifest: "/etc/kubernetes/manifests/etcd.yaml",
      apiCa: "/etc/kubernetes/pki/ca.crt",
    },
    hasPeerAuthority: false,
  },
};
