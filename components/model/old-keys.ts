import { type Certificate, hasSigned } from "./certificate.ts";
import type { Found, FoundMaster, StrangerKey } from "./found.ts";
import { type Row, servedLeaves } from "./layout.ts";
import { printable } from "./printable.ts";
import { quote } from "./shell.ts";
import { leavesOn, unique } from "./trust.ts";

const folder = "/root/etcd-old-keys";

/**
 * What an installer has left beside etcd's files: keys of its authorities, today's and those that the backups show, and of other
 * members. A line for each master, with what moves them to where only root is.
 */
export function oldKeyNotices({ masters }: Found, rows: readonly Row[]): string[] {
  const leaves = unique(masters.flatMap((master) => leavesOn(master, rows)));
  return masters.flatMap((master) => {
    const keys = master.strangerKeys.flatMap((each) => {
      const owner = isUsed(each, master, masters) ? undefined : (authorityOf(each, leaves) ?? memberOf(each, master, masters, rows));
      return owner === undefined ? [] : [{ path: each.path, owner }];
    });
    return keys.length === 0
      ? []
      : `${master.name} has private keys that its etcd does not read: ${keys.map(({ path, owner }) => `${path} (${owner})`).join(", ")}. They count for nothing once retire has taken their authority out; then run on ${master.name}, as root: install -d -m 700 ${folder} && mv --backup=numbered -t ${folder} -- ${keys.map(({ path }) => quote(path)).join(" ")}`;
  });
}

/** By a client of etcd; or by Kubernetes, whose authority may be etcd's too. */
function isUsed({ key }: StrangerKey, { served }: FoundMaster, masters: readonly FoundMaster[]): boolean {
  return (
    masters.some(({ holdings }) => holdings.some((each) => each.publicKey === key.hash)) ||
    Object.entries(served).some(([port, leaf]) => !(port in servedLeaves) && hasSigned(key, leaf))
  );
}

function authorityOf({ key }: StrangerKey, leaves: readonly Certificate[]): string | undefined {
  const issued = leaves.find((each) => hasSigned(key, each));
  return issued && `of the authority "${printable(issued.issuer.join(", "))}"`;
}

/** Members may share a key: then it is this master's own. */
function memberOf({ key }: StrangerKey, master: FoundMaster, masters: readonly FoundMaster[], rows: readonly Row[]): string | undefined {
  const owners = masters.filter((each) => leavesOn(each, rows).some((leaf) => leaf.publicKey === key.hash));
  return owners[0] === undefined || owners.includes(master) ? undefined : `of the member on ${owners[0].name}`;
}
