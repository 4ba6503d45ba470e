import { clockToleranceSeconds } from "./checks.ts";
import {
  type Authority,
  type Component,
  components,
  type KubernetesRow,
  type Placed,
  pathOn,
  type Row,
  startReaders,
} from "./layout/rows.ts";
import { type LayoutKind, layouts } from "./layout/tables.ts";
import type { Phase } from "./plan.ts";
import { assignments } from "./shell.ts";

/** What every script on one master is told. Public but for `contents`. */
export interface StepData {
  readonly phase: Phase | "survey" | "claim";
  readonly master: Placed & { readonly name: string };
  readonly memberAddresses: readonly string[];
  /** members that leadership may go to, the best first */
  readonly heirAddresses: readonly string[];
  readonly layout: LayoutKind;
  readonly rows: readonly (Row | KubernetesRow)[];
  /** by row id: the text to write; a row without one is left alone */
  readonly contents: Readonly<Record<string, string>>;
  /** `<project>/<stack>` */
  readonly owner: string;
  readonly takeOver: string;
  /** what this run has claimed the master by; empty without a claim */
  readonly claim: string;
  readonly clusterId: string;
  readonly rollout: number;
  readonly attempt: string;
  readonly rotation: string;
  /** fingerprints, for the receipt */
  readonly authorities: readonly string[];
  /** a master where nothing runs yet: files only */
  readonly isJoining: boolean;
  /** what the step restarts where it is stale */
  readonly restarts: readonly Component[];
  /** `<component>@<address>`: what does not work, and is started with its new files */
  readonly out: readonly string[];
  /** the step does nothing, since the rollout stops before it */
  readonly isHeld: boolean;
  readonly renewal: StepRenewal;
  /** backup signs and prints them */
  readonly cross: readonly StepCross[];
  readonly takesSnapshot: boolean;
  /** the survey says which other members this master reaches: only they can tell of a master that is left out */
  readonly tellsReach: boolean;
  /** rollout whose backup is the wanted set; 0: none is */
  readonly restore: number;
  /** row ids whose content is that backup's */
  readonly saved: readonly string[];
  readonly isOutageAllowed: boolean;
  readonly backupFolder: string;
  /** complete rollouts whose backups stay */
  readonly backupsToKeep: number;
  readonly drainSeconds: number;
  readonly pauseSeconds: number;
  readonly gateSeconds: number;
}

/** What a step does about Kubernetes' own certificates. */
interface StepRenewal {
  /** groups that this step renews */
  readonly groups: readonly string[];
  /** authorities that backup signs and prints */
  readonly authorities: readonly string[];
  /** what the receipt notes for each renewed group */
  readonly purpose: string;
  readonly keepKeys: boolean;
  readonly validitySeconds: number;
}

/** A cross-certificate that a step makes with the key of an authority that lies on its master. */
interface StepCross {
  readonly role: Authority;
  readonly keyPath: string;
  /** PEM texts: who signs, and the authority that is signed */
  readonly signerPem: string;
  readonly wantedPem: string;
}

/** Of what only reads: it writes, restarts and signs nothing. */
export const readsOnly = {
  phase: "survey",
  heirAddresses: [],
  contents: {},
  claim: "",
  clusterId: "",
  rollout: 0,
  attempt: "",
  authorities: [],
  isJoining: false,
  restarts: [],
  out: [],
  isHeld: false,
  renewal: { groups: [], authorities: [], purpose: "", keepKeys: false, validitySeconds: 0 },
  cross: [],
  takesSnapshot: false,
  tellsReach: false,
  saved: [],
} as const satisfies Partial<StepData>;

/** What this program keeps on a master. */
const stateFolder = "/var/lib/etcd-rotation";
/** On a file system in memory; no key is ever written there. */
const scratchFolder = "/run/etcd-rotation";
/** How long ill health at the start of a step may last; longer means that something is wrong. */
const healthSeconds = 15;

