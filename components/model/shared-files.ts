import { type Found, placeOf } from "./found.ts";
import type { KubernetesRow, Layout, Row } from "./layout.ts";

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
  const contentOf = (row: Row | KubernetesRow) => ("signer" in row ? row.id : `${row.kind} ${row.leaf ?? (hasPeerAuthority ? row.authority : "etcd")}`);
  return [...masters, ...joining].flatMap((master) =>
    [...rows, ...kubernetes].flatMap((row, index, all) => {
      const other = rows.find((each) => placeOf(master, each) === placeOf(master, row) && contentOf(each) !== contentOf(row));
      return other === undefined || all.indexOf(other) > index
        ? []
        : [
            `Cannot rotate ${master.name}: layout.paths.${other.id} and layout.paths.${row.id} are one file, ${placeOf(master, row)}; expected a file for each, since their new contents differ. Copy it to a path of its own on every master, let the process that reads it use that, one master after the other, and set layout.paths.${row.id}`,
          ];
    }),
  );
}
