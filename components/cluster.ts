import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { type Cloud, cloudOf } from "./alicloud/cloud.ts";
import { decide, type LastOutputs, lookedAfter, type Observed, planOf } from "./model/decision.ts";
import { foundOf } from "./model/missing.ts";
import type { ClusterArgs } from "./model/settings.ts";
import type { SurveyedCluster } from "./model/step-work.ts";
import { messageOf } from "./model/text.ts";
import { ignoreWindowVariable } from "./model/window.ts";
import "./stack-traces.ts";
import type { Access } from "./survey/access.ts";
import { refuseStaleAgent } from "./survey/agent.ts";
import { claimMasters } from "./survey/claim.ts";
import { takeSurvey } from "./survey/survey.ts";
import { accessTo, bastionOf, surveyTargets } from "./survey/targets.ts";

/** A cluster as found, and what is going to be done with it. */
export interface Cluster extends SurveyedCluster {
  /** tells clusters of one stack apart; empty for the only one */
  readonly name: string;
  /** undefined unless the stack file names a cluster of Alibaba Cloud */
  readonly cloud: Cloud | undefined;
  readonly last: LastOutputs;
}

/** The name of a cluster's resource, distinct from those of the stack's other clusters. */
export function resourceName(cluster: Pick<Cluster, "name">, own: string): string {
  return cluster.name === "" ? own : `${cluster.name}-${own}`;
}

/**
 * Looks at the masters, read only, and decides what a rollout would do.
 * @param name of the cluster, in a stack with several: the owner in its receipts, and the stack output that it is remembered by
 * @throws pulumi.RunError with every reason not to begin, before any key is made
 */
export async function surveyCluster(args: ClusterArgs, name = ""): Promise<Cluster> {
  await requireEngine();
  const owner = [pulumi.getProject(), pulumi.getStack(), ...(name === "" ? [] : [name])].join("/");
  const { claim, cloud, ...observed } = await observe(args, name, owner);
  const decision = decide({ ...observed, cloud }, args, { name: pulumi.getStack(), owner });
  if (decision.refusals.length > 0) {
    throw refusal(name, decision.refusals.join("\n"));
  }
  const { shut } = decision;
  if (
    shut !== undefined &&
    !pulumi.runtime.isDryRun() &&
    process.env[ignoreWindowVariable] !== pulumi.getStack()
  ) {
    throw refusal(name, shut);
  }
  return { ...decision, name, args, found: observed.found, cloud, last: observed.last, owner, claim };
}

/**
 * Asks for an engine that knows `replacementTrigger`: an older one ignores it, and a rotation would re-sign every certificate with
 * the key that it has.
 * @throws pulumi.RunError with an older one
 */
function requireEngine(): Promise<void> {
  return pulumi.requirePulumiVersion(">=3.211.0").catch((error: unknown) => {
    throw new pulumi.RunError(
      `Cannot rotate with this Pulumi CLI: ${messageOf(error)}; expected 3.211.0 or later, since an older one keeps every private key. Install that, or run: npx etcd-rotation pulumi, which gets one`,
    );
  });
}

/** All that is asked of others: the masters, Alibaba Cloud, and the state of the last update. */
async function observe(
  args: ClusterArgs,
  name: string,
  owner: string,
): Promise<Observed & Pick<Cluster, "claim" | "cloud">> {
  const refuse = (error: unknown) => {
    throw refusal(name, messageOf(error));
  };
  const { clusterId, region } = args;
  const place = clusterId === undefined || region === undefined ? undefined : { clusterId, region };
  const [seen, last, cloud] = await Promise.all([
    claimAndLook(args, owner).catch(refuse),
    lastOutputs(name),
    cloudOf(place, resourceName({ name }, "alicloud"), args.backup.diskSnapshot === true).catch(refuse),
  ]);
  return { ...seen, last, cloud };
}

/** What ends the program with these reasons, and with the cluster's name where a stack has several. */
export function refusal(name: string, reasons: string): pulumi.RunError {
  return new pulumi.RunError(name === "" ? reasons : reasons.replaceAll(/^/gm, `${name}: `));
}

/**
 * In an update the masters are claimed first, so that nobody else changes them after the survey. One look may fall into an election
 * or a start: a recovery is begun only when two in a row, some seconds apart, say the same.
 */
