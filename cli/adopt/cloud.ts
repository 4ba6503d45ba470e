import { pathToFileURL } from "node:url";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import { cloudOf } from "../../components/alicloud/cloud.ts";
import { normalAddress } from "../../components/model/certificate.ts";
import {
  type CloudCluster,
  type CloudMaster,
  type CloudPlace,
  CloudRefusal,
} from "../../components/model/cloud.ts";
import { CommandError } from "../command-error.ts";
import { automationOptions } from "../engine.ts";
import { inScratchFolder } from "../files.ts";
import { errorsIn, reasonOf } from "../fleet/result.ts";
import type { Member } from "./members.ts";

/** The cluster that the options name; undefined without any. @throws CommandError (bad usage) when one of them is missing */
export function placeOf(clusterId: string | undefined, region: string | undefined): CloudPlace | undefined {
  if (clusterId === undefined && region === undefined) {
    return undefined;
  }
  if (clusterId === undefined || region === undefined) {
    throw CommandError.usage(
      `Cannot ask Alibaba Cloud: saw no ${clusterId === undefined ? "--cluster-id" : "--region"}; expected both, or neither`,
    );
  }
  return { clusterId, region };
}

/** @throws CommandError (refused) when etcd's members are not the cluster's masters */
export function requireSame({ clusterId, masters }: CloudCluster, members: readonly Member[]): void {
  const [cloud, etcd] = [masters, members].map((list) =>
    list
      .map(({ address }) => normalAddress(address))
      .toSorted()
      .join(", "),
  );
  if (cloud !== etcd) {
    throw CommandError.refused(
      `Cannot adopt cluster '${clusterId}': by Alibaba Cloud its masters are ${cloud || "none"}, and etcd's members are ${etcd || "none"}; expected the same. Nothing was written`,
    );
  }
}

/**
 * The masters as Alibaba Cloud lists them: previews a program in this process and throws its state away, so nothing is made.
 * @throws CommandError when it is no dedicated cluster (refused), or cannot be asked for
 */
export async function mastersInCloud(place: CloudPlace): Promise<readonly CloudMaster[]> {
  const errors: string[] = [];
  let masters: readonly CloudMaster[] = [];
  let failure: unknown;
  const program = async () => {
    try {
      masters = (await cloudOf(place, "alicloud", false))?.masters ?? [];
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  try {
    const { envVars, ...options } = await automationOptions();
    await inScratchFolder(async (folder) => {
      const local = {
        PULUMI_BACKEND_URL: pathToFileURL(folder).href,
        PULUMI_CONFIG_PASSPHRASE: "nothing is kept",
      };
      const args = { projectName: "etcd-rotation", stackName: "adopt", program };
      const stack = await LocalWorkspace.createStack(args, {
        ...options,
        workDir: folder,
        envVars: { ...envVars, ...local },
      });
      await stack.preview({
        color: "never",
        onEvent: (event) => errors.push(...errorsIn(event)),
      });
    });
  } catch (error) {
    const message =
      failure instanceof Error
        ? failure.message
        : `Cannot ask Alibaba Cloud: ${reasonOf(errors, String(error))}; expected its plug-in and credentials (docs/alibaba-cloud.md). Or give --host <any master> alone`;
    throw CommandError[failure instanceof CloudRefusal ? "refused" : "failed"](message, error);
  }
  return masters;
}
