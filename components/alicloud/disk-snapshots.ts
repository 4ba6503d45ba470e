import { EcsSnapshot } from "@pulumi/alicloud/ecs/ecsSnapshot.js";
import * as pulumi from "@pulumi/pulumi";
import { type Cluster, resourceName } from "../cluster.ts";
import type { Attempt } from "../model/attempt.ts";
import { diskSnapshotName, isSame } from "../model/cloud.ts";

/** By master. */
export type DiskSnapshots = Readonly<Record<string, EcsSnapshot>>;

/**
 * A snapshot of each master's system disk, a new one for each attempt. Those of earlier attempts, and after `pulumi destroy` all of them,
 * stay until their own retention ends.
 * @param isDue false when there is nothing to rotate: then what the state has stays as it is
 */
export function diskSnapshots(
  cluster: Cluster,
  attempt: pulumi.Input<Attempt>,
  isDue: boolean,
  parent: pulumi.Resource,
): DiskSnapshots {
  const { cloud, args, owner } = cluster;
  return Object.fromEntries(
    args.masters.flatMap((master) => {
      const { name } = master;
      const diskId = cloud?.masters.find((each) => isSame(each, master))?.systemDisk;
      if (cloud === undefined || diskId === undefined) {
        return [];
      }
      const snapshot = new EcsSnapshot(
        resourceName(cluster, `disk-${name}`),
        {
          diskId,
          snapshotName: pulumi.output(attempt).apply(({ id }) => diskSnapshotName(id, name)),
          description: pulumi
            .output(attempt)
            .apply(({ rollout }) => `${name}, before rollout ${rollout} of ${owner}`),
          retentionDays: args.backup.diskSnapshotRetentionDays,
          // the copy is of the moment when it was asked for; its upload goes on by itself
          waitUntil: "available",
        },
        {
          parent,
          provider: cloud.provider,
          replaceOnChanges: ["snapshotName"],
          retainOnDelete: true,
          ignoreChanges: isDue ? [] : ["diskId", "snapshotName", "description", "retentionDays", "waitUntil"],
          customTimeouts: { create: "30m" },
        },
      );
      return [[name, snapshot]];
    }),
  );
}
