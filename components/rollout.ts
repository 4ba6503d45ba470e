import * as pulumi from "@pulumi/pulumi";
import type { DiskSnapshots } from "./alicloud/disk-snapshots.ts";
import type { Authorities, Leaves } from "./certificates.ts";
import { type Cluster, connectionTo, refusal, resourceName } from "./cluster.ts";
import type { LeafCertificate } from "./leaf-certificate.ts";
import { type Attempt, decideAttempt } from "./model/attempt.ts";
import { type LastOutputs, previousKeys } from "./model/decision.ts";
import { differences } from "./model/differences.ts";
import { type Authority, byAuthority, byLeaf } from "./model/layout/rows.ts";
import { stepName, stepsOf } from "./model/plan.ts";
import { type Report, readReports } from "./model/report.ts";
import { renderStepData } from "./model/step-data.ts";
import { stepDataFor } from "./model/step-work.ts";
import { fingerprintsOf, keptKeys, type Wanted, type WantedPems } from "./model/wanted.ts";
import { stepScript } from "./node/scripts.ts";
import { step } from "./step.ts";
import { valueIfKnown } from "./value-if-known.ts";

interface RolloutArgs {
  readonly cluster: Cluster;
  readonly authorities: Authorities;
  readonly leaves: Leaves;
}

/** The steps that bring the wanted certificates to the masters: nothing to do, nothing runs. */
export class Rollout extends pulumi.ComponentResource {
  /** unknown while a rotation is being previewed; public */
  readonly wanted: pulumi.Output<Wanted>;
  readonly attempt: pulumi.Output<Attempt>;
  /** what verify saw on every master; fails when a step has not run in this attempt */
  readonly report: pulumi.Output<Report>;
  /** Kubernetes certificates that cannot be renewed here, until when they last, and why */
  readonly stays: pulumi.Output<readonly string[]>;
  /** what the next run reads from the stack; secret */
  readonly authorityKeys: pulumi.Output<LastOutputs["keys"]>;
  /** ids by master; undefined unless they are asked for */
  readonly diskSnapshots: pulumi.Output<Readonly<Record<string, string>>> | undefined;

  constructor(name: string, args: RolloutArgs, options?: pulumi.ComponentResourceOptions) {
    super("etcd-rotation:index:Rollout", name, {}, options);
    const { cluster, authorities } = args;
    const pems = pemsOf(args);
    const cross = crossOf(authorities);
    const previous = previousKeys(cluster.last, cluster.args.rotation);
    const keys = pulumi.secret(byAuthority((each) => pemOf(authorities[each])));
    this.authorityKeys = keys.apply((current) => ({ current, previous }));
    const asked = { rotation: cluster.args.rotation, owner: cluster.owner, heldBefore: undefined };
    const wanted =
      cluster.restore === undefined
        ? pulumi.unsecret(
            pems.apply((known) =>
              fingerprintsOf(withNewKeys(known, cluster), cluster.rows, asked, cluster.plan.kept),
            ),
          )
        : pulumi.output(cluster.restore.wanted);
    this.wanted = wanted.apply((known) => ({ ...known, heldBefore: cluster.given(known).heldBefore }));
    const decided = this.wanted.apply((known) => {
      const { renewals, handover } = cluster.given(known);
      return {
        ...{ wanted: known, renewals, handover },
        attempt: decideAttempt(cluster.found, known, cluster.rows, cluster.plan, renewals),
      };
    });
    this.attempt = decided.attempt;
    this.stays = decided.renewals.notices;
    const snapshots =
      cluster.cloud === undefined || cluster.args.backup.diskSnapshot !== true
        ? undefined
        : this.#takeDiskSnapshots(cluster);
    this.diskSnapshots =
      snapshots &&
      pulumi.output(
        snapshots.then((made) =>
          Object.fromEntries(Object.entries(made).map(([master, { id }]) => [master, id])),
        ),
      );

    const planned = stepsOf(
      cluster.plan,
      cluster.found.masters.map((master) => master.name),
      cluster.found.joining?.map((master) => master.name),
    );
    const steps = new Map<string, ReturnType<typeof step>>();
    for (const each of planned) {
      const master = cluster.args.masters.find(({ name: own }) => own === each.master);
      if (master === undefined) {
        throw new Error(`Cannot find master "${each.master}" of the plan`);
      }
      // what backup has signed on one master is brought to all
      const backups = planned
        .filter(({ phase }) => phase === "backup" && each.phase !== "backup")
        .flatMap((own) => steps.get(stepName(own))?.stdout ?? []);
      const script = pulumi
        .all([pems, decided, cross, pulumi.all(backups)])
        .apply(([texts, known, inState, said]) =>
          stepScript(
            renderStepData(
              stepDataFor(cluster, each, master, { ...known, pems: texts, inState, signed: said }),
            ),
          ),
        );
      const earlier = each.after.flatMap((before) => steps.get(before) ?? []);
      const stepArgs = {
        user: master.user ?? cluster.args.ssh.user,
        connection: connectionTo(cluster.args, master),
        attempt: this.attempt.id,
        script,
        dependsOn:
          snapshots === undefined || each.after.length > 0
            ? earlier
            : snapshots.then((made) => Object.values(made)),
      };
      steps.set(stepName(each), step(resourceName(cluster, stepName(each)), stepArgs, this));
    }
    const stdouts = pulumi.all(Object.fromEntries([...steps].map(([own, { stdout }]) => [own, stdout])));
    this.report = pulumi
      .all([this.attempt, stdouts])
      .apply(([attempt, known]) => readReports(attempt, planned, known));
    this.registerOutputs({});
  }

  /** None when there is nothing to rotate and the state has none. */
  async #takeDiskSnapshots(cluster: Cluster): Promise<DiskSnapshots> {
    const wanted = await valueIfKnown(this.wanted);
    const isDue =
      differences(cluster.found, wanted, cluster.rows, cluster.given(wanted).renewals).length > 0 ||
      wanted === undefined;
    if (!(isDue || cluster.last.hasDiskSnapshots)) {
      return {};
    }
    const { diskSnapshots } = await import("./alicloud/disk-snapshots.ts");
    return diskSnapshots(cluster, this.attempt, isDue, this);
  }
}

function pemsOf({ authorities, leaves }: RolloutArgs): pulumi.Output<WantedPems> {
  return pulumi.output({
    authorities: byAuthority((each) => authorities[each].certPem),
    leaves: Object.fromEntries(
      Object.entries(leaves).map(([master, own]) => [master, byLeaf((leaf) => pemOf(own[leaf]))]),
    ),
  });
}

/** Apart from what is wanted, since it is of no more use after its rollout. */
function crossOf(authorities: Authorities): pulumi.Output<Readonly<Partial<Record<Authority, string>>>> {
  const { etcd, "etcd-peer": peer } = authorities;
  return pulumi.output({
    ...(etcd.crossPem && { etcd: etcd.crossPem }),
    ...(peer.crossPem && { "etcd-peer": peer.crossPem }),
  });
}

/** @throws pulumi.RunError before a step runs */
function withNewKeys(pems: WantedPems, cluster: Cluster): WantedPems {
  const reasons = keptKeys(pems, cluster.found, resourceName(cluster, "**"));
  if (reasons.length > 0) {
    throw refusal(cluster.name, reasons.join("\n"));
  }
  return pems;
}

function pemOf({ certPem, keyPem }: Pick<LeafCertificate, "certPem" | "keyPem">) {
  return { certPem, keyPem };
}
