import { X509Certificate } from "node:crypto";
import { certificatesIn, publicKeyOf } from "../../components/model/certificate.ts";
import type { MasterSpec } from "../../components/model/checks.ts";
import type { Signed } from "../../components/model/exploration/runs.ts";
import type { Disk } from "../../components/model/exploration/world.ts";
import type { Found, FoundFile, FoundMaster, Receipt } from "../../components/model/found.ts";
import type { Authority, Row } from "../../components/model/layout/rows.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import type { ClusterArgs } from "../../components/model/settings.ts";
import type { Trusted } from "../../components/model/trust.ts";
import { fingerprintsOf, type Wanted, type WantedPems, wantedPem } from "../../components/model/wanted.ts";
import { type Issued, makeAuthority, makeCross, makeLeaf, makeOwnAuthority } from "./openssl.ts";

/** Three masters, as in an ACK dedicated cluster. */
export const specs: readonly MasterSpec[] = [1, 2, 3].map((number) => ({
  name: `master-${number}`,
  address: `10.77.0.1${number}`,
  etcdName: `10.77.0.1${number}-name-${number}`,
  extraSans: [],
  subjects: {},
}));

/** What a short stack file of them says. */
export const shortSettings: ClusterArgs = {
  rotation: "2026-12",
  masters: specs.map((spec) => ({ ...spec, hostKey: "ssh-ed25519 AAAA" })),
  ssh: { user: "root", port: 22, agent: false },
  certificates: { validity: 1_576_800_000, renewBefore: 5_184_000, algorithm: "ECDSA-P256" },
  kubernetes: { renew: "auto", keepKeys: false },
  layout: { kind: "ack", paths: {} },
  drain: 2,
  pauseBetweenMasters: 10,
  gate: 300,
  backup: { keep: 3, directory: "/var/lib/etcd-rotation/backups" },
  allowOutage: false,
};

export const names = specs.map((spec) => spec.name);

/** What a stack has, and the keys of its authorities with it. */
export type MadePems = WantedPems & { readonly keys: Readonly<Record<Authority, Issued>> };

/** All authorities and leaves of one stack state; `shared` uses one authority for both roles, as ACK does at first. */
export function makePems(label: string, shape: "shared" | "separate" = "separate"): MadePems {
  return issuedBy(
    makeOwnAuthority(`etcd-ca ${label}`),
    shape === "shared" ? undefined : makeOwnAuthority(`etcd-peer-ca ${label}`),
  );
}

/** The same by authorities that this program has not made: what a cluster has before it is taken over. */
export function makeOriginalPems(authority = makeAuthority("/CN=original")): MadePems {
  return issuedBy(authority);
}

function issuedBy(etcd: Issued, peer = etcd): MadePems {
  return {
    keys: { etcd, "etcd-peer": peer },
    authorities: { etcd: etcd.certPem, "etcd-peer": peer.certPem },
    leaves: Object.fromEntries(specs.map((spec) => [spec.name, leavesOf(spec, etcd, peer)])),
  };
}

/** The authorities of `wanted` as those of `signer` sign them. */
export function signedBy(signer: MadePems, wanted: MadePems): Signed {
  const certificate = (authority: Authority) =>
    certificatesIn(signer.authorities[authority])[0] ?? unreadable();
  const cross = (authority: Authority) => makeCross(signer.keys[authority], wanted.keys[authority]);
  return {
    inState: { etcd: certificate("etcd"), "etcd-peer": certificate("etcd-peer") },
    texts: { etcd: cross("etcd"), "etcd-peer": cross("etcd-peer") },
  };
}

function unreadable(): never {
  throw new Error("Cannot read an authority's certificate");
}

/** New leaves of every master under the authority that `pems` has already. */
function leavesOf(spec: MasterSpec, etcd: Issued, peer: Issued) {
  const sans = `DNS:localhost,DNS:${spec.name},DNS:${spec.etcdName},IP:127.0.0.1,IP:${spec.address}`;
  return {
    "etcd-server": makeLeaf(etcd, { subject: "/CN=etcd-server", sans }),
    "etcd-peer": makeLeaf(peer, { subject: `/CN=${spec.etcdName}`, sans }),
    "etcd-client": makeLeaf(etcd, { subject: "/CN=etcd-client", uses: "clientAuth" }),
  };
}

