import { isMap, isScalar, parse, parseDocument, type ScalarTag } from "yaml";
import { z } from "zod";
import { messageOf } from "../components/model/text.ts";
import { ignoreWindowVariable, type Window, windowRefusal } from "../components/model/window.ts";
import { projectSettings } from "../stacks/project-settings.ts";
import { checkSettings, fromHome, type Settings, SettingsError } from "../stacks/settings.ts";
import { window } from "../stacks/window-settings.ts";
import { CommandError, issuesIn } from "./command-error.ts";
import type { Engine } from "./engine.ts";
import { readText } from "./files.ts";
import type { Program } from "./project.ts";
import { passphraseFor } from "./terminal.ts";

/** A key below `config`, project included, and what it is to be. */
export interface Change {
  readonly path: readonly string[];
  readonly from: string | undefined;
  /** undefined: the key goes */
  readonly to: string | undefined;
}

/** The text of a stack file. @throws CommandError (bad usage) when there is none */
export function readStackFile({ stackFile, stack }: Program): string {
  return readText(stackFile, `the stack file ${stackFile}`, `the settings of stack "${stack}"`);
}

/** The project's settings as Pulumi hands them over; encrypted ones as `{secure: …}`. Every command reads a stack file by this. */
export function settingsIn(
  text: string,
  { project, stackFile }: Pick<Program, "project" | "stackFile">,
): Record<string, unknown> {
  const unreadable = (reason: string, cause?: unknown) =>
    CommandError.usage(`Cannot read ${stackFile}: ${reason}; expected the settings of a stack`, cause);
  let config: unknown;
  try {
    config =
      parse(text, { merge: true, customTags: (tags) => [goInteger, ...tags], logLevel: "error" })?.config ??
      {};
  } catch (error) {
    throw unreadable(messageOf(error).split("\n")[0] ?? "", error);
  }
  if (typeof config !== "object" || config === null) {
    throw unreadable("its config holds no keys");
  }
  return projectSettings(
    Object.fromEntries(Object.entries(config).map(([key, value]) => [key, handedOver(value)])),
    project,
  );
}

/** Pulumi reads YAML in Go, where a plain 2026_11 is 202611 and a plain 0311 is octal. */
const goInteger: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?\d[\d_]*$/,
  resolve: (text) =>
    /^[-+]?0[0-7_]+$/.test(text)
      ? Number.parseInt(text.replaceAll("_", ""), 8)
      : Number(text.replaceAll("_", "")),
};

/** As Pulumi makes a text of it. */
function handedOver(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
}

/** What encrypts a stack's secrets: the URL of a key service, "passphrase", or undefined where Pulumi Cloud does. */
export function secretsProviderIn(text: string): string | undefined {
  const { secretsprovider, encryptionsalt } = headShape.parse(parseDocument(text).toJS());
  const isUrl = secretsprovider?.includes("://") === true;
  return isUrl || encryptionsalt === undefined ? secretsprovider : "passphrase";
}

const headShape = z.looseObject({
  secretsprovider: z.string().optional(),
  encryptionsalt: z.string().optional(),
});

/** Sets keys in a stack file's text. All else stays byte for byte where the key was there before, unless it goes; comments stay in any case. */
export function withChanges(text: string, changes: readonly Change[]): string {
  return changes.reduce(withChange, text);
}

