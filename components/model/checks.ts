import { type Certificate, normalAddress, severalValues } from "./certificate.ts";
import { type Found, type FoundMaster, leafAt, placeOf } from "./found.ts";
import { leafProfiles, subjectAttributes } from "./layout/leaves.ts";
import {
  fillIn,
  type KubernetesRow,
  type Leaf,
  leaves,
  minorOf,
  type Placed,
  pathOn,
  type Row,
} from "./layout/rows.ts";
import { ackSurroundings, type Layout } from "./layout/tables.ts";
import { day, linesOf, printable } from "./text.ts";

/** A master as the stack file describes it. */
export interface MasterSpec extends Placed {
  readonly name: string;
  /** a new machine that is no member of etcd yet: it gets its files, and nothing else counts on it */
  readonly joining?: boolean;
  /** further names or addresses for the server and peer leaves */
  readonly extraSans: readonly string[];
  /** RDNs such as `CN=etcd-server`, by leaf; instead of the one that is found */
  readonly subjects: Readonly<Partial<Record<Leaf, readonly string[]>>>;
}

/** Who the stack is. */
export interface Identity {
  /** `<project>/<stack>` */
  readonly owner: string;
  /** the owner in the receipts that this stack may take over from */
  readonly takeOver: string | undefined;
  /** the etcd cluster id of this stack's last update, when there was one */
  readonly lastClusterId: string | undefined;
}

/** How far a master's clock may be from the operator's: the tls provider backdates nothing, and etcd warns above 1 s. */
export const clockToleranceSeconds = 30;

/** What the stack file lets a rollout do. */
interface Allowed {
  /** restarts of one of one or two masters */
  readonly outage: boolean;
  /** by master: the groups of Kubernetes' own files that are going to be renewed */
  readonly renewals: Readonly<Record<string, readonly { readonly group: string }[]>>;
}

/** Every reason not to begin, each with what was seen, what was expected and the way out. Empty when all is well. */
export function refusals(
  found: Found,
  masters: readonly MasterSpec[],
  rows: readonly Row[],
  identity: Identity,
  allowed: Allowed,
): string[] {
  const ofMembers = found.masters.flatMap((master) => {
    const spec = masters.find((each) => each.name === master.name);
    const isServedRenewed =
      allowed.renewals[master.name]?.some(({ group }) => group === "apiserver") === true;
    return spec === undefined
      ? []
      : linesOf(
          versionRefusal(master),
          ...layoutRefusals(master, spec, rows),
          ...sanRefusals(master, spec, rows),
          ...subjectRefusals(master, spec, rows),
          clockRefusal(master),
          ownerRefusal(master, identity),
          !isServedRenewed && servedRefusal(master),
        );
  });
  const ofJoining = (found.joining ?? []).flatMap((master) =>
    linesOf(clockRefusal(master), ownerRefusal(master, identity)),
  );
  return linesOf(
    ...ofMembers,
    ...ofJoining,
    ...membershipRefusals(found, masters),
    clusterRefusal(found, identity),
    alarmRefusal(found),
    !allowed.outage && outageRefusal(masters),
  );
}

/** No step would begin; etcd serves on meanwhile. */
function alarmRefusal({ masters }: Found): string | undefined {
  const raised = masters.find(({ etcd }) => etcd === "alarm")?.etcdProblem;
  return raised === undefined
    ? undefined
    : `Cannot start a rollout: ${raised}; expected none. Nothing was changed. Where it is NOSPACE: etcdctl compact, defrag, alarm disarm (docs/recovery.md), then run again`;
}

/** No gate would ever pass, and nobody could use the API server. */
function servedRefusal(master: FoundMaster): string | undefined {
  const served = master.served[ackSurroundings.apiPort];
  return served === undefined || served.notAfter > master.operatorClock * 1000
    ? undefined
    : `Cannot rotate ${master.name}: kube-apiserver serves a certificate that expired on ${day(served.notAfter)}, and it is not going to be renewed; expected a valid one. Set kubernetes.renew: auto, or renew it by hand where its authority's key is not on the master, then run again`;
}

/**
 * The oldest that has been looked at: its etcd client reads a new leaf at each handshake (k8s.io/apiserver 0.15.12 has etcd 3.3.13,
 * pkg/transport/listener.go, GetClientCertificate). One that did not would be refused from the first retire on.
 */
const oldestMinor = 15;

