import { type Certificate, hasIssued, type PublicKey } from "./certificate.ts";
import type { Component, FileRow, KubernetesAuthority, KubernetesRow } from "./layout/rows.ts";

/** What the survey read from one master; public data only. */
export interface FoundMaster {
  readonly name: string;
  /** seconds since 1970 by the master's clock, and by the operator's at about the same moment */
  readonly clock: number;
  readonly operatorClock: number;
  /** by row id */
  readonly files: Readonly<Record<string, FoundFile>>;
  readonly processes: Readonly<Partial<Record<Component, FoundProcess>>>;
  /** by port */
  readonly served: Readonly<Record<number, Certificate>>;
  readonly etcd: EtcdState;
  /** what is wrong with it, for people; empty when it is healthy */
  readonly etcdProblem: string;
  /** a linearizable read through this member succeeds: what quorum is counted by */
  readonly doesAnswer: boolean;
  readonly isLeader: boolean;
  /** decimal, as etcd's status prints it; empty when the member does not answer */
  readonly clusterId: string;
  readonly version: string;
  /** of the member's database file; undefined when it does not answer */
  readonly databaseBytes: number | undefined;
  /** of kube-apiserver, such as `v1.18.8-aliyun.1`; empty when neither its manifest nor itself tells */
  readonly kubernetes: string;
  readonly members: readonly string[];
  readonly isApiReady: boolean;
  readonly receipt: Receipt | undefined;
  /** when the receipt was last written, in seconds since 1970 by the master's clock */
  readonly recordedAt: number | undefined;
  /** rollout numbers with a backup on this master */
  readonly backups: readonly number[];
  /** by row id: the files of the backup that `restore` names, as far as they are as its manifest says */
  readonly saved: Readonly<Record<string, SavedFile>>;
  /** etcd's leaves in all backups on this master: whoever issued one was this cluster's authority */
  readonly earlier: readonly Certificate[];
  /** folders that an interrupted step left behind */
  readonly leftovers: readonly string[];
  /** the holder of the lock, when it is held */
  readonly lock: string | undefined;
  /** what holds the lock, as far as its holder tells */
  readonly work: Work | undefined;
  /** the run that has claimed this master: owner, user, machine and process */
  readonly claim: string | undefined;
  /** since when, in seconds since 1970 by the master's clock */
  readonly claimedAt: number | undefined;
  /** addresses with an established connection to etcd's client port */
  readonly clients: readonly string[];
  /** addresses of other members through which this master can read, and which it accepts as peers */
  readonly reaches: readonly string[];
  /** who may still hold an earlier certificate of cluster-ca, until when, and what to run; the first master is asked */
  readonly carriers: readonly Carrier[];
  /** files beside those of the layout that hold or embed a certificate */
  readonly strangers: readonly Stranger[];
  /** files beside etcd's with a private key that no row has */
  readonly strangerKeys: readonly StrangerKey[];
  /** of who may be a client of etcd besides Kubernetes; of Secrets the first master tells */
  readonly holdings: readonly Holding[];
  /** that are connected to a member */
  readonly connected: readonly Holder[];
  /** why not all holders were looked at; empty when they were */
  readonly holdersCut: string;
  /** that reads and writes Secrets there */
  readonly kubeconfig: string;
}

/** As etcd_problem and etcd_alarm (components/node/lib/etcd.sh) tell them apart. */
export const etcdStates = [
  "healthy",
  "stopped",
  "silent",
  "other-cluster",
  "learner",
  "peer-refused",
  "lagging",
  "alarm",
] as const;
type EtcdState = (typeof etcdStates)[number];

/** Who may still hold an earlier certificate of cluster-ca; `other` is nobody in particular. */
export interface Carrier {
  readonly kind: "worker" | "config-map" | "other";
  readonly name: string;
  /** of that certificate, in seconds since 1970 */
  readonly end: number;
  /** all of it, and what to run, for people */
  readonly words: string;
}

export type Holder =
  | { readonly kind: "Secret"; readonly namespace: string; readonly name: string }
  | { readonly kind: "process"; readonly name: string; readonly unit: string };

/** A value of a Secret, or a file that a process names: certificates, a private key or both. */
export interface Holding {
  readonly holder: Holder;
  /** the key in the Secret, or the file as the process names it */
  readonly name: string;
  /** SHA-256 of the public key that belongs to the private one; `-` without one */
  readonly publicKey: string;
  readonly certificates: readonly Certificate[];
}

