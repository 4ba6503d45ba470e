import { normalAddress } from "../../components/model/certificate.ts";
import { isAddress } from "../../components/model/checks.ts";
import { ackSurroundings } from "../../components/model/layout/tables.ts";
import { printable } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import { flagOf, type Look } from "./look.ts";

/** A member of etcd, as far as a machine of the cluster can tell. */
export interface Member {
  readonly address: string;
  /** undefined when only the address is known */
  readonly etcdName: string | undefined;
}

/** The members, and what lists them. */
interface Membership {
  readonly members: readonly Member[];
  readonly source: "etcd's member list" | "etcd's --initial-cluster" | "kube-apiserver's --etcd-servers";
}

const { etcdClientPort, etcdPeerPort } = ackSurroundings;

/**
 * All members: as etcd lists them, else as etcd, or kube-apiserver, is started with.
 * @throws CommandError (refused) when this is no master of a dedicated cluster, or its members cannot be found out
 */
export function membershipOf(host: string, look: Look): Membership {
  if (look.flags.etcd === undefined) {
    throw CommandError.refused(noMaster(host, look));
  }
  const sources: Membership[] = [
    { source: "etcd's member list", members: look.memberRows.map(memberInRow) },
    { source: "etcd's --initial-cluster", members: membersInFlag(flagOf(look, "etcd", "--initial-cluster")) },
    {
      source: "kube-apiserver's --etcd-servers",
      members: serversIn(flagOf(look, "kube-apiserver", "--etcd-servers")),
    },
  ];
  const found = sources.find(({ members }) => members.length > 0);
  const localAddress = ownAddress(look);
  const listed = found?.members.map(({ address }) => address) ?? [];
  if (found === undefined || localAddress === undefined || !listed.includes(localAddress)) {
    const seen = found === undefined ? "no member" : `${listed.map(printable).join(", ")} in ${found.source}`;
    throw CommandError.refused(
      `Cannot find the members of etcd from ${host}: saw ${seen}, and ${printable(localAddress ?? "no address")} as its own; expected its own address among them. Try another master`,
    );
  }
  const odd = listed.find((address) => !isAddress(address));
  if (odd !== undefined) {
    throw CommandError.refused(
      `Cannot adopt the cluster of ${host}: ${found.source} has "${printable(odd)}"; expected an IP address for every member`,
    );
  }
  return found;
}

/** Where a machine's own member listens for its peers. */
export function ownAddress(look: Look): string | undefined {
  const flags = ["--initial-advertise-peer-urls", "--listen-peer-urls", "--advertise-client-urls"];
  return flags
    .flatMap((flag) => (flagOf(look, "etcd", flag) ?? "").split(","))
    .map(hostIn)
    .find((host) => host !== undefined && !isLoopback(host));
}

function noMaster(host: string, { flags }: Look): string {
  const seen =
    Object.keys(flags).length === 0 ? "no process of a control plane" : Object.keys(flags).join(", ");
  return flags["kube-apiserver"] === undefined
    ? `Cannot adopt ${host}: it is not a master of a dedicated cluster; saw ${seen}, expected etcd and kube-apiserver. Of a managed cluster the masters, and etcd's certificates, are the provider's. Run this against a master`
    : `Cannot adopt ${host}: it has no etcd, neither as unit "${ackSurroundings.etcdUnit}" nor as a static pod; saw ${seen}, expected it beside kube-apiserver, as on the masters of an ACK dedicated cluster`;
}

/** A row is `id, status, name, peer URLs, client URLs, is learner` (etcdctl/ctlv3/command/printer_simple.go). */
function memberInRow(row: string): Member {
  const [, , name = "", peers = "", clients = ""] = row.split(", ");
  requirePort(clients, etcdClientPort);
  requirePort(peers, etcdPeerPort);
  return { address: hostIn(peers.split(",")[0] ?? "") ?? row, etcdName: name === "" ? undefined : name };
}

/** @throws CommandError when a member listens elsewhere than scripts look for it */
function requirePort(urls: string, port: number): void {
  const [first = ""] = urls.split(",");
  if (URL.canParse(first) && new URL(first).port !== String(port)) {
    throw CommandError.refused(
      `Cannot adopt the cluster: a member of etcd is at ${printable(first)}; expected port ${port}`,
    );
  }
}

/** `name=url,name=url` of --initial-cluster; a member with several URLs is there several times. */
function membersInFlag(text = ""): Member[] {
  const members = text.split(",").flatMap((part) => {
    const at = part.indexOf("=");
    const address = hostIn(part.slice(at + 1));
    return at < 1 || address === undefined ? [] : [{ address, etcdName: part.slice(0, at) }];
  });
  return members.filter(
    ({ etcdName }, index) => members.findIndex((other) => other.etcdName === etcdName) === index,
  );
}

/** An API server that talks to its own master's member alone tells nothing of the others. */
function serversIn(text = ""): Member[] {
  return [...new Set(text.split(",").map(hostIn))].flatMap((address) =>
    address === undefined || isLoopback(address) ? [] : [{ address, etcdName: undefined }],
  );
}

function hostIn(url: string): string | undefined {
  return URL.canParse(url) ? normalAddress(new URL(url).hostname.replace(/^\[|\]$/g, "")) : undefined;
}

function isLoopback(host: string): boolean {
  return ["localhost", "127.0.0.1", "0.0.0.0", "::1", "::"].includes(host);
}

/** In the order of the numbers that etcd's names end in, else of the addresses. */
export function inOrder<T extends { readonly address: string; readonly etcdName: string }>(
  masters: readonly T[],
): T[] {
  const numbers = new Map(masters.map(({ etcdName }) => [etcdName, /(\d+)$/.exec(etcdName)?.[1]]));
  const isNumbered =
    new Set(numbers.values()).size === masters.length &&
    masters.every(({ etcdName }) => numbers.get(etcdName) !== undefined && !isAddress(etcdName));
  const byAddress = new Intl.Collator("en", { numeric: true });
  return masters.toSorted((a, b) =>
    isNumbered
      ? Number(numbers.get(a.etcdName)) - Number(numbers.get(b.etcdName))
      : byAddress.compare(a.address, b.address),
  );
}

/** The machines' own names where each has one of its own that a stack file may hold, else `master-1` and so on. */
export function namesOf(hostnames: readonly string[]): readonly string[] {
  const isGood = (name: string) =>
    /^[a-z]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name) && !name.startsWith("localhost");
  return hostnames.every(isGood) && new Set(hostnames).size === hostnames.length
    ? hostnames
    : hostnames.map((_, index) => `master-${index + 1}`);
}