function versionRefusal({ name, kubernetes }: FoundMaster): string | undefined {
  return (minorOf(kubernetes) ?? oldestMinor) >= oldestMinor
    ? undefined
    : `Cannot rotate ${name}: its kube-apiserver is ${kubernetes}; expected 1.${oldestMinor} to 1.18, which restart to read their own new certificates, or 1.19 and newer, which need not. Upgrade the cluster first`;
}

/** A path that the running process does not use would be rotated without any effect. */
function layoutRefusals(master: FoundMaster, spec: MasterSpec, rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    if (row.flag === undefined || row.reader === "none") {
      return [];
    }
    const flag = `${row.flag}=`;
    const inUse = master.processes[row.reader]?.flags
      .find((each) => each.startsWith(flag))
      ?.slice(flag.length);
    const path = pathOn(spec, row);
    return inUse === undefined || inUse === path || inUse === master.files[row.id]?.realPath
      ? []
      : `Cannot rotate ${master.name}: ${row.reader} runs with ${row.flag}=${inUse}, the layout has ${path}; set layout.paths.${row.id} to the path in use, or layout.kind to the kind of this cluster`;
  });
}

/** A name that is lost breaks whoever connects by it. */
function sanRefusals(master: FoundMaster, spec: MasterSpec, rows: readonly Row[]): string[] {
  return leaves.flatMap((leaf) => {
    const current = foundLeaf(master, leaf, rows);
    const next = new Set(sansOf(leaf, spec));
    const lost = (current?.sans ?? []).filter((san) => !next.has(san));
    return lost.length === 0 || leafProfiles[leaf].sans === "none"
      ? []
      : `Cannot rotate ${master.name}: its ${leaf} certificate has ${lost.join(", ")}, which the new one would lose; add to masters[${master.name}].extraSans: ${lost.map((san) => san.replace(/^(DNS|IP):/, "")).join(", ")}`;
  });
}

function subjectRefusals(master: FoundMaster, spec: MasterSpec, rows: readonly Row[]): string[] {
  return leaves.flatMap((leaf) => {
    const subject = subjectOf(leaf, spec, foundLeaf(master, leaf, rows));
    const names = subject.map((rdn) =>
      rdn
        .split(severalValues)
        .map((each) => each.split("=")[0])
        .join(" + "),
    );
    const odd = names.filter(
      (name, index) => !Object.hasOwn(subjectAttributes, name) || names.indexOf(name) !== index,
    );
    return odd.length === 0
      ? []
      : `Cannot keep the subject "${printable(subject.join(", "))}" of ${leaf} on ${master.name}: ${odd.join(", ")} cannot be repeated or is not supported; set masters[${master.name}].subjects.${leaf}`;
  });
}

function clockRefusal(master: FoundMaster): string | undefined {
  const skew = master.clock - master.operatorClock;
  return Math.abs(skew) <= clockToleranceSeconds
    ? undefined
    : `Cannot issue certificates for ${master.name}: its clock is ${Math.abs(skew)} s ${skew > 0 ? "ahead of" : "behind"} this machine's; expected at most ${clockToleranceSeconds} s. Set the clocks (timedatectl), then run again`;
}

function ownerRefusal(master: FoundMaster, { owner, takeOver }: Identity): string | undefined {
  const holder = master.receipt?.owner;
  return holder === undefined || holder === owner || holder === takeOver
    ? undefined
    : `Cannot rotate ${master.name} as ${owner}: its receipt belongs to ${holder}; expected this stack. To take it over on purpose, set takeOver: ${holder}`;
}

function membershipRefusals(found: Found, masters: readonly MasterSpec[]): string[] {
  const rows = found.masters.map((master) => master.members).find((members) => members.length > 0);
  if (rows === undefined) {
    return [];
  }
  const addresses = rows.map(peerAddress);
  const isMember = ({ address }: MasterSpec) => addresses.includes(normalAddress(address));
  const missing = addresses.filter(
    (address) => !masters.some((master) => normalAddress(master.address) === address),
  );
  const extra = masters.filter((master) => master.joining !== true && !isMember(master));
  const early = masters.filter((master) => master.joining === true && isMember(master));
  return [
    ...early.map(
      (master) =>
        `Cannot treat ${master.name} as joining: etcd has a member at ${master.address}; expected none yet. When it is the machine that was replaced: etcdctl member remove; when it is the new one and its etcd runs: remove masters[${master.name}].joining`,
    ),
    ...missing.map(
      (address) =>
        `Cannot rotate: etcd has a member at ${address} (${rows.length} members) that masters does not list (${masters.length}); add it to masters`,
    ),
    ...extra.map(
      (master) =>
        `Cannot rotate: masters lists ${master.name} at ${master.address}, which is not a member of etcd; expected one of ${addresses.join(", ")}`,
    ),
  ];
}

