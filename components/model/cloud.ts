import { normalAddress } from "./certificate.ts";
import type { MasterSpec } from "./checks.ts";

/** A cluster of Alibaba Cloud, as a stack file names it. */
export interface CloudPlace {
  readonly clusterId: string;
  readonly region: string;
}

/** A master as Alibaba Cloud knows it. */
export interface CloudMaster {
  readonly instanceId: string;
  readonly address: string;
  /** undefined unless it was asked for */
  readonly systemDisk?: string | undefined;
}

/** Such a cluster with its masters. */
export interface CloudCluster extends CloudPlace {
  readonly masters: readonly CloudMaster[];
}

/** What a master of the stack file is compared by; one that joins may be known to Alibaba Cloud already, or not yet. */
type Listed = Pick<MasterSpec, "name" | "address" | "joining">;

/** The cluster is none that can be rotated, as opposed to one that cannot be asked for. */
export class CloudRefusal extends Error {
  override readonly name = "CloudRefusal";
}

/**
 * Why a cluster that is not among the dedicated ones cannot be rotated.
 * @param type as Alibaba Cloud names it; undefined when it knows no such cluster
 */
export function typeRefusal({ clusterId, region }: CloudPlace, type: string | undefined): string {
  switch (type) {
    case undefined:
      return `Cannot rotate cluster '${clusterId}': Alibaba Cloud has no cluster of that id in '${region}' that these credentials may see; expected clusterId and region as the console shows them`;
    case "ManagedKubernetes":
      return `Cannot rotate cluster '${clusterId}': its type is '${type}', whose control plane is managed by Alibaba Cloud and needs none of this; expected a dedicated cluster ('Kubernetes')`;
    default:
      return `Cannot rotate cluster '${clusterId}': its type is '${type}'; expected a dedicated cluster ('Kubernetes')`;
  }
}

/** Whether both are one machine. */
export function isSame(cloud: Pick<CloudMaster, "address">, listed: Pick<Listed, "address">): boolean {
  return normalAddress(cloud.address) === normalAddress(listed.address);
}

/** Each master that only one side knows: the stack file, or Alibaba Cloud. */
export function cloudRefusals(
  { clusterId }: Pick<CloudPlace, "clusterId">,
  known: readonly CloudMaster[],
  masters: readonly Listed[],
): string[] {
  const seen = known.map(({ address }) => address).join(", ") || "none";
  return [
    ...known
      .filter((cloud) => !masters.some((listed) => isSame(cloud, listed)))
      .map(
        ({ instanceId, address }) =>
          `Cannot rotate cluster '${clusterId}': Alibaba Cloud lists ${instanceId} at ${address} as a master of it; expected it among the masters of the stack file`,
      ),
    ...masters
      .filter((listed) => listed.joining !== true && !known.some((cloud) => isSame(cloud, listed)))
      .map(
        ({ name, address }) =>
          `Cannot rotate cluster '${clusterId}': Alibaba Cloud lists no master at ${address} (${name}), its masters are ${seen}; expected the stack file's masters and no others`,
      ),
  ];
}

/** Masters whose system disk is not known, and so cannot be copied. */
export function diskRefusals(
  { clusterId }: Pick<CloudPlace, "clusterId">,
  known: readonly CloudMaster[],
): string[] {
  return known
    .filter(({ systemDisk }) => systemDisk === undefined)
    .map(
      ({ instanceId, address }) =>
        `Cannot take a snapshot for cluster '${clusterId}': Alibaba Cloud shows no system disk of ${instanceId} at ${address}; expected one, and the right ecs:DescribeDisks`,
    );
}

/** At most 128 letters, digits, hyphens and underscores, the first a letter (ECS CreateSnapshot, SnapshotName). */
export function diskSnapshotName(attempt: string, master: string): string {
  return `etcd-rotation-${attempt}-${master.replaceAll(/[^A-Za-z0-9_-]/g, "-")}`;
}
