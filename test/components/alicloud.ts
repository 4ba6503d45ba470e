import type { GetClustersArgs, GetClustersResult } from "@pulumi/alicloud/cs/getClusters.js";
import type {
  GetKubernetesClustersArgs,
  GetKubernetesClustersResult,
} from "@pulumi/alicloud/cs/getKubernetesClusters.js";
import type { GetEcsDisksArgs, GetEcsDisksResult } from "@pulumi/alicloud/ecs/getEcsDisks.js";
import { specs } from "../model/cluster.ts";
import type { Call } from "./program.ts";

/** A dedicated cluster and a managed one, as the provider's functions answer; typed by the provider's own package. */
export const dedicatedId = "c11111111111111111111111111111111";
export const managedId = "c22222222222222222222222222222222";

type Cluster = GetKubernetesClustersResult["clusters"][number];
type Disk = GetEcsDisksResult["disks"][number];

/** A master at this place of the cluster's list. */
export function masterAt(address: string, index: number): Cluster["masterNodes"][number] {
  return { id: `i-master-${index + 1}`, name: `master-of-master-${index + 1}`, privateIp: address };
}

export const masterNodes: Cluster["masterNodes"] = specs.map(({ address }, index) =>
  masterAt(address, index),
);

const dedicated: Cluster = {
  id: dedicatedId,
  name: "prod",
  availabilityZone: "cn-hangzhou-h",
  clusterNetworkType: "flannel",
  connections: {
    apiServerInternet: "",
    apiServerIntranet: "https://10.77.0.10:6443",
    masterPublicIp: "",
    serviceDomain: "",
  },
  imageId: "aliyun_3_x64_20G_alibase",
  keyName: "",
  logConfigs: [],
  masterAutoRenew: false,
  masterAutoRenewPeriod: 0,
  masterDiskCategory: "cloud_essd",
  masterDiskSize: 120,
  masterInstanceChargeType: "PostPaid",
  masterInstanceTypes: ["ecs.g7.xlarge"],
  masterNodes,
  masterPeriod: 0,
  masterPeriodUnit: "",
  natGatewayId: "",
  nodeCidrMask: 26,
  podCidr: "172.20.0.0/16",
  securityGroupId: "sg-1",
  serviceCidr: "172.21.0.0/20",
  slbInternetEnabled: false,
  vpcId: "vpc-1",
  vswitchIds: ["vsw-1"],
  workerAutoRenew: false,
  workerAutoRenewPeriod: 0,
  workerDataDiskCategory: "",
  workerDataDiskSize: 0,
  workerDiskCategory: "cloud_essd",
  workerDiskSize: 120,
  workerInstanceChargeType: "PostPaid",
  workerInstanceTypes: ["ecs.g7.xlarge"],
  workerNodes: [{ id: "i-worker", name: "worker", privateIp: "10.77.0.21" }],
  workerNumbers: [1],
  workerPeriod: 0,
  workerPeriodUnit: "",
};

const managed: GetClustersResult["clusters"][number] = {
  autoMode: { enabled: false },
  clusterDomain: "cluster.local",
  clusterId: managedId,
  clusterName: "managed",
  clusterSpec: "ack.pro.small",
  clusterType: "ManagedKubernetes",
  currentVersion: "1.30.1-aliyun.1",
  deletionProtection: true,
  id: managedId,
  ipStack: "ipv4",
  maintenanceWindow: { duration: "", enable: false, maintenanceTime: "", recurrence: "", weeklyPeriod: "" },
  nodeCidrMask: "26",
  operationPolicy: { clusterAutoUpgrade: { channel: "", enabled: false } },
  podCidr: "172.20.0.0/16",
  profile: "Default",
  proxyMode: "ipvs",
  regionId: "cn-hangzhou",
  resourceGroupId: "rg-1",
  securityGroupId: "sg-1",
  serviceCidr: "172.21.0.0/20",
  state: "running",
  tags: {},
  timezone: "Asia/Shanghai",
  vpcId: "vpc-1",
  vswitchIds: ["vsw-1"],
};

/** The system disk of an instance. */
function diskOf(instanceId: string): Disk {
  const diskId = `d-${instanceId}`;
  return {
    attachedTime: "2026-01-01T00:00:00Z",
    autoSnapshotPolicyId: "",
    availabilityZone: "cn-hangzhou-h",
    category: "cloud_essd",
    creationTime: "2026-01-01T00:00:00Z",
    deleteAutoSnapshot: false,
    deleteWithInstance: true,
    description: "",
    detachedTime: "",
    device: "/dev/xvda",
    diskId,
    diskName: "",
    diskType: "system",
    enableAutoSnapshot: true,
    enableAutomatedSnapshotPolicy: false,
    encrypted: "off",
    expirationTime: "",
    expiredTime: "",
    id: diskId,
    imageId: "",
    instanceId,
    iops: 0,
    iopsRead: 0,
    iopsWrite: 0,
    kmsKeyId: "",
    mountInstanceNum: 1,
    mountInstances: [],
    name: "",
    operationLocks: [],
    paymentType: "PayAsYouGo",
    performanceLevel: "PL1",
    portable: false,
    productCode: "",
    regionId: "cn-hangzhou",
    resourceGroupId: "rg-1",
    size: 120,
    snapshotId: "",
    status: "In_use",
    tags: {},
    type: "system",
    zoneId: "cn-hangzhou-h",
  };
}

/** What was asked, with which provider, and the answers of Alibaba Cloud. */
export function cloudCalls(change: Partial<Cluster> = {}): {
  readonly asked: unknown[];
  readonly call: Call;
} {
  const asked: unknown[] = [];
  const call: Call = ({ token, inputs, provider }) => {
    asked.push([token, inputs, provider?.split("::").at(-2)]);
    switch (token) {
      case "alicloud:cs/getKubernetesClusters:getKubernetesClusters": {
        const { ids = [] }: GetKubernetesClustersArgs = inputs;
        const clusters = ids.includes(dedicatedId) ? [{ ...dedicated, ...change }] : [];
        return {
          clusters,
          id: "1",
          ids: clusters.map(({ id }) => id),
          names: clusters.map(({ name }) => name),
        } satisfies GetKubernetesClustersResult;
      }
      case "alicloud:cs/getClusters:getClusters": {
        const { ids = [] }: GetClustersArgs = inputs;
        const clusters = ids.includes(managedId) ? [managed] : [];
        return {
          clusters,
          id: "1",
          ids: clusters.map(({ id }) => id),
          names: [],
        } satisfies GetClustersResult;
      }
      case "alicloud:ecs/getEcsDisks:getEcsDisks": {
        const { instanceId = "" }: GetEcsDisksArgs = inputs;
        const disks = instanceId === "i-without-disk" ? [] : [diskOf(instanceId)];
        return {
          disks,
          id: "1",
          ids: disks.map(({ id }) => id),
          names: [],
          totalCount: disks.length,
        } satisfies GetEcsDisksResult;
      }
      default:
        throw new Error(`Nobody answers to ${token}`);
    }
  };
  return { asked, call };
}