/** The address in a row of `etcdctl member list`, from the first URL in it, which is the peer's. */
function peerAddress(row: string): string {
  const [url = ""] = /https?:\/\/[^,\s]+/.exec(row) ?? [];
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, "") : row;
}

function clusterRefusal(found: Found, identity: Identity): string | undefined {
  const ids = [...new Set(found.masters.map((master) => master.clusterId).filter((each) => each !== ""))];
  const [id] = ids;
  if (ids.length > 1) {
    return `Cannot rotate: the masters belong to different etcd clusters (${ids.join(", ")}); expected one`;
  }
  const known = [identity.lastClusterId, ...found.masters.map((master) => master.receipt?.cluster)].find(
    (each) => each !== undefined && each !== "",
  );
  const isTakenOver = found.masters.some(
    (master) => master.receipt !== undefined && master.receipt.owner === identity.takeOver,
  );
  return id === undefined || known === undefined || id === known || isTakenOver
    ? undefined
    : `Cannot rotate as ${identity.owner}: the masters belong to etcd cluster ${id}, this stack to ${known}; expected the hosts of this stack's cluster. One stack is for one cluster: pulumi stack init <name>. If etcd's data was restored from a snapshot: set takeOver: ${identity.owner}`;
}

function outageRefusal(masters: readonly MasterSpec[]): string | undefined {
  return masters.length >= 3
    ? undefined
    : `Cannot rotate ${masters.length === 1 ? "a single master" : `${masters.length} masters`} without an outage of etcd and the API server at each restart (some seconds each); to accept it set allowOutage: true`;
}

/** The leaf that lies on disk now, from the first row that holds it. */
export function foundLeaf(master: FoundMaster, leaf: Leaf, rows: readonly Row[]): Certificate | undefined {
  return rows
    .filter((row) => row.leaf === leaf && row.kind === "cert")
    .map((row) => leafAt(master, row))
    .find((certificate) => certificate !== undefined);
}

/** A new leaf keeps the subject of the one that it replaces: etcd's role names and allowed-cn hang on it. */
export function subjectOf(leaf: Leaf, spec: MasterSpec, current: Certificate | undefined): readonly string[] {
  return spec.subjects[leaf] ?? current?.subject ?? [`CN=${fillIn(leafProfiles[leaf].commonName, spec)}`];
}

/** `DNS:` and `IP:` entries of a leaf, sorted. */
export function sansOf(leaf: Leaf, spec: MasterSpec): string[] {
  if (leafProfiles[leaf].sans === "none") {
    return [];
  }
  const names = ["127.0.0.1", "localhost", spec.address, spec.name, spec.etcdName, ...spec.extraSans];
  return [
    ...new Set(names.map((name) => (isAddress(name) ? `IP:${normalAddress(name)}` : `DNS:${name}`))),
  ].sort();
}

/** IPv4 or IPv6 that can be written into a certificate, as opposed to a name. */
export function isAddress(text: string): boolean {
  return (
    /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/.test(text) ||
    (/^[\da-f.]*:[\da-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]`))
  );
}

/**
 * Rows whose file is one on a master, by path or by links, although a finished rollout would write other content for each:
 * every step would replace the other's, and restart for it. Uses that want the same may share a file.
 */
export function sharedFileRefusals(
  { masters, joining = [] }: Found,
  rows: readonly Row[],
  kubernetes: readonly KubernetesRow[],
  { hasPeerAuthority }: Pick<Layout, "hasPeerAuthority">,
): string[] {
  const contentOf = (row: Row | KubernetesRow) =>
    "signer" in row ? row.id : `${row.kind} ${row.leaf ?? (hasPeerAuthority ? row.authority : "etcd")}`;
  return [...masters, ...joining].flatMap((master) =>
    [...rows, ...kubernetes].flatMap((row, index, all) => {
      const other = rows.find(
        (each) => placeOf(master, each) === placeOf(master, row) && contentOf(each) !== contentOf(row),
      );
      return other === undefined || all.indexOf(other) > index
        ? []
        : `Cannot rotate ${master.name}: layout.paths.${other.id} and layout.paths.${row.id} are one file, ${placeOf(master, row)}; expected a file for each, since their new contents differ. Copy it to a path of its own on every master, let the process that reads it use that, one master after the other, and set layout.paths.${row.id}`;
    }),
  );
}
