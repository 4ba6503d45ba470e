import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import type { z } from "zod";
import type { ClusterArgs } from "../components/model/settings.ts";
import { messageOf } from "../components/model/text.ts";
import { describeIssue } from "./describe-issue.ts";
import { schema } from "./schema.ts";

/** All keys of a type, and of the types in it: `backup.keep`. */
type KeysIn<T> = T extends readonly (infer Each)[]
  ? KeysIn<Each>
  : T extends object
    ? { [Key in keyof T & string]-?: Key | `${Key}.${KeysIn<T[Key]>}` }[keyof T & string]
    : never;

/** A file of which the model has the text. */
type KeyFile = "ssh.privateKeyPath" | "ssh.bastion.privateKeyPath";

/** What was read, if the model names the same keys at every depth; with a key that one of them lacks nothing compiles. */
type WithKeysOf<Model, Read> = [KeysIn<Model> | KeyFile, KeysIn<Read>] extends [
  KeysIn<Read>,
  KeysIn<Model> | KeyFile,
]
  ? Read
  : never;

export type Settings = WithKeysOf<ClusterArgs, z.output<typeof schema>>;

/** A stack file that cannot be used; the message is for the person who wrote it. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/**
 * Checks the values of a stack file, fills in the defaults and reads the private key.
 * @param place in the stack file where the values are
 * @throws SettingsError naming each key, what was seen and what is allowed
 */
export function checkSettings(values: unknown, stack: string, place = "etcd-rotation:"): Settings {
  const result = schema.safeParse(values);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => `  ${describeIssue(issue, values, place)}`);
    throw new SettingsError(
      `Cannot use the stack file of ${stack}:\n${lines.join("\n")}\nFix it there, or with: npx etcd-rotation pulumi config set --path '<key>' <value> --stack ${stack}`,
    );
  }
  const { ssh } = result.data;
  const bastion = ssh.bastion && {
    ...ssh.bastion,
    privateKey: privateKeyOf(ssh.bastion, "ssh.bastion.privateKeyPath"),
  };
  const privateKey = privateKeyOf(ssh, "ssh.privateKeyPath");
  return { ...result.data, ssh: { ...ssh, bastion, privateKey } };
}

/** A path with the home of whoever runs this in place of `~`. */
export function fromHome(path: string): string {
  return path.replace(/^~(?=\/)/, homedir());
}

/** The text of the private key, from the stack file or from a file; undefined with an agent. */
function privateKeyOf(
  settings: Pick<Settings["ssh"], "privateKey" | "privateKeyPath">,
  key: KeyFile,
): string | undefined {
  if (settings.privateKeyPath === undefined) {
    return settings.privateKey;
  }
  const file = fromHome(settings.privateKeyPath);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new SettingsError(`Cannot read ${key} "${file}": ${messageOf(error)}`, { cause: error });
  }
}
