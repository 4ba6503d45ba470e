import { z } from "zod";
import { ignoreWindowVariable, type Window, windowRefusal } from "../components/model/window.ts";
import { projectSettings } from "../stacks/project-settings.ts";
import { checkSettings, type Settings, SettingsError } from "../stacks/settings.ts";
import { window } from "../stacks/window-settings.ts";
import { passphraseFor } from "./ask.ts";
import { CommandError, exitCodes } from "./command-error.ts";
import type { Engine } from "./engine.ts";
import type { Program } from "./project.ts";
import { readStackFile, secretsProviderIn, settingsIn } from "./stack-file.ts";

/** How to log in when the stack file's own key is encrypted. */
export interface LoginOverride {
  readonly key?: string | undefined;
  readonly isAgent: boolean;
}

/**
 * The settings of a stack without Pulumi and without the stack's password.
 * @throws Error naming the file or the keys, what was seen and what is allowed
 */
export function settingsFor(program: Program, login: LoginOverride): Settings {
  return checkSettings(withLogin(writtenIn(program), program.stack, login), program.stack);
}

/** The settings but for the way in, where it does not matter: it may be encrypted. */
export function settingsWithoutLogin(program: Program): Settings {
  return checkSettings({ ...writtenIn(program), ssh: { agent: true } }, program.stack);
}

/** The window of a stack, whatever else its file holds; undefined without one. @throws SettingsError when there is one that cannot be read */
export function readWindow(program: Program): Window | undefined {
  const { data, error } = window.optional().safeParse(writtenIn(program)["window"]);
  if (error !== undefined) {
    throw new SettingsError(
      `Cannot read the window in ${program.stackFile}: ${error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}`,
    );
  }
  return data;
}

/** Why a rollout of the stack may not begin now; undefined when it may. */
export function windowRefusalOf(program: Program): string | undefined {
  return process.env[ignoreWindowVariable] === program.stack ? undefined : windowRefusal(readWindow(program), Date.now(), program.stack);
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
    return checkSettings(written, program.stack);
  }
  const env = await passphraseFor(secretsProviderIn(file)).catch((cause: unknown) => {
    if (cause instanceof CommandError && cause.code === exitCodes.declined) {
      throw cause;
    }
    throw new CommandError(
      `Cannot read the encrypted settings of ${program.stackFile}: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE, or ssh.privateKeyPath or agent: true, which need none`,
      { ending: "usage", cause },
    );
  });
  const text = await engine.with({ env }).read("decrypt the settings", "config", "--json", "--show-secrets", "--stack", program.stack);
  return checkSettings(projectSettings(decrypted.parse(JSON.parse(text)), program.project), program.stack);
}

function writtenIn(program: Program): Record<string, unknown> {
  return settingsIn(readStackFile(program), program);
}

/** The settings with the caller's way to log in. @throws SettingsError when the file's own is encrypted and there is no other */
function withLogin(values: Record<string, unknown>, stack: string, login: LoginOverride): Record<string, unknown> {
  const { ssh } = values;
  if (!isObject(ssh)) {
    return values;
  }
  const { bastion } = ssh;
  const mended = isObject(bastion) ? { ...ssh, bastion: ownLogin(bastion, "ssh.bastion", stack, login) } : ssh;
  return { ...values, ssh: ownLogin(mended, "ssh", stack, login) };
}

function ownLogin(access: Record<string, unknown>, name: string, stack: string, { key, isAgent }: LoginOverride): Record<string, unknown> {
  const { privateKey, privateKeyPath: _path, passphrase, password, agent: _agent, ...rest } = access;
  if (isAgent) {
    return { ...rest, agent: true };
  }
  if (key !== undefined) {
    return { ...rest, privateKeyPath: key, ...(isSecret(passphrase) ? {} : { passphrase }) };
  }
  const [encrypted] = Object.entries({ privateKey, passphrase, password }).find(([, value]) => isSecret(value)) ?? [];
  if (encrypted !== undefined) {
    throw new SettingsError(
      `Cannot read ${name}.${encrypted} of ${stack}: it is encrypted, and the stack's password is not asked for here; expected privateKeyPath or agent: true there, or --agent, or --key <file>`,
    );
  }
  return access;
}

function holdsSecret(value: unknown): boolean {
  return isSecret(value) || (typeof value === "object" && value !== null && Object.values(value).some(holdsSecret));
}

/** How Pulumi keeps a secret in a stack file. */
function isSecret(value: unknown): boolean {
  return isObject(value) && "secure" in value && Object.keys(value).length === 1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
