import { type Component, type KubernetesAuthority, type KubernetesRow, type Layout, type LayoutKind, layouts, withPaths } from "./layout.ts";

/** A file of one of Kubernetes' authorities that the stack file adds to the layout: a certificate with its key, or a kubeconfig. */
export type ExtraFile = {
  readonly name: string;
  /** who reads it only at its start */
  readonly restarts: readonly Component[];
} & (
  | { readonly kind: "pair"; readonly certificate: string; readonly key: string; readonly authority: KubernetesAuthority }
  | { readonly kind: "kubeconfig"; readonly path: string }
);

export interface LayoutSettings {
  readonly kind: LayoutKind;
  readonly paths: Readonly<Partial<Record<string, string>>>;
  readonly extra?: readonly ExtraFile[] | undefined;
}

/** The tables of a cluster: its own paths in place of the defaults, and what it has besides. */
export function tablesOf({ kind, paths, extra = [] }: LayoutSettings): Pick<Layout, "rows" | "kubernetes"> {
  const { rows, kubernetes } = layouts[kind];
  return { rows: withPaths(rows, paths), kubernetes: [...withPaths(kubernetes, paths), ...extra.flatMap(rowsOf)] };
}

/** An extra row is a row like any other. */
function rowsOf(file: ExtraFile): KubernetesRow[] {
  const common = { group: file.name, owner: "root:root", optional: true, isLater: true, restarts: file.restarts } as const;
  switch (file.kind) {
    case "pair":
      return [
        { id: file.name, kind: "cert", path: file.certificate, signer: file.authority, mode: "644", ...common },
        { id: `${file.name}-key`, kind: "key", path: file.key, signer: file.authority, mode: "600", ...common },
      ];
    case "kubeconfig":
      return [{ id: file.name, kind: "kubeconfig", path: file.path, signer: "cluster-ca", mode: "600", ...common }];
    default:
      return file satisfies never;
  }
}
