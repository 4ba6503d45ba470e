import type * as pulumi from "@pulumi/pulumi";
import { type CloudCluster, type CloudPlace, CloudRefusal } from "../model/cloud.ts";
import { messageOf } from "../model/text.ts";

/** Alibaba Cloud's side of a cluster. */
export interface Cloud extends CloudCluster {
  readonly provider: pulumi.ProviderResource;
}

/**
 * What Alibaba Cloud knows of a cluster; nothing is loaded or asked unless there is a place.
 * @param name of the provider's resource
 * @throws CloudRefusal when the cluster is no dedicated one, Error when it cannot be asked for
 */
export async function cloudOf(
  place: CloudPlace | undefined,
  name: string,
  takesDisks: boolean,
): Promise<Cloud | undefined> {
  if (place === undefined) {
    return undefined;
  }
  const [{ Provider }, { askCloud }] = await Promise.all([
    import("@pulumi/alicloud/provider.js"),
    import("./ask-cloud.ts"),
  ]);
  // keys are the plug-in's own business: it reads its environment, and they are in no state (names of a profile and a role are)
  const provider = new Provider(name, { region: place.region });
  try {
    return { ...place, provider, masters: await askCloud(place, provider, takesDisks) };
  } catch (error) {
    const reason = messageOf(error);
    throw error instanceof CloudRefusal
      ? error
      : new Error(
          `Cannot ask Alibaba Cloud for cluster '${place.clusterId}' in '${place.region}': ${reason}; expected credentials in the environment that may read it (docs/alibaba-cloud.md)`,
          { cause: error },
        );
  }
}