async function claimAndLook(
  args: ClusterArgs,
  owner: string,
): Promise<Pick<Observed, "found" | "now"> & { readonly claim: string }> {
  const { skipUnreachable } = args;
  await refuseStaleAgent();
  const { table, kubernetesTable } = lookedAfter(args);
  const all = surveyTargets(args, owner, [...table, ...kubernetesTable]);
  const { name: claim, targets } = pulumi.runtime.isDryRun()
    ? { name: "", targets: all }
    : await claimMasters(all, owner, {
        probes: args.probe !== "off",
        skipsUnreachable: skipUnreachable === true,
      });
  const look = async () => {
    const found = foundOf((await takeSurvey(targets, skipUnreachable)).masters, args.masters);
    const now = Date.now();
    return { claim, found, now, plan: planOf(args, found, now).plan };
  };
  let last = await look();
  for (let looks = 1; last.plan.mode === "recovery"; looks += 1) {
    await setTimeout(nextLookMilliseconds);
    const next = await look();
    if (isDeepStrictEqual(next.plan.out, last.plan.out)) {
      return next;
    }
    if (looks === mostLooks) {
      const [before, now] = [last, next].map(({ plan }) =>
        plan.causes.length === 0 ? "nothing" : plan.causes.join("; "),
      );
      throw new Error(
        `Cannot tell what is out: ${before}; and some seconds later: ${now}; expected the same twice. Nothing was changed: run it again`,
      );
    }
    last = next;
  }
  return last;
}

/** Longer than an election, which takes up to twice etcd's --election-timeout (3 s on ACK). */
const nextLookMilliseconds = 8000;
const mostLooks = 4;

/** The steps' connection to a master; secret, since it holds the key or the password. */
export function connectionTo(
  args: ClusterArgs,
  master: ClusterArgs["masters"][number],
): command.types.input.remote.ConnectionArgs {
  const bastion = bastionOf(args);
  return {
    ...endpoint(accessTo(args, master)),
    ...(bastion === undefined ? {} : { proxy: endpoint(bastion) }),
  };
}

function endpoint(access: Access) {
  return {
    host: access.host,
    port: access.port,
    user: access.user,
    dialErrorLimit: 5,
    perDialTimeout: 15,
    ...(access.hostKey === "unchecked" ? {} : { hostKey: access.hostKey }),
    ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
    ...(access.passphrase === undefined ? {} : { privateKeyPassword: access.passphrase }),
    ...(access.password === undefined ? {} : { password: access.password }),
    ...(access.agentSocket === undefined ? {} : { agentSocketPath: access.agentSocket }),
  };
}

const text = z.string().optional().catch(undefined);
const pair = z.object({ certPem: z.string(), keyPem: z.string() });
const keys = z.object({ etcd: pair, "etcd-peer": pair }).optional().catch(undefined);
const values = z.record(z.string(), z.unknown()).catch({});

/** Of `Outputs` what the next run reads; an earlier program may have put out less. */
const outputs = z.object({
  cluster: text,
  rotation: text,
  authorities: values.transform((own) => Object.values(own).filter((each) => typeof each === "string")),
  diskSnapshots: values,
  authorityKeys: z
    .object({ current: keys, previous: keys })
    .catch({ current: undefined, previous: undefined }),
});

/** What this stack's last update has put out for a cluster; a stack may refer to itself, also before its first update. */
async function lastOutputs(name: string): Promise<LastOutputs> {
  const self = new pulumi.StackReference(resourceName({ name }, "self"), {
    name: `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`,
  });
  // of a cluster among others all is secret, since its keys are
  const read = async (key: string): Promise<unknown> => {
    const { value, secretValue } = await self.getOutputDetails(key);
    return value ?? secretValue;
  };
  const own =
    name === ""
      ? Object.fromEntries(
          await Promise.all(
            Object.keys(outputs.shape).map(async (key): Promise<[string, unknown]> => [key, await read(key)]),
          ),
        )
      : await read(name);
  const { cluster, rotation, authorities, diskSnapshots, authorityKeys } = outputs.parse(Object(own));
  const { current, previous } = authorityKeys;
  const hasDiskSnapshots = Object.keys(diskSnapshots).length > 0;
  return { cluster, rotation, authorities, hasDiskSnapshots, keys: { current, previous } };
}
