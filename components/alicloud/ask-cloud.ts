import { getClusters } from "@pulumi/alicloud/cs/getClusters.js";
import { getKubernetesClusters } from "@pulumi/alicloud/cs/getKubernetesClusters.js";
import { getEcsDisks } from "@pulumi/alicloud/ecs/getEcsDisks.js";
import type * as pulumi from "@pulumi/pulumi";
import { type CloudMaster, type CloudPlace, CloudRefusal, typeRefusal } from "../model/cloud.ts";

/**
 * The masters of a dedicated cluster.
 * @param takesDisks asks for their system disks, too
 * @throws CloudRefusal when there is no such cluster, or it is not a dedicated one
 */
export async function askCloud(
  place: CloudPlace,
  provider: pulumi.ProviderResource,
  takesDisks: boolean,
): Promise<CloudMaster[]> {
  const own = { provider };
  const { clusterId } = place;
  // clusters of type "Kubernetes" alone; the masters only with details
  const { clusters } = await getKubernetesClusters({ ids: [clusterId], enableDetails: true }, own);
  const cluster = clusters.find(({ id }) => id === clusterId);
  if (cluster === undefined) {
    const { clusters: all } = await getClusters({ ids: [clusterId] }, own);
    throw new CloudRefusal(typeRefusal(place, all.find((each) => each.clusterId === clusterId)?.clusterType));
  }
  return Promise.all(
    cluster.masterNodes.map(async ({ id, privateIp }) => ({
      instanceId: id,
      address: privateIp,
      systemDisk: takesDisks ? await systemDiskOf(id, own) : undefined,
    })),
  );
}

async function systemDiskOf(instanceId: string, own: pulumi.InvokeOptions): Promise<string | undefined> {
  const { disks } = await getEcsDisks({ instanceId, diskType: "system" }, own);
  return disks.find((disk) => disk.instanceId === instanceId)?.diskId;
}
