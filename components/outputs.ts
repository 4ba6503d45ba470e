import type * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "./cluster.ts";
import { carriersNow, type Report } from "./model/report.ts";
import type { Wanted } from "./model/wanted.ts";
import type { Rollout } from "./rollout.ts";

/**
 * What is known of a cluster after its rollout; public but for the keys. The next run reads `cluster`, `rotation` and `authorityKeys`
 * from the stack.
 */
export interface Outputs {
  /** etcd's cluster id */
  readonly cluster: string;
  readonly rotation: string;
  readonly rollout: pulumi.Output<number>;
  /** ISO day of the first certificate to end, over all masters */
  readonly expires: pulumi.Output<string>;
  readonly served: pulumi.Output<Report["served"]>;
  /** SHA-256 of each authority's certificate */
  readonly authorities: pulumi.Output<Wanted["authorities"]>;
  /** of these authorities, which sign the next ones, and of those before them; secret */
  readonly authorityKeys: Rollout["authorityKeys"];
  /** ids by master; only with backup.diskSnapshot. The next run reads here whether there are any */
  readonly diskSnapshots?: pulumi.Output<Readonly<Record<string, string>>>;
  readonly kubernetes: {
    readonly stays: Rollout["stays"];
    readonly carriers: pulumi.Output<readonly string[]>;
  };
}

/** @returns outputs that fail when a step has not run in this attempt */
export function outputsOf(cluster: Cluster, rollout: Rollout): Outputs {
  return {
    cluster: cluster.clusterId,
    rotation: cluster.args.rotation,
    rollout: rollout.report.rollout,
    expires: rollout.report.expires,
    served: rollout.report.served,
    authorities: rollout.wanted.authorities,
    authorityKeys: rollout.authorityKeys,
    ...(rollout.diskSnapshots === undefined ? {} : { diskSnapshots: rollout.diskSnapshots }),
    kubernetes: {
      stays: rollout.stays,
      carriers: rollout.report.apply((report) => carriersNow(cluster.found, report)),
    },
  };
}
