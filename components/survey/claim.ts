import { hostname, userInfo } from "node:os";
import { assignments } from "../model/shell.ts";
import { stateFolder } from "../model/step-data.ts";
import { claimScript } from "../node/scripts.ts";
import { type Running, startOverSsh } from "./ssh.ts";
import { remoteShell, type SurveyTarget } from "./survey.ts";

/** A master lets go of a run that has been silent for so long. */
const claimSeconds = 30;

/**
 * Claims every master for this run, until this process ends: Pulumi's own lock does not help against another machine or backend.
 * @throws Error naming who has claimed which master, and since when
 */
export async function claimMasters(targets: readonly SurveyTarget[], owner: string): Promise<void> {
  const claims = await Promise.allSettled(targets.map((target) => claim(target, owner)));
  const running = claims.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const problems = claims.flatMap((each, index) => {
    const name = targets[index]?.data.master.name ?? "";
    return each.status === "rejected" ? [messageOf(each.reason)] : each.value.firstLine === "claimed" ? [] : [refusal(name, each.value.firstLine)];
  });
  if (problems.length > 0) {
    for (const each of running) {
      each.end();
    }
    throw new Error(problems.join("\n"));
  }
}

function claim({ access, bastion, data }: SurveyTarget, owner: string): Promise<Running> {
  const values = { MASTER: data.master.name, PHASE: "claim", STATE_DIR: stateFolder, OWNER: owner, CLAIMANT: claimant(), CLAIM_SECONDS: claimSeconds };
  return startOverSsh(access, bastion, remoteShell(access.user), claimScript(assignments(values)), claimSeconds / 3);
}

/** Who runs this, for the other one to ask. */
function claimant(): string {
  return `${userInfo().username}@${hostname()} pid ${process.pid}`;
}

/** @param line `claimed by <seconds since 1970> <owner> <claimant>` */
function refusal(master: string, line: string): string {
  const [since = "", owner = "", ...who] = line.replace("claimed by ", "").split(" ");
  const minutes = Math.max(0, Math.round((Date.now() / 1000 - Number(since)) / 60));
  return `Cannot begin: ${master} is being worked on by ${owner} (${who.join(" ")}), since ${minutes} min; wait until that run has ended, then run pulumi up again. A run that is gone is noticed within ${claimSeconds} s`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