/** The data as shell assignments that a script begins with. */
export function renderStepData(data: StepData): string {
  const { surroundings, listings } = layouts[data.layout];
  const column = (value: (row: Row | KubernetesRow) => string) => data.rows.map(value);
  const path = (id: string) =>
    data.rows.filter((row) => row.id === id).map((row) => pathOn(data.master, row))[0] ?? "";
  return assignments({
    PHASE: data.phase,
    MASTER: data.master.name,
    ADDRESS: data.master.address,
    MEMBER_ADDRESSES: data.memberAddresses,
    HEIR_ADDRESSES: data.heirAddresses,
    OWNER: data.owner,
    TAKE_OVER: data.takeOver,
    CLAIM: data.claim,
    CLUSTER_ID: data.clusterId,
    ROLLOUT: data.rollout,
    ATTEMPT: data.attempt,
    ROTATION: data.rotation,
    AUTHORITIES: data.authorities.join(","),
    JOINING: data.isJoining ? 1 : 0,
    PHASE_COMPONENTS: data.restarts.join(" "),
    OUT_COMPONENTS: data.out,
    HELD: data.isHeld ? 1 : 0,
    TAKE_SNAPSHOT: data.takesSnapshot ? 1 : 0,
    TELL_REACH: data.tellsReach ? 1 : 0,
    ALLOW_OUTAGE: data.isOutageAllowed ? 1 : 0,
    RENEW_GROUPS: data.renewal.groups,
    SIGN_AUTHORITIES: data.renewal.authorities,
    RENEW_PURPOSE: data.renewal.purpose,
    KEEP_KEYS: data.renewal.keepKeys ? 1 : 0,
    CROSS_ROLE: data.cross.map(({ role }) => role),
    CROSS_KEY: data.cross.map(({ keyPath }) => keyPath),
    CROSS_SIGNER: data.cross.map(({ signerPem }) => signerPem),
    CROSS_WANTED: data.cross.map(({ wantedPem }) => wantedPem),
    VALIDITY_SECONDS: data.renewal.validitySeconds,
    COMPONENTS: components.join(" "),
    STATE_DIR: stateFolder,
    SCRATCH_DIR: scratchFolder,
    BACKUP_DIR: data.backupFolder,
    KEEP: data.backupsToKeep,
    RESTORE: data.restore,
    DRAIN_SECONDS: data.drainSeconds,
    PAUSE_SECONDS: data.pauseSeconds,
    GATE_SECONDS: data.gateSeconds,
    HEALTH_SECONDS: healthSeconds,
    CLOCK_SECONDS: clockToleranceSeconds + healthSeconds,
    ETCD_UNIT: surroundings.etcdUnit,
    ETCD_MANIFEST: surroundings.etcdManifest,
    API_MANIFEST: surroundings.apiManifest,
    KUBELET_UNIT: surroundings.kubeletUnit,
    ETCD_CLIENT_PORT: surroundings.etcdClientPort,
    ETCD_PEER_PORT: surroundings.etcdPeerPort,
    API_PORT: surroundings.apiPort,
    KUBELET_PORT: surroundings.kubeletPort,
    API_CA: path("cluster-ca") || surroundings.apiCa,
    API_CLIENT_CERT: path("apiserver-kubelet-client") || surroundings.apiClientCert,
    API_CLIENT_KEY: path("apiserver-kubelet-client-key") || surroundings.apiClientKey,
    ADMIN_CONF: path("admin.conf") || surroundings.adminConf,
    SERVER_CA: path("etcd-ca"),
    SERVER_CERT: path("etcd-server"),
    PEER_CA: path("etcd-peer-ca"),
    PEER_CERT: path("etcd-peer"),
    PEER_KEY: path("etcd-peer-key"),
    // scripts talk to etcd as this master's kube-apiserver does
    CLIENT_CA: path("apiserver-etcd-ca"),
    CLIENT_CERT: path("apiserver-etcd-client"),
    CLIENT_KEY: path("apiserver-etcd-client-key"),
    LISTINGS: listings,
    FILE_ID: column((row) => row.id),
    FILE_PATH: column((row) => pathOn(data.master, row)),
    FILE_KIND: column((row) => row.kind),
    FILE_GROUP: column((row) => row.group),
    // who has to be able to read it; the others run as root
    FILE_READER: column((row) => ("reader" in row && row.reader === "etcd" ? row.reader : "")),
    FILE_RESTARTS: column((row) => startReaders(row).join(" ")),
    FILE_SIGNER: column((row) => ("signer" in row ? row.signer : "")),
    FILE_FLAG: column((row) => ("restarts" in row ? (row.flag ?? []).slice(0, 2).join(" ") : "")),
    FILE_FIELD: column((row) => ("restarts" in row ? (row.flag?.[2] ?? "") : "")),
    FILE_LATER: column((row) => ("restarts" in row && row.isLater === true ? "1" : "")),
    FILE_OWNER: column((row) => row.owner),
    FILE_MODE: column((row) => row.mode),
    FILE_SAVED: column((row) => (data.saved.includes(row.id) ? "1" : "")),
    FILE_CONTENT: column((row) => data.contents[row.id] ?? ""),
  });
}
