import type { State } from "../../components/model/certificate-status.ts";
import { presentRows } from "../../components/model/found.ts";
import type { KubernetesRow } from "../../components/model/layout/rows.ts";
import { renewedRows } from "../../components/model/renewals.ts";
import { renewalPolicy, tablesOf } from "../../components/model/settings.ts";
import { type ClusterStatus, clusterStatus, exitCodeOf, gravest } from "../../components/model/status.ts";
import { messageOf } from "../../components/model/text.ts";
import { surveyMaster } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import type { Settings } from "../../stacks/settings.ts";
import type { FleetOptions } from "../commands.ts";
import { inParallel } from "../in-parallel.ts";
import { chooseStacks, type Program, programOf, readProject } from "../project.ts";
import { type LoginOverride, settingsFor } from "../stack-file.ts";

/** Clusters looked at side by side: each is one SSH connection to each of its masters. */
const clustersAtOnce = 8;

/**
 * Looks at the clusters that a command is about; a stack file that cannot be used is an outcome, and hides no other.
 * @param expiringWithin seconds before its end from which a certificate calls for attention that is not due
 * @throws CommandError (bad usage) when it is not clear which they are
 */
export async function lookAtChosen(
  { all, cwd }: Pick<FleetOptions, "all" | "cwd">,
  named: readonly string[],
  login: LoginOverride,
  expiringWithin = 0,
): Promise<Outcome[]> {
  const project = readProject(cwd);
  const stacks = chooseStacks(project, named, all);
  return await inParallel(stacks, clustersAtOnce, async (stack): Promise<Outcome> => {
    try {
      const program = programOf(project, stack);
      return { stack, status: await lookAt(program, settingsFor(program, login), expiringWithin) };
    } catch (error) {
      return { stack, problem: messageOf(error) };
    }
  });
}

/** Looks at a cluster's masters side by side, read only, and judges what it saw; a master that cannot be reached hides no other. */
async function lookAt({ project, stack }: Program, settings: Settings, expiringWithin: number) {
  const owner = `${project}/${stack}`;
  const policy = renewalPolicy(settings);
  const { rows: table, kubernetes } = tablesOf(settings.layout);
  const kubernetesTable = watchedRows(renewedRows(kubernetes, policy), kubernetes);
  const targets = surveyTargets(settings, owner, [...table, ...kubernetesTable]);
  const looks = await Promise.all(
    targets.map(async (target) => {
      try {
        return { found: await surveyMaster(target) };
      } catch (error) {
        return { name: target.data.master.name, reason: messageOf(error) };
      }
    }),
  );
  const found = { masters: looks.flatMap((look) => look.found ?? []) };
  return clusterStatus({
    stack,
    found,
    unreachable: looks.flatMap((look) => (look.found === undefined ? [look] : [])),
    masters: settings.masters,
    rows: presentRows(table, found),
    kubernetes: presentRows(kubernetesTable, found),
    policy,
    identity: { owner, takeOver: settings.takeOver, lastClusterId: undefined },
    isOutageAllowed: settings.allowOutage,
    foreignAuthorities: settings.foreignAuthorities,
    ignoredClients: settings.clients?.ignore ?? [],
    rotation: settings.rotation,
    restore: settings.restore,
    expiringWithin,
    now: Date.now(),
  });
}

/** Files that the stack leaves alone expire as well: they are looked at, and no process is judged by them. */
function watchedRows(
  renewed: readonly KubernetesRow[],
  table: readonly KubernetesRow[],
): readonly KubernetesRow[] {
  return renewed.length > 0 ? renewed : table.map((row) => ({ ...row, restarts: [], reloadsSince: 0 }));
}

/** What became of looking at one cluster. */
export type Outcome =
  | { readonly stack: string; readonly status: ClusterStatus }
  /** not even its stack file could be used */
  | { readonly stack: string; readonly problem: string };

export function stateOf(outcome: Outcome): State {
  return "status" in outcome ? outcome.status.state : "unreachable";
}

/** The gravest of all clusters. */
export function exitCodeFor(outcomes: readonly Outcome[]): 0 | 1 | 2 | 3 {
  return exitCodeOf(gravest(outcomes.map(stateOf)));
}