function withChange(text: string, { path, to }: Change): string {
  const document = parseDocument(text);
  const keys = ["config", ...path];
  const node = document.getIn(keys, true);
  if (to !== undefined && isScalar(node) && node.range) {
    const [start, end] = node.range;
    return `${text.slice(0, start)}${quotedLike(to, text.slice(start, end))}${text.slice(end)}`;
  }
  const parent = keys.slice(0, -1);
  if (to === undefined) {
    document.deleteIn(keys);
  } else if (isMap(document.getIn(parent, true))) {
    document.setIn(keys, to);
  } else {
    document.setIn(parent, document.createNode({ [keys.at(-1) ?? ""]: to }));
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** In the quotes of what it replaces; plain only where YAML cannot take it for something else than a string. */
function quotedLike(value: string, previous: string): string {
  if (previous.startsWith("'")) {
    return `'${value.replaceAll("'", "''")}'`;
  }
  const isPlain =
    !previous.startsWith('"') &&
    /^[A-Za-z][A-Za-z0-9_-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}

/** How to log in when the stack file's own key is encrypted. */
export interface LoginOverride {
  readonly key?: string | undefined;
  readonly isAgent: boolean;
}

/**
 * The settings of a stack without Pulumi and without the stack's password.
 * @throws CommandError (bad usage) naming the file or the keys, what was seen and what is allowed
 */
export function settingsFor(program: Program, login: LoginOverride): Settings {
  if (login.key !== undefined) {
    // the stack file is not what names it
    readText(fromHome(login.key), `--key "${login.key}"`, "a private key");
  }
  return checked(withLogin(writtenIn(program), program.stack, login), program);
}

/** The settings but for the way in, where it does not matter: it may be encrypted. */
export function settingsWithoutLogin(program: Program): Settings {
  return checked({ ...writtenIn(program), ssh: { agent: true } }, program);
}

/** @throws CommandError (bad usage) naming the keys, what was seen and what is allowed */
function checked(values: Record<string, unknown>, { project, stack }: Program): Settings {
  const clusters = Object.entries(values).flatMap(([key, value]) =>
    isObject(value) && "masters" in value ? key : [],
  );
  if (clusters.length > 0 && values["masters"] === undefined) {
    throw CommandError.usage(
      `Cannot use the stack file of ${stack}: it has several clusters (${clusters.join(", ")}); expected the settings of one. What takes such a stack: pulumi, plan, report, fleet preview, fleet up`,
    );
  }
  try {
    return checkSettings(values, stack, `${project}:`);
  } catch (error) {
    throw error instanceof SettingsError ? CommandError.usage(error.message, error) : error;
  }
}

/** The window of a stack, whatever else its file holds; undefined without one. @throws CommandError (bad usage) when there is one that cannot be read */
export function readWindow(program: Program): Window | undefined {
  const { data, error } = window.optional().safeParse(writtenIn(program)["window"]);
  if (error !== undefined) {
    throw CommandError.usage(`Cannot read the window in ${program.stackFile}: ${issuesIn(error)}`);
  }
  return data;
}

/** Why a rollout of the stack must not begin now; undefined when it may. */
export function windowRefusalOf(program: Program): string | undefined {
  return process.env[ignoreWindowVariable] === program.stack
    ? undefined
    : windowRefusal(readWindow(program), Date.now(), program.stack);
}

const decrypted = z.record(
  z.string(),
  z.looseObject({ value: z.string() }).transform(({ value }) => value),
);

/** The settings of a stack; where some are encrypted the engine decrypts them, in memory. */
export async function settingsWithKeys(engine: Engine, program: Program): Promise<Settings> {
  const file = readStackFile(program);
  const written = settingsIn(file, program);
  if (!holdsSecret(written)) {
    return checked(written, program);
  }
  const env = await passphraseFor(
    secretsProviderIn(file),
    `read the encrypted settings of ${program.stackFile}`,
    ", or ssh.privateKeyPath or agent: true, which need none",
  );
  const text = await engine
    .with({ env })
    .read("decrypt the settings", "config", "--json", "--show-secrets", "--stack", program.stack);
  return checked(projectSettings(decrypted.parse(JSON.parse(text)), program.project), program);
}

function writtenIn(program: Program): Record<string, unknown> {
  return settingsIn(readStackFile(program), program);
}

/** The settings with the caller's way to log in. @throws CommandError (bad usage) when the file's own is encrypted and there is no other */
function withLogin(
  values: Record<string, unknown>,
  stack: string,
  login: LoginOverride,
): Record<string, unknown> {
  const { ssh } = values;
  if (!isObject(ssh)) {
    return values;
  }
  const { bastion } = ssh;
  const withBastion = isObject(bastion)
    ? { ...ssh, bastion: ownLogin(bastion, "ssh.bastion", stack, login) }
    : ssh;
  return { ...values, ssh: ownLogin(withBastion, "ssh", stack, login) };
}

function ownLogin(
  access: Record<string, unknown>,
  name: string,
  stack: string,
  { key, isAgent }: LoginOverride,
): Record<string, unknown> {
  const { privateKey, privateKeyPath: _path, passphrase, password, agent: _agent, ...rest } = access;
  if (isAgent) {
    return { ...rest, agent: true };
  }
  if (key !== undefined) {
    return { ...rest, privateKeyPath: key, ...(isSecret(passphrase) ? {} : { passphrase }) };
  }
  const [encrypted] =
    Object.entries({ privateKey, passphrase, password }).find(([, value]) => isSecret(value)) ?? [];
  if (encrypted !== undefined) {
    throw CommandError.usage(
      `Cannot read ${name}.${encrypted} of ${stack}: it is encrypted, and the stack's password is not asked for here; expected privateKeyPath or agent: true there, or --agent, or --key <file>`,
    );
  }
  return access;
}

function holdsSecret(value: unknown): boolean {
  return (
    isSecret(value) || (typeof value === "object" && value !== null && Object.values(value).some(holdsSecret))
  );
}

/** How Pulumi keeps a secret in a stack file. */
function isSecret(value: unknown): boolean {
  return isObject(value) && "secure" in value && Object.keys(value).length === 1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
