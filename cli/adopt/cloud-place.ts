import { normalAddress } from "../../components/model/certificate.ts";
import type { CloudMaster, CloudPlace } from "../../components/model/cloud.ts";
import { CommandError } from "../command-error.ts";
import type { Member } from "./members.ts";

/** The cluster that the options name; undefined without any. @throws CommandError (bad usage) when one of them is missing */
export function placeOf(clusterId: string | undefined, region: string | undefined): CloudPlace | undefined {
  if (clusterId === undefined && region === undefined) {
    return undefined;
  }
  if (clusterId === undefined || region === undefined) {
    throw new CommandError(`Cannot ask Alibaba Cloud: saw no ${clusterId === undefined ? "--cluster-id" : "--region"}; expected both, or neither`, {
      ending: "usage",
    });
  }
  return { clusterId, region };
}

/** @throws CommandError (refused) when etcd's members are not the cluster's masters */
export function requireSame({ clusterId }: CloudPlace, known: readonly CloudMaster[], members: readonly Member[]): void {
  const [cloud, etcd] = [known, members].map((list) =>
    list
      .map(({ address }) => normalAddress(address))
      .toSorted()
      .join(", "),
  );
  if (cloud !== etcd) {
    throw new CommandError(
      `Cannot adopt cluster '${clusterId}': by Alibaba Cloud its masters are ${cloud || "none"}, and etcd's members are ${etcd || "none"}; expected the same. Nothing was written`,
      { ending: "refused" },
    );
  }
}
