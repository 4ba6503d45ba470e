import { parseDocument, stringify } from "yaml";
import { type MasterSpec, sansOf } from "../../components/model/checks.ts";
import { type Found, type FoundMaster, leafAt } from "../../components/model/found.ts";
import type { Row } from "../../components/model/layout/rows.ts";
import { type LayoutKind, layouts } from "../../components/model/layout/tables.ts";
import { tablesOf } from "../../components/model/settings.ts";
import { printable } from "../../components/model/text.ts";
import { keptAuthorities } from "../../components/model/trust.ts";
import type { Access } from "../../components/survey/access.ts";
import { takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { checkSettings } from "../../stacks/settings.ts";
import { CommandError } from "../command-error.ts";
import { pathsOf } from "./layout-paths.ts";
import { flagOf, type Look } from "./look.ts";
import { inOrder, type Member, namesOf, ownAddress } from "./members.ts";

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
  const masters = inOrder(members.map((member) => ({ ...member, etcdName: nameOf(member) })));
  const names = namesOf(masters.map(({ look }) => look.hostname));
  const kind = kindOf(masters);
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
    ...layoutOf(kind, pathsOf(masters, layouts[kind])),
    ...(masters.length < 3 ? { allowOutage: true } : {}),
  };
}

/** The layout that all have. */
function kindOf(masters: readonly { readonly address: string; readonly look: Look }[]): LayoutKind {
  const [first] = masters;
  const other = masters.find(({ look }) => look.layout !== first?.look.layout);
  if (first === undefined || other !== undefined) {
    throw CommandError.refused(
      `Cannot adopt the cluster: the layout of ${first?.address} is ${first?.look.layout}'s, that of ${other?.address} ${other?.look.layout}'s; expected one for all masters: etcd as a unit everywhere, or as a static pod`,
    );
  }
  return first.look.layout;
}

/** etcd's own `--name`, whose default is "default" (etcd server/embed/config.go). */
function nameOf({ address, etcdName, look }: SeenMember): string {
  const name = look.flags.etcd === undefined ? undefined : (flagOf(look, "etcd", "--name") ?? "default");
  const place = ownAddress(look);
  if (name === undefined || (etcdName !== undefined && etcdName !== name) || place !== address) {
    const seen =
      name === undefined ? "no etcd" : `etcd "${printable(name)}" at ${printable(place ?? "no address")}`;
    throw CommandError.refused(
      `Cannot adopt ${address}: saw ${seen} there; expected the member "${printable(etcdName ?? "any")}" at ${address}, as etcd's other members know it. If that machine was replaced, remove its old member first (etcdctl member remove)`,
    );
  }
  return name;
}

/**
 * Looks at all masters as the program itself does, and completes the draft.
 * @throws SettingsError when the draft is no stack file; AggregateError when a master cannot be surveyed
 */
export async function surveyed(draft: Draft, project: string, stack: string): Promise<Draft> {
  const settings = checkSettings(draft, stack);
  const { rows } = tablesOf(settings.layout);
  const owner = `${project}/${stack}`;
  return completed(draft, await takeSurvey(surveyTargets(settings, owner, rows)), rows, owner);
}

/** What adoption writes; keys and values as a stack file has them. */
export interface Draft {
  readonly rotation: string;
  readonly masters: readonly DraftMaster[];
  readonly ssh: Readonly<Record<string, unknown>>;
  readonly clusterId?: string;
  readonly region?: string;
  readonly layout?: { readonly kind?: LayoutKind; readonly paths?: Readonly<Record<string, string>> };
  readonly allowOutage?: true;
  readonly foreignAuthorities?: "keep";
}

/** A draft that may be shown and written, and what the engine has to encrypt: passwords, by key. */
export function withoutPasswords(draft: Draft): {
  readonly shown: Draft;
  readonly passwords: Readonly<Record<string, string>>;
} {
  const { password, bastion, ...ssh } = draft.ssh;
  const { password: bastionPassword, ...rest } = Object(bastion ?? {});
  return {
    shown: { ...draft, ssh: { ...ssh, ...(bastion === undefined ? {} : { bastion: rest }) } },
    passwords: {
      ...(typeof password === "string" ? { "ssh.password": password } : {}),
      ...(typeof bastionPassword === "string" ? { "ssh.bastion.password": bastionPassword } : {}),
    },
  };
}

