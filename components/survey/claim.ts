import { hostname, userInfo } from "node:os";
import { claimRecords, readRecords } from "../model/records.ts";
import { assignments } from "../model/shell.ts";
import { renderStepData } from "../model/step-data.ts";
import { messageOf } from "../model/text.ts";
import { claimScript } from "../node/scripts.ts";
import { startOverSsh } from "./ssh.ts";
import { UnreachableError } from "./ssh-errors.ts";
import type { SurveyTarget } from "./survey.ts";

/** A master lets go of a run that has been silent for so long. */
const claimSeconds = 30;

/**
 * Claims every master for this run, until this process ends: Pulumi's own lock does not help against another machine or backend.
 * Where a script of an earlier run is still at work, it waits for its end.
 * @param options.probes each master watches its own etcd and kube-apiserver for as long as it is claimed, once backup has begun
 * @param options.skipsUnreachable goes on without masters that do not answer over SSH
 * @returns what the masters know this run by, and the masters that are claimed
 * @throws Error naming who has claimed which master, and since when
 */
export async function claimMasters(
  targets: readonly SurveyTarget[],
  owner: string,
  { probes = false, skipsUnreachable = false } = {},
): Promise<{ readonly name: string; readonly targets: readonly SurveyTarget[] }> {
  // who runs this, for the other one to ask
  const name = `${owner} ${userName()}@${hostname()} pid ${process.pid}`;
  const claims = await Promise.allSettled(targets.map((target) => claim(target, name, probes)));
  const running = claims.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const problems = claims.flatMap((each) => {
    if (each.status === "fulfilled") {
      return refusals(each.value.master, each.value.firstLine);
    }
    return skipsUnreachable && each.reason instanceof UnreachableError ? [] : messageOf(each.reason);
  });
  if (problems.length > 0) {
    for (const each of running) {
      each.end();
    }
    throw new Error(problems.join("\n"));
  }
  return { name, targets: targets.filter((_, index) => claims[index]?.status === "fulfilled") };
}

async function claim({ access, bastion, data }: SurveyTarget, name: string, probes: boolean) {
  const script = claimScript(
    renderStepData({ ...data, phase: "claim", claim: name }) +
      assignments({ CLAIM_SECONDS: claimSeconds, PROBE: probes ? 1 : 0 }),
  );
  const patience = { firstLineSeconds: data.gateSeconds + 2 * claimSeconds, signSeconds: claimSeconds / 3 };
  return { master: data.master.name, ...(await startOverSsh(access, bastion, script, patience)) };
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}

function refusals(master: string, firstLine: string): string[] {
  const { claimed, taken } = readRecords([firstLine], claimRecords);
  if (claimed.length > 0) {
    return [];
  }
  const [holder] = taken;
  if (holder === undefined) {
    return [
      `Cannot begin: ${master} answered "${firstLine}" to a claim; expected nothing but its answer. A login script must print nothing`,
    ];
  }
  const [since = "", owner = "", ...who] = holder.by.split(" ");
  const minutes = Math.max(0, Math.round((Date.now() / 1000 - Number(since)) / 60));
  return [
    `Cannot begin: ${master} is being worked on by ${owner} (${who.join(" ")}), since ${minutes} min; wait until that run has ended, then run pulumi up again. A run that is gone is noticed within ${claimSeconds} s`,
  ];
}