/** The disk that a finished rollout of `pems` leaves. */
export function diskOf(pems: WantedPems, master: string): Disk {
  return Object.fromEntries(ackLayout.map((row) => [row.id, wantedPem(pems, master, row, {})]));
}

/** What the survey reads of a row's file. */
export function fileOf(row: Row, text: string): FoundFile {
  const common = {
    isPresent: true,
    ownerAndMode: `${row.owner} ${row.mode}`,
    isReadable: true,
    path: row.path,
    realPath: row.path,
  };
  return row.kind === "key"
    ? { ...common, publicKey: publicKeyOf(text), certificates: [] }
    : { ...common, publicKey: "-", certificates: certificatesIn(text) };
}

export const receipt: Receipt = {
  owner: "etcd-rotation/test",
  cluster: "14841639068965178418",
  rollout: 4,
  attempt: "a4",
  rotation: "2026-11",
  authorities: "",
  phase: "verify",
  isComplete: true,
  renewed: {},
};

/** A healthy master with these files, all of them read by its processes. */
export function masterWith(name: string, disk: Disk, change: Partial<FoundMaster> = {}): FoundMaster {
  const number = names.indexOf(name) + 1;
  const files = Object.fromEntries(
    ackLayout.flatMap((row) =>
      disk[row.id] === undefined ? [] : [[row.id, fileOf(row, disk[row.id] ?? "")]],
    ),
  );
  const leaf = (id: string) => certificatesIn(disk[id] ?? "")[0];
  const [server, peer] = [leaf("etcd-server"), leaf("etcd-peer")];
  return {
    name,
    clock: 1_795_000_000,
    operatorClock: 1_795_000_000,
    files,
    processes: {
      etcd: { identity: `boot-${number} 101 5000`, isStale: false, flags: [] },
      "kube-apiserver": { identity: `boot-${number} 202 6000`, isStale: false, flags: [] },
    },
    served: {
      ...(server === undefined ? {} : { 2379: server }),
      ...(peer === undefined ? {} : { 2380: peer }),
    },
    etcd: "healthy",
    etcdProblem: "",
    doesAnswer: true,
    isLeader: number === 2,
    clusterId: receipt.cluster,
    version: "3.5.21",
    databaseBytes: 20_480,
    kubernetes: "v1.30.14",
    members: specs.map(
      (spec, index) =>
        `${index + 1}a, started, ${spec.etcdName}, https://${spec.address}:2380, https://${spec.address}:2379, false`,
    ),
    isApiReady: true,
    receipt,
    recordedAt: undefined,
    backups: [3, 4],
    saved: {},
    earlier: [],
    leftovers: [],
    lock: undefined,
    work: undefined,
    claim: undefined,
    claimedAt: undefined,
    clients: specs.map((spec) => spec.address),
    carriers: [],
    strangers: [],
    strangerKeys: [],
    holdings: [],
    connected: [],
    holdersCut: "",
    kubeconfig: "",
    reaches: specs.filter((spec) => spec.name !== name).map((spec) => spec.address),
    ...change,
  };
}

/** Every master as a finished rollout of `pems` leaves it. */
export function foundAs(pems: WantedPems, change: Partial<FoundMaster> = {}): Found {
  return { masters: names.map((name) => masterWith(name, diskOf(pems, name), change)) };
}

/** With the peer key of the second master on the first. */
export function withOldKey(found: Found): Found {
  const hash = found.masters[1]?.files["etcd-peer-key"]?.publicKey ?? "";
  const [leaf] = found.masters[1]?.files["etcd-peer"]?.certificates ?? [];
  const pem = new X509Certificate(leaf?.pem ?? "").publicKey
    .export({ type: "spki", format: "pem" })
    .toString();
  return changed(found, "master-1", () => ({
    strangerKeys: [{ path: "/cert/two-key.pem", key: { pem, hash } }],
  }));
}

/** `found` with one master changed. */
export function changed(
  found: Found,
  name: string,
  change: (master: FoundMaster) => Partial<FoundMaster>,
): Found {
  return {
    masters: found.masters.map((master) =>
      master.name === name ? { ...master, ...change(master) } : master,
    ),
  };
}

/** @param kept of the plan: somebody else's authorities */
export function wantedOf(pems: WantedPems, kept: Trusted = {}): Wanted {
  return fingerprintsOf(
    pems,
    ackLayout,
    { rotation: receipt.rotation, owner: receipt.owner, heldBefore: undefined },
    kept,
  );
}
