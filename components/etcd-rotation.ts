import * as pulumi from "@pulumi/pulumi";
import { announce } from "./announce.ts";
import { makeAuthorities, makeLeaves } from "./certificates.ts";
import { type Cluster, resourceName } from "./cluster.ts";
import { type Outputs, outputsOf } from "./outputs.ts";
import { Rollout } from "./rollout.ts";

export interface EtcdRotationArgs {
  /** as surveyed under the same name */
  readonly cluster: Cluster;
}

/**
 * index.ts as a component, for a program with several clusters: every resource is its child, and has its name in front of its own.
 * Export `outputs` under that name, too: the next run looks there for which etcd cluster it was, and for its rotation.
 */
export class EtcdRotation extends pulumi.ComponentResource {
  readonly outputs: Outputs;

  /** @throws Error on a survey of another name: its receipts would belong to that one */
  constructor(name: string, { cluster }: EtcdRotationArgs, options?: pulumi.ComponentResourceOptions) {
    super("etcd-rotation:index:EtcdRotation", name, {}, options);
    if (cluster.name !== name) {
      throw new Error(
        `Cannot rotate "${name}" by the survey of "${cluster.name}"; expected one name: surveyCluster(settings, "${name}")`,
      );
    }
    const own = { parent: this };
    const authorities = makeAuthorities(cluster, own);
    const leaves = makeLeaves(cluster, authorities, own);
    const rollout = new Rollout(resourceName(cluster, "rollout"), { cluster, authorities, leaves }, own);
    this.outputs = outputsOf(cluster, rollout);
    this.registerOutputs(announce(cluster, rollout).then(() => ({})));
  }
}
