import { hostname, userInfo } from "node:os";
import { claimRecords, readRecords } from "../model/records.ts";
import { assignments } from "../model/shell.ts";
import { renderStepData } from "../model/step-data.ts";
import { claimScript } from "../node/scripts.ts";
import { type Running, startOverSsh } from "./ssh.ts";
import { UnreachableError } from "./ssh-errors.ts";
import type { SurveyTarget } from "./survey.ts";

/** A master lets go of a run that has been silent for so long. */
const claimSeconds = 30;

interface Claim {
  /** what the masters know this run by */
  readonly name: string;
  /** the masters that are claimed */
  readonly targets: readonly SurveyTarget[];
}

/**
 * Claims every master for this run, until this process ends: Pulumi's own lock does not help against another machine or backend.
 * Where a script of an earlier run is still at work, it waits for its end.
 * @param options.probes each master watches its own etcd and kube-apiserver for as long as it is claimed, once backup has begun
 * @param options.skipsUnreachable goes on without masters that do not answer over SSH
 * @throws Error naming who has claimed which master, and since when
 */
export async function claimMasters(
  targets: readonly SurveyTarget[],
  owner: string,
  { probes = false, skipsUnreachable = false } = {},
): Promise<Claim> {
  const name = `${owner} ${claimant()}`;
  const claims = await Promise.allSettled(targets.map((target) => claim(target, name, probes)));
  const running = claims.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const isSkipped = (each: PromiseSettledResult<Running>) =>
    skipsUnreachable && each.status === "rejected" && each.reason instanceof UnreachableError;
  const problems = claims.flatMap((each, index) => {
    if (isSkipped(each)) {
      return [];
    }
    const master = targets[index]?.data.master.name ?? "";
    return each.status === "rejected" ? [messageOf(each.reason)] : refusals(master, each.value.firstLine);
  });
  if (problems.length > 0) {
    for (const each of running) {
      each.end();
    }
    throw new Error(problems.join("\n"));
  }
  return { name, targets: targets.filter((_, index) => claims[index]?.status === "fulfilled") };
}

function claim({ access, bastion, data }: SurveyTarget, name: string, probes: boolean): Promise<Running> {
  const { gateSeconds } = data;
  const script = claimScript(
    renderStepData({ ...data, phase: "claim", claim: name }) +
      assignments({ CLAIM_SECONDS: claimSeconds, PROBE: probes ? 1 : 0 }),
  );
  const patience = { firstLineSeconds: gateSeconds + 2 * claimSeconds, signSeconds: claimSeconds / 3 };
  return startOverSsh(access, bastion, script, patience);
}

/** Who runs this, for the other one to ask. */
function claimant(): string {
  return `${userName()}@${hostname()} pid ${process.pid}`;
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
