import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { Window } from "../components/model/window.ts";
import { parseValue } from "../stacks/parse-value.ts";
import { checkSettings, type Settings, SettingsError, window } from "../stacks/settings.ts";

/** How to log in when the stack file's own key is encrypted. */
export interface LoginOverride {
  readonly identity?: string | undefined;
  readonly isAgent: boolean;
}

const projectFile = z.object({ name: z.string(), stackConfigDir: z.string().optional() });
const stackFile = z.object({ config: z.record(z.string(), z.unknown()).default({}) });
const fileName = /^Pulumi\.(.+)\.yaml$/;

/** A Pulumi project: its name, and the folder of its stack files. */
export interface Project {
  readonly folder: string;
  readonly name: string;
  readonly stackFolder: string;
}

/** @throws Error when the folder has no Pulumi.yaml */
export function readProject(folder: string): Project {
  const { name, stackConfigDir } = projectFile.parse(parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8")));
  return { folder, name, stackFolder: join(folder, stackConfigDir ?? ".") };
}

/** The stacks that have a file, sorted; the example is none. */
export function stackNames({ stackFolder }: Project): string[] {
  return readdirSync(stackFolder)
    .flatMap((name) => fileName.exec(name)?.[1] ?? [])
    .filter((name) => name !== "example")
    .sort();
}

/** The window of a stack, whatever else its file holds; undefined without one. @throws SettingsError when there is one that cannot be read */
export function readWindow(project: Project, stack: string): Window | undefined {
  const file = join(project.stackFolder, `Pulumi.${stack}.yaml`);
  const value = parseStackFile(file, project).config[`${project.name}:window`];
  const { data, error } = window.optional().safeParse(value);
  if (error !== undefined) {
    throw new SettingsError(`Cannot read the window in ${file}: ${error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}`);
  }
  return data;
}

/**
 * Reads a stack's settings from its file, without Pulumi and without the stack's password.
 * @throws SettingsError naming the file or the keys, what was seen and what is allowed
 */
export function readStackFile(project: Project, stack: string, login: LoginOverride): Settings {
  const file = join(project.stackFolder, `Pulumi.${stack}.yaml`);
  const { config } = parseStackFile(file, project);
  const prefix = `${project.name}:`;
  const values = Object.entries(config).flatMap(([key, value]): [string, unknown][] => {
    // Pulumi hands plain values over as text: a rotation of 2026, or the "true" that `config set` writes
    const plain = isObject(value) || Array.isArray(value) ? value : parseValue(String(value ?? ""));
    return key.startsWith(prefix) ? [[key.slice(prefix.length), plain]] : [];
  });
  return checkSettings(withLogin(Object.fromEntries(values), stack, login), stack);
}

function parseStackFile(file: string, project: Project): z.infer<typeof stackFile> {
  try {
    return stackFile.parse(parse(readFileSync(file, "utf8")));
  } catch (error) {
    const known = stackNames(project);
    throw new SettingsError(
      `Cannot read the stack file ${file}: ${error instanceof Error ? error.message : String(error)}; expected one of ${known.length === 0 ? "none: there is no stack file yet" : known.join(", ")}`,
      { cause: error },
    );
  }
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

function ownLogin(access: Record<string, unknown>, key: string, stack: string, { identity, isAgent }: LoginOverride): Record<string, unknown> {
  const { privateKey, privateKeyPath: _path, passphrase, agent: _agent, ...rest } = access;
  if (isAgent) {
    return { ...rest, agent: true };
  }
  if (identity !== undefined) {
    return { ...rest, privateKeyPath: identity, ...(isEncrypted(passphrase) ? {} : { passphrase }) };
  }
  if (isEncrypted(privateKey) || isEncrypted(passphrase)) {
    throw new SettingsError(
      `Cannot read ${key}.${isEncrypted(privateKey) ? "privateKey" : "passphrase"} of ${stack}: it is encrypted, and the stack's password is not asked for here; expected privateKeyPath or agent: true there, or --agent, or --identity <file>`,
    );
  }
  return access;
}

/** How Pulumi keeps a secret in a stack file. */
function isEncrypted(value: unknown): boolean {
  return isObject(value) && "secure" in value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
