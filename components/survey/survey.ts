import type { FoundMaster } from "../model/found.ts";
import { asReadBy } from "../model/layout/rows.ts";
import { parseSurvey } from "../model/read-survey.ts";
import { renderStepData, type StepData } from "../model/step-data.ts";
import { messageOf } from "../model/text.ts";
import { surveyScript } from "../node/scripts.ts";
import type { Access } from "./access.ts";
import { runOverSsh } from "./ssh.ts";
import { UnreachableError } from "./ssh-errors.ts";

/** A master to look at. */
export interface SurveyTarget {
  readonly access: Access;
  readonly bastion: Access | undefined;
  readonly data: StepData;
}

/** Bounds one look at a master: every probe in the script has a shorter bound of its own. */
const surveyMilliseconds = 60_000;

/**
 * Looks at all masters side by side: one connection each, read only, public data only.
 * @param skipsUnreachable leaves out masters that do not answer over SSH, unless none does
 * @throws AggregateError with one message per master that could not be looked at
 */
export async function takeSurvey(
  targets: readonly SurveyTarget[],
  skipsUnreachable = false,
): Promise<{ readonly masters: readonly FoundMaster[] }> {
  const answers = await Promise.allSettled(targets.map((target) => surveyMaster(target)));
  const failures = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
  const isSkipped =
    skipsUnreachable &&
    failures.length < targets.length &&
    failures.every((failure) => failure instanceof UnreachableError);
  if (failures.length > 0 && !isSkipped) {
    throw new AggregateError(failures, failures.map(messageOf).join("\n"));
  }
  return { masters: answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : [])) };
}

/**
 * One of them. Looks again with the rows of this master's Kubernetes where they are others: what is stale depends on them.
 * @throws Error when it could not be looked at
 */
export async function surveyMaster(target: SurveyTarget): Promise<FoundMaster> {
  const { data } = target;
  const found = await lookOnce(target);
  const rows = data.rows.map((row) => asReadBy(row, found.kubernetes));
  return rows.every((row, index) => row === data.rows[index])
    ? found
    : await lookOnce({ ...target, data: { ...data, rows } });
}

async function lookOnce({ access, bastion, data }: SurveyTarget): Promise<FoundMaster> {
  const started = Date.now();
  const answer = await runOverSsh(access, bastion, surveyScript(renderStepData(data)), surveyMilliseconds);
  if (answer.code !== 0) {
    throw new Error(
      `Cannot survey ${data.master.name}: exit code ${answer.code ?? "unknown"}: ${answer.stderr.trim().slice(-400)}${access.user === "root" ? "" : `; expected ${access.user} to run sudo -n without a password`}`,
    );
  }
  return parseSurvey(data.master.name, answer.stdout, data.rows, Math.round((started + Date.now()) / 2000));
}
