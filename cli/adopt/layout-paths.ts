import {
  type Component,
  type FileRow,
  fillIn,
  type KubernetesRow,
  type Placed,
  type Row,
} from "../../components/model/layout/rows.ts";
import { type Layout, nowhere } from "../../components/model/layout/tables.ts";
import { printable } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import { flagOf, type Look } from "./look.ts";

/** A master's place in the layout, and what its processes are started with. */
interface LookedAt extends Placed {
  readonly look: Look;
}

/**
 * The paths of a stack file's `layout.paths`: those that processes use and the table has otherwise.
 * @throws CommandError (refused) when one path cannot stand for all masters
 */
export function pathsOf(
  masters: readonly LookedAt[],
  { rows, kubernetes }: Pick<Layout, "rows" | "kubernetes">,
): Record<string, string> {
  const found = Object.fromEntries(rows.flatMap((row) => entry(row, masters)));
  return {
    ...found,
    ...Object.fromEntries(rows.flatMap((row) => besideEtcd(row, found, rows))),
    ...Object.fromEntries(kubernetes.flatMap((row) => entry(row, masters))),
  };
}

function entry(row: Row | KubernetesRow, masters: readonly LookedAt[]): [string, string][] {
  const [component, flag] = flagFor(row);
  if (component === undefined || flag === undefined) {
    return [];
  }
  const used = masters.flatMap((master) => {
    const path = flagOf(master.look, component, flag);
    return path === undefined ? [] : [{ master, path }];
  });
  if (used.every(({ master, path }) => path === fillIn(row.path, master))) {
    return [];
  }
  const templates = used.flatMap(({ path, master: { etcdName, address } }) => [
    path,
    path.replaceAll(etcdName, "{etcdName}").replaceAll(address, "{address}"),
  ]);
  const common = templates.find((template) =>
    used.every(({ master, path }) => fillIn(template, master) === path),
  );
  if (common !== undefined) {
    return [[row.id, common]];
  }
  // the survey asks the running processes for Kubernetes' own files again
  if ("restarts" in row) {
    return [];
  }
  const seen = used.map(({ master, path }) => `${master.address}: ${printable(path)}`).join("; ");
  throw CommandError.refused(
    `Cannot adopt the cluster: ${component} has ${flag} at different places on its masters (${seen}); expected one path for all, with etcd's name or the address in it where it differs. Move the files, or link them, then run this again`,
  );
}

function flagFor(row: Row | KubernetesRow): readonly [Component?, string?] {
  if ("restarts" in row) {
    // what has no place of its own is found by every survey
    return row.flag === undefined || row.path === nowhere ? [] : [row.flag[0], row.flag[1]];
  }
  return row.reader === "none" || row.flag === undefined ? [] : [row.reader, row.flag];
}

/** A file that no process names lies beside etcd's own authority. */
function besideEtcd(
  row: Row,
  found: Readonly<Record<string, string>>,
  rows: readonly Row[],
): [string, string][] {
  const moved = found["etcd-ca"];
  const authority = rows.find(({ id }) => id === "etcd-ca");
  return row.reader !== "none" ||
    moved === undefined ||
    folderOf(row.path) !== folderOf(authority?.path ?? "")
    ? []
    : [[row.id, `${folderOf(moved)}/${row.path.slice(row.path.lastIndexOf("/") + 1)}`]];
}

function folderOf(path: FileRow["path"]): string {
  return path.slice(0, path.lastIndexOf("/"));
}
