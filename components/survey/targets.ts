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
  return {
    ...credentials(ssh),
    host: master.host ?? master.address,
    port: master.port ?? ssh.port,
    user: master.user ?? ssh.user,
    hostKey: master.hostKey,
  };
}

/** The machine on the way to every master; undefined when they are reached directly. */
export function bastionOf({ ssh }: ClusterArgs): Access | undefined {
  return ssh.bastion === undefined
    ? undefined
    : {
        ...credentials(ssh.bastion),
        host: ssh.bastion.host,
        port: ssh.bastion.port,
        user: ssh.bastion.user,
        hostKey: ssh.bastion.hostKey,
      };
}

function credentials({
  privateKey,
  passphrase,
  password,
  agent,
}: Login): Pick<Access, "privateKey" | "passphrase" | "password" | "agentSocket"> {
  return { privateKey, passphrase, password, agentSocket: agent ? agentSocket() : undefined };
}
