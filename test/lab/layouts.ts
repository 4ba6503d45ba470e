import type { LabOptions } from "./options.ts";

/** Where a master's kube-apiserver has what it needs as a client of etcd. */
export interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What one layout's masters have that another's have not; machine/certificates adds the files that only one has. */
export interface LabLayout {
  /** what the program calls it */
  readonly kind: "ack" | "kubeadm";
  /** where systemd has etcd's unit; without it the kubelet runs etcd */
  readonly unit?: string;
  readonly hostKeys: readonly string[];
  readonly clientFiles: ClientFiles;
  /** members trust each other by an authority of their own, whatever the options say */
  readonly hasPeerCa: boolean;
  /** for how long leaves are valid that outlive their authority, whose end is then the one that the options give */
  readonly leafYears?: number;
  /** the master has what is made once it serves: a Secret with etcd's client certificate, and a scraper of etcd */
  readonly isScraped: boolean;
  /** as `openssl req -subj` has them */
  readonly subjects: { readonly etcdCa: string; readonly peerCa: string; readonly clusterCa: string };
  /** of etcd's leaves, as `subjectAltName` has them; {name}, {address}, {etcdName} are the master's, {masters} the addresses of all */
  readonly serverSans: string;
  readonly peerSans: string;
  /** of these, what a new leaf would not have by itself */
  readonly extraSans: readonly string[];
  /** where the program has to be told that a file lies elsewhere: `layout.paths` */
  readonly paths?: Readonly<Record<string, string>>;
  /** texts in manifests and in the kubelet's settings, and what stands there in this layout */
  readonly texts: Readonly<Record<string, string>>;
}

const pki = "/etc/kubernetes/pki";
const ackFiles: ClientFiles = {
  ca: `${pki}/etcd/ca.pem`,
  cert: `${pki}/etcd/etcd-client.pem`,
  key: `${pki}/etcd/etcd-client-key.pem`,
};
const kubeadmFiles: ClientFiles = {
  ca: `${pki}/etcd/ca.crt`,
  cert: `${pki}/apiserver-etcd-client.crt`,
  key: `${pki}/apiserver-etcd-client.key`,
};
const labSubjects = {
  etcdCa: "/O=lab/CN=etcd-ca",
  peerCa: "/O=lab/CN=etcd-peer-ca",
  clusterCa: "/O=lab/CN=kubernetes",
};
const ownSans = "IP:127.0.0.1,IP:{address},DNS:localhost,DNS:{name},DNS:{etcdName}";
const clusterCaPath = {
  "clientCAFile: /etc/kubernetes/pki/apiserver-ca.crt": "clientCAFile: /etc/kubernetes/pki/ca.crt",
};

/** Written out here, not taken from the program's layout. */
export const labLayouts: Readonly<Record<LabOptions["layout"], LabLayout>> = {
  // a real ACK dedicated cluster, from public material: no real one was looked at
  ack: {
    kind: "ack",
    unit: "usr/lib/systemd/system/etcd.service",
    hostKeys: ["ed25519", "ecdsa", "rsa"],
    clientFiles: ackFiles,
    hasPeerCa: true,
    leafYears: 50,
    isScraped: true,
    subjects: {
      etcdCa: "/CN=CA",
      peerCa: "/CN=Peer-CA",
      clusterCa: "/O=alibaba cloud+O=hangzhou/CN=kubernetes",
    },
    serverSans: "{masters},DNS:ext1.example.com,DNS:coreos1,DNS:coreos1.local",
    peerSans: ownSans,
    extraSans: ["{masters}", "ext1.example.com", "coreos1", "coreos1.local"],
    paths: { "cluster-ca-key": "/etc/kubernetes/pki/ca.key" },
    texts: {
      ...clusterCaPath,
      "--root-ca-file=/etc/kubernetes/pki/apiserver-ca.crt": "--root-ca-file=/etc/kubernetes/pki/ca.crt",
      "--cluster-signing-cert-file=/etc/kubernetes/pki/apiserver-ca.crt":
        "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt",
      "--cluster-signing-key-file=/etc/kubernetes/pki/apiserver-ca.key":
        "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
    },
  },
  // ACK's paths with a public key infrastructure as one would make it today
  tidy: {
    kind: "ack",
    unit: "etc/systemd/system/etcd.service",
    hostKeys: ["ed25519"],
    clientFiles: ackFiles,
    hasPeerCa: false,
    isScraped: false,
    subjects: labSubjects,
    serverSans: `${ownSans},DNS:etcd.lab.internal`,
    peerSans: ownSans,
    extraSans: ["etcd.lab.internal"],
    texts: {},
  },
  kubeadm: {
    kind: "kubeadm",
    hostKeys: ["ed25519"],
    clientFiles: kubeadmFiles,
    hasPeerCa: false,
    isScraped: false,
    subjects: labSubjects,
    serverSans: `${ownSans},IP:::1`,
    peerSans: `${ownSans},IP:::1`,
    extraSans: ["::1"],
    texts: {
      "/etc/kubernetes/pki/apiserver-ca.": "/etc/kubernetes/pki/ca.",
      [ackFiles.ca]: kubeadmFiles.ca,
      [ackFiles.cert]: kubeadmFiles.cert,
      [ackFiles.key]: kubeadmFiles.key,
    },
  },
};

/** A worker's kubelet has the authority's certificate under this name in every layout. */
export const workerTexts = clusterCaPath;

/** Where kubeadm labs have etcd's programs: not in the path, as on a master that has them only in etcd's image. */
export const etcdFolder = "/opt/etcd";

/** What a master's new leaves have to be told of, in a stack file. */
export function extraSansIn(
  { masters, options }: { readonly masters: readonly Named[]; readonly options: Pick<LabOptions, "layout"> },
  { address }: Named,
): string[] {
  const others = masters.map((master) => master.address).filter((other) => other !== address);
  return labLayouts[options.layout].extraSans.flatMap((name) => (name === "{masters}" ? others : [name]));
}

interface Named {
  readonly address: string;
}
