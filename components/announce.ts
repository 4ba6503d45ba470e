import { appendFile } from "node:fs/promises";
import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "./cluster.ts";
import { nextRollout } from "./model/attempt.ts";
import { clientCommands } from "./model/clients.ts";
import { differences } from "./model/differences.ts";
import { type Check, checkRollout, notWalked, planCheckVariable } from "./model/exploration/check.ts";
import { layouts } from "./model/layout/tables.ts";
import { planFileVariable, summarizePlan } from "./model/plan-summary.ts";
import { describeReport } from "./model/report.ts";
import { rotationOf } from "./model/restore.ts";
import type { Wanted } from "./model/wanted.ts";
import { describeHold, describePlan } from "./model/words.ts";
import type { Rollout } from "./rollout.ts";
import { valueIfKnown } from "./value-if-known.ts";

/** Says in words, under the rollout's own name where a stack has several, what preview shows as a diff, and at the end of an update what has been verified. */
export async function announce(cluster: Cluster, rollout: Rollout): Promise<void> {
  const wanted = await valueIfKnown(rollout.wanted);
  const given = cluster.given(wanted);
  const input = {
    ...cluster,
    ...given,
    wanted,
    rollout: nextRollout(cluster.found),
    rotation: rotationOf(cluster.args),
    restore: cluster.args.restore,
    foreignAuthorities: cluster.args.foreignAuthorities,
    lastRotation: cluster.last.rotation,
    pauseSeconds: cluster.args.pauseBetweenMasters,
    diskSnapshotDays:
      cluster.args.backup.diskSnapshot === true ? cluster.args.backup.diskSnapshotRetentionDays : undefined,
    addresses: [
      ...cluster.args.masters.map((master) => master.address),
      ...(cluster.args.clients?.ignore ?? []),
    ],
  };
  const subject = cluster.name === "" ? undefined : rollout;
  if (pulumi.runtime.isDryRun()) {
    const words = describePlan(input);
    await pulumi.log.info(words.join("\n"), subject);
    const file = process.env[planFileVariable];
    if (file !== undefined) {
      const summary = summarizePlan(cluster.name, input, words);
      const check = process.env[planCheckVariable] === undefined ? undefined : checkOf(cluster, wanted);
      await appendFile(file, `${JSON.stringify({ ...summary, check })}\n`);
    }
    return;
  }
  rollout.report.apply((report) =>
    wanted !== undefined && differences(cluster.found, wanted, cluster.rows, given.renewals).length > 0
      ? pulumi.log.info(
          [
            ...describeReport(report, describeHold(input), input, cluster.args.layout.kind),
            ...clientCommands(given.clients),
          ].join("\n"),
          subject,
        )
      : undefined,
  );
}

/** Three masters that restart twice take a third of it on a machine that does nothing else. */
const longestCheckMilliseconds = 30_000;

function checkOf(cluster: Cluster, wanted: Wanted | undefined): Check {
  const { found, rows, args, authorities, inState, now, end } = cluster;
  if (args.restore !== undefined) {
    return notWalked;
  }
  const { handover, heldBefore } = cluster.given(wanted);
  const begin = Date.now();
  return checkRollout(
    {
      ...{ found, rows, wanted, handover, heldBefore, authorities, inState, now, end },
      hasPeerAuthority: layouts[args.layout.kind].hasPeerAuthority,
      crossPolicy: args.crossCertificates,
      foreignAuthorities: args.foreignAuthorities,
    },
    { isOver: () => Date.now() - begin > longestCheckMilliseconds },
  );
}
