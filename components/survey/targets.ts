import type { KubernetesRow, Row } from "../model/layout/rows.ts";
import type { ClusterArgs, Login } from "../model/settings.ts";
import { readsOnly } from "../model/step-data.ts";
import { commonData } from "../model/step-work.ts";
import type { Access } from "./access.ts";
import { agentSocket } from "./agent.ts";
import type { SurveyTarget } from "./survey.ts";

/** Where to look, and what each master's survey is told. */
export function surveyTargets(
  args: ClusterArgs,
  owner: string,
  rows: readonly (Row | KubernetesRow)[],
): SurveyTarget[] {
  return args.masters.map((master) => ({
    access: accessTo(args, master),
    bastion: bastionOf(args),
    data: {
      ...readsOnly,
      ...commonData(args, owner, rows, master),
      tellsReach: args.skipUnreachable === true,
    },
  }));
}

/** How a master is reached. */
export function accessTo({ ssh }: ClusterArgs, master: ClusterArgs["masters"][number]): Access {
  const { address, host = address, port = ssh.port, user = ssh.user, hostKey } = master;
  return accessBy(ssh, { host, port, user, hostKey });
}

/** The machine on the way to every master; undefined when they are reached directly. */
export function bastionOf({ ssh: { bastion } }: ClusterArgs): Access | undefined {
  return bastion && accessBy(bastion, bastion);
}

function accessBy(
  { privateKey, passphrase, password, agent }: Login,
  { host, port, user, hostKey }: Pick<Access, "host" | "port" | "user" | "hostKey">,
): Access {
  const socket = agent ? agentSocket() : undefined;
  return { host, port, user, hostKey, privateKey, passphrase, password, agentSocket: socket };
}