export interface FoundFile {
  readonly isPresent: boolean;
  readonly ownerAndMode: string;
  /** by the user that its reader runs as */
  readonly isReadable: boolean;
  /** for keys: SHA-256 of the public key */
  readonly publicKey: string;
  /** the layout's, or what the flags of the running process say */
  readonly path: string;
  readonly realPath: string;
  /** of a kubeconfig: the client's, where it is embedded */
  readonly certificates: readonly Certificate[];
}

/** A file that no row has. */
interface Stranger {
  /** links followed */
  readonly path: string;
  readonly certificate: Certificate;
}

export interface StrangerKey {
  /** links followed */
  readonly path: string;
  readonly key: PublicKey;
}

/** A file of a backup; public data only. */
export type SavedFile = Pick<FoundFile, "publicKey" | "certificates">;

interface FoundProcess {
  /** boot id, pid, start ticks */
  readonly identity: string;
  readonly isStale: boolean;
  /** flags as `--name=value`, however they were given */
  readonly flags: readonly string[];
}

/** A script that is changing a master; written by components/node/lib/lock.sh. */
export interface Work {
  readonly phase: string;
  readonly attempt: string;
  /** seconds since 1970 by the master's clock */
  readonly since: number;
}

/** What a master remembers of the last rollout; written by components/node/lib/receipt.sh. */
export interface Receipt {
  readonly owner: string;
  readonly cluster: string;
  readonly rollout: number;
  readonly attempt: string;
  readonly rotation: string;
  readonly authorities: string;
  readonly phase: string;
  readonly isComplete: boolean;
  /** by group of Kubernetes files: what the last renewal was for */
  readonly renewed: Readonly<Record<string, string>>;
}

export interface Found {
  /** those that were looked at */
  readonly masters: readonly FoundMaster[];
  /** those that could not be, where the stack file allows it */
  readonly missing?: readonly Missing[];
  /** new machines that are no members yet: looked at, and counted nowhere */
  readonly joining?: readonly FoundMaster[];
}

/** A master that cannot be reached over SSH. */
export interface Missing {
  readonly name: string;
  /** another master reads through its member */
  readonly isAlive: boolean;
}

/** A row that may be missing, and is missing everywhere, is none of this cluster's. */
export function presentRows<T extends FileRow>(table: readonly T[], found: Found): T[] {
  return table.filter(
    (row) =>
      row.optional !== true || found.masters.some((master) => master.files[row.id]?.isPresent === true),
  );
}

/** Where a row's file lies on a master, links followed: rows at one place are one file. */
export function placeOf(master: FoundMaster, row: FileRow): string {
  return master.files[row.id]?.realPath || row.path;
}

/** What lies in a row's file on a master: none where it has no such file. */
export function certificatesAt({ files }: FoundMaster, { id }: Pick<FileRow, "id">): readonly Certificate[] {
  return files[id]?.certificates ?? [];
}

/** The first of them: what is issued stands before its authorities. */
export function leafAt(master: FoundMaster, row: Pick<FileRow, "id">): Certificate | undefined {
  return certificatesAt(master, row)[0];
}

/** The certificate of an authority on a master, from the file that is its own; undefined without one. */
export function authorityOn(
  master: FoundMaster,
  signer: KubernetesAuthority,
  rows: readonly KubernetesRow[],
): Certificate | undefined {
  const own = rows.filter(({ group }) => group === signer);
  const fileOf = (kind: KubernetesRow["kind"]) =>
    own.flatMap((row) => (row.kind === kind ? (master.files[row.id] ?? []) : []))[0];
  const held = fileOf("authority")?.certificates ?? [];
  // a bundle may begin with somebody else's
  return held.find(({ publicKey }) => publicKey === fileOf("authority-key")?.publicKey) ?? held[0];
}

/** Whether the authority that lives on this master has issued the certificate. */
export function isIssuedHere(
  { signer }: KubernetesRow,
  leaf: Certificate,
  master: FoundMaster,
  rows: readonly KubernetesRow[],
): boolean {
  const authority = authorityOn(master, signer, rows);
  return authority !== undefined && hasIssued(authority, leaf);
}

/** Every file on a master that holds a certificate of the authority, under whatever name. */
export function placesOf(signer: KubernetesAuthority, master: FoundMaster, rows: readonly KubernetesRow[]) {
  const authority = authorityOn(master, signer, rows);
  return rows.flatMap((row) => {
    const held = row.kind === "authority" && row.signer === signer ? certificatesAt(master, row) : [];
    const certificate = held.find((each) => authority !== undefined && isSameAuthority(each, authority));
    return certificate === undefined ? [] : [{ master, row, certificate }];
  });
}

/** Whoever is accepted by the one is accepted by the other, as long as both are valid. */
export function isSameAuthority(one: Certificate, other: Certificate): boolean {
  return one.publicKey === other.publicKey && one.subject.join() === other.subject.join();
}
