import type { LabOptions } from "./options.ts";

/** Where a master's kube-apiserver has what it needs as a client of etcd. */
export interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const pki = "/etc/kubernetes/pki";

/** Written out here, not taken from the program's layout. */
export const clientFiles: Readonly<Record<LabOptions["layout"], ClientFiles>> = {
  ack: { ca: `${pki}/etcd/ca.pem`, cert: `${pki}/etcd/etcd-client.pem`, key: `${pki}/etcd/etcd-client-key.pem` },
  kubeadm: { ca: `${pki}/etcd/ca.crt`, cert: `${pki}/apiserver-etcd-client.crt`, key: `${pki}/apiserver-etcd-client.key` },
};

/** Where kubeadm labs have etcd's programs: not in the path, as on a master that has them only in etcd's image. */
export const etcdFolder = "/opt/etcd";
