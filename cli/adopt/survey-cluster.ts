import { type LayoutKind, layouts, withPaths } from "../../components/model/layout.ts";
import { printable } from "../../components/model/printable.ts";
import type { Access } from "../../components/survey/access.ts";
import { runOverSsh } from "../../components/survey/ssh.ts";
import { remoteShell, takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { checkSettings } from "../../stacks/settings.ts";
import { CommandError, messageOf } from "../command-error.ts";
import { pathsOf } from "./layout-paths.ts";
import { flagOf, type Look, lookScript, parseLook } from "./look.ts";
import { inOrder, namesOf } from "./masters.ts";
import { type Member, ownAddress } from "./members.ts";
import { completed, type Draft, layoutOf } from "./stack-settings.ts";

const lookMilliseconds = 60_000;

/** @throws Error when the machine cannot be looked at */
export async function lookAt(access: Access, bastion: Access | undefined): Promise<Look> {
  const { code, stdout, stderr } = await runOverSsh(access, bastion, remoteShell(access.user), lookScript(), lookMilliseconds).catch((error: unknown) => {
    // there is no stack file yet
    throw new CommandError(messageOf(error).replace("the hostKey of the stack file", "the one that was confirmed"), {
      ending: "failed",
      cause: error,
    });
  });
  if (code !== 0) {
    const sudo = access.user === "root" ? "" : `; expected ${access.user} to run sudo -n without a password`;
    throw new Error(`Cannot look at ${access.host}: exit code ${code ?? "unknown"}: ${stderr.slice(-400)}${sudo}`);
  }
  return parseLook(access.host, stdout);
}

/** A member whose machine has been looked at. */
export interface SeenMember extends Member {
  readonly access: Access;
  readonly look: Look;
}

/**
 * Settings for these members, without what only the survey tells.
 * @throws CommandError (refused) when a machine is not the member that it is listed as, or a path cannot stand for all
 */
export function draftOf(members: readonly SeenMember[], ssh: Draft["ssh"], rotation: string): Draft {
  const masters = inOrder(members.map((member) => ({ ...member, etcdName: nameOf(member), hostname: member.look.hostname })));
  const names = namesOf(masters);
  const kind = kindOf(masters);
  const paths = pathsOf(masters, layouts[kind]);
  return {
    rotation,
    masters: masters.map(({ address, access, etcdName }, index) => ({
      name: names[index] ?? "",
      address,
      ...(access.host === address ? {} : { host: access.host }),
      etcdName,
      hostKey: access.hostKey,
    })),
    ssh,
    ...layoutOf(kind, paths),
    ...(masters.length < 3 ? { allowOutage: true } : {}),
  };
}

/** The layout that all have. */
function kindOf(masters: readonly { readonly address: string; readonly look: Look }[]): LayoutKind {
  const [first] = masters;
  const other = masters.find(({ look }) => look.layout !== first?.look.layout);
  if (first === undefined || other !== undefined) {
    throw new CommandError(
      `Cannot adopt the cluster: the layout of ${first?.address} is ${first?.look.layout}'s, that of ${other?.address} ${other?.look.layout}'s; expected one for all masters: etcd as a unit everywhere, or as a static pod`,
      { ending: "refused" },
    );
  }
  return first.look.layout;
}

/** etcd's own `--name`, whose default is "default" (etcd server/embed/config.go). */
function nameOf({ address, etcdName, look }: SeenMember): string {
  const own = look.flags.etcd === undefined ? undefined : (flagOf(look, "etcd", "--name") ?? "default");
  const place = ownAddress(look);
  if (own === undefined || (etcdName !== undefined && etcdName !== own) || place !== address) {
    const seen = own === undefined ? "no etcd" : `etcd "${printable(own)}" at ${printable(place ?? "no address")}`;
    throw new CommandError(
      `Cannot adopt ${address}: saw ${seen} there; expected the member "${printable(etcdName ?? "any")}" at ${address}, as etcd's other members know it. If that machine was replaced, remove its old member first (etcdctl member remove)`,
      { ending: "refused" },
    );
  }
  return own;
}

/**
 * Looks at all masters as the program itself does, and completes the draft.
 * @throws SettingsError when the draft is no stack file; AggregateError when a master cannot be surveyed
 */
export async function surveyed(draft: Draft, project: string, stack: string): Promise<Draft> {
  const settings = checkSettings(draft, stack);
  const rows = withPaths(layouts[settings.layout.kind].rows, settings.layout.paths);
  const owner = `${project}/${stack}`;
  return completed(draft, await takeSurvey(surveyTargets(settings, owner, rows)), rows, owner);
}