interface DraftMaster {
  readonly name: string;
  readonly address: string;
  readonly host?: string;
  readonly etcdName: string;
  readonly hostKey: string;
  readonly extraSans?: readonly string[];
}

/** Names of today's server and peer leaves that a new one would not have by itself, without `DNS:` and `IP:`. */
export function extraSansOf(
  master: FoundMaster,
  spec: Omit<MasterSpec, "extraSans" | "subjects">,
  rows: readonly Row[],
): string[] {
  const usual = new Set(sansOf("etcd-server", { ...spec, extraSans: [], subjects: {} }));
  const today = rows
    .filter(({ kind, leaf }) => kind === "cert" && (leaf === "etcd-server" || leaf === "etcd-peer"))
    .flatMap((row) => leafAt(master, row)?.sans ?? []);
  return [...new Set(today)].filter((san) => !usual.has(san)).map((san) => san.replace(/^(DNS|IP):/, ""));
}

/** The draft with what the survey adds; nothing that has its default, or is not there, is written. */
export function completed(draft: Draft, found: Found, rows: readonly Row[], owner: string): Draft {
  const { layout, ...rest } = draft;
  const paths = Object.entries(layout?.paths ?? {}).filter(
    ([id]) =>
      rows.find((row) => row.id === id)?.optional !== true ||
      found.masters.some(({ files }) => files[id]?.isPresent === true),
  );
  const kept = Object.values(keptAuthorities(found, rows, "keep")).flatMap((byRow) => Object.values(byRow));
  // the settings of this very stack are lost, not the certificates
  const lasting = found.masters.find(({ receipt }) => receipt?.owner === owner && receipt.isComplete)?.receipt
    ?.rotation;
  return {
    ...rest,
    rotation: lasting ?? draft.rotation,
    masters: draft.masters.map((master) => {
      const survey = found.masters.find(({ name }) => name === master.name);
      const extraSans = survey === undefined ? [] : extraSansOf(survey, master, rows);
      return extraSans.length === 0 ? master : { ...master, extraSans };
    }),
    ...layoutOf(layout?.kind ?? "ack", Object.fromEntries(paths)),
    ...(kept.flat().length > 0 ? { foreignAuthorities: "keep" } : {}),
  };
}

/** What a stack file says of the layout; nothing of one that is ACK's in every path. */
function layoutOf(kind: LayoutKind, paths: Readonly<Record<string, string>>): Pick<Draft, "layout"> {
  const layout = {
    ...(kind === "ack" ? {} : { kind }),
    ...(Object.keys(paths).length === 0 ? {} : { paths }),
  };
  return Object.keys(layout).length === 0 ? {} : { layout };
}

/**
 * The text of a stack file with the draft as its settings.
 * @param previous of the file that is replaced: how the engine encrypts this stack is kept
 */
export function stackFileText(draft: Draft, project: string, previous: string): string {
  const { config: _config, ...engine } = Object(parseDocument(previous).toJS() ?? {});
  const { allowOutage, ...settings } = draft;
  const head = Object.keys(engine).length === 0 ? "" : stringify(engine);
  const lines = Object.entries(settings).map(([key, value]) =>
    stringify({ [`${project}:${key}`]: value }, quoted),
  );
  if (allowOutage !== undefined) {
    lines.push(
      "# one or two masters: each restart is an outage of etcd and the API server, of some seconds\n",
      `${project}:allowOutage: ${allowOutage}\n`,
    );
  }
  return `# One stack is one cluster; stacks/Pulumi.example.yaml has every setting.\n${head}config:\n${lines.join("").replaceAll(/^(?=.)/gm, "  ")}`;
}

/** Every string in quotes: the engine would read a bare 2026-11-25 as a time. */
const quoted = { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" } as const;
