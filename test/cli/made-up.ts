import type { Paint } from "../../cli/terminal.ts";
import type { CertificateStatus, State } from "../../components/model/certificate-status.ts";
import type { ClusterStatus } from "../../components/model/status.ts";

/** No colours at all. */
export const unpainted: Paint = (_, text) => text;

export const now = Date.parse("2026-11-25T12:00:00Z");

/** A certificate of one master, as `clusterStatus` gives it. */
export function certificate(
  master: string,
  file: string,
  end: string,
  state: State,
  rest: Partial<CertificateStatus> = {},
): CertificateStatus {
  const notAfter = Date.parse(`${end}T00:00:00Z`);
  return {
    master,
    file,
    path: `/path/${file}`,
    isOnDisk: true,
    port: undefined,
    subject: file,
    issuer: { name: "etcd-ca 2026-11", fingerprint: "aaaaaaaa11112222" },
    fingerprint: "bbbbbbbb33334444cccccccc55556666",
    notBefore: Date.parse("2026-11-01T00:00:00Z"),
    notAfter,
    daysLeft: Math.floor((notAfter - now) / 86_400_000),
    state,
    ...rest,
  };
}

/** Three masters: a leaf replaced by hand on the second, the third out of reach. */
export function drifted(
  names: readonly [string, string, string] = ["master-1", "master-2", "master-3"],
): ClusterStatus {
  const [first, second, third] = names;
  const told = { etcdVersion: "3.5.21", kubernetesVersion: "v1.30.14" };
  const untold = { etcdVersion: undefined, kubernetesVersion: undefined, databaseBytes: undefined };
  const kubernetes = { issuer: { name: "kubernetes", fingerprint: undefined } };
  return {
    stack: "prod-a",
    state: "drifted",
    masters: [
      {
        name: first,
        state: "due",
        etcd: "healthy",
        isLeader: true,
        isApiReady: true,
        ...told,
        databaseBytes: 20_480,
      },
      {
        name: second,
        state: "drifted",
        etcd: "healthy",
        isLeader: false,
        isApiReady: true,
        ...told,
        databaseBytes: 5 << 20,
      },
      { name: third, state: "unreachable", etcd: "unknown", isLeader: false, isApiReady: false, ...untold },
    ],
    members: 3,
    certificates: [
      certificate(first, "etcd-ca", "2076-11-12", "ok"),
      certificate(second, "etcd-ca", "2076-11-12", "ok"),
      certificate(first, "etcd-server", "2076-11-12", "ok", { port: 2379 }),
      certificate(second, "etcd-server", "2027-11-12", "drifted", {
        port: 2379,
        issuer: { name: "someone", fingerprint: undefined },
      }),
      certificate(first, "apiserver-kubelet-client", "2026-12-15", "due", kubernetes),
      certificate(second, "apiserver-kubelet-client", "2026-11-20", "expired", kubernetes),
    ],
    progress: undefined,
    findings: [
      {
        state: "unreachable",
        master: third,
        what: "Cannot connect to 10.0.0.3:22 as root: connect ECONNREFUSED. Is the master up and reachable from here? Try: ssh -p 22 root@10.0.0.3 true",
      },
      {
        state: "drifted",
        master: second,
        what: "etcd-server is not issued by any authority in etcd-ca of master-1",
      },
      {
        state: "due",
        master: undefined,
        what: 'rotation "2026-12" is asked for; the masters have "2026-11"',
      },
    ],
    notes: ["kubernetes.renew is never: pulumi up leaves Kubernetes' own certificates as they are."],
    rollout: 4,
    rotation: "2026-11",
    isComplete: true,
    lastBackup: 4,
  };
}
