import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { messageOf } from "../../components/model/text.ts";
import { CommandError, exitCodes } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import { readText } from "../files.ts";
import type { Program } from "../project.ts";
import { passphraseFor } from "../terminal.ts";

const stackList = z.array(z.looseObject({ name: z.string() }));

/**
 * Makes the stack when the backend has none of that name, has the engine write the passwords into its file, then runs its first
 * preview on this terminal.
 * @throws CommandError (unfinished) when one of them fails, (declined) when no passphrase is given; the stack file stays
 */
export async function firstPreview(
  engine: Engine,
  { stack }: Program,
  passwords: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    const url = await engine.backendUrl();
    const stacks = stackList.parse(JSON.parse(await engine.read("list the stacks", "stack", "ls", "--json")));
    const isNew = !stacks.some(({ name }) => name === stack || name.endsWith(`/${stack}`));
    // Pulumi Cloud keeps the keys of its stacks itself
    const provider = /^https?:/.test(url) ? undefined : "passphrase";
    const env = isNew ? await newPassphrase(provider) : await passphraseFor(provider);
    const opened = engine.with({ env });
    if (isNew) {
      requireDone(await opened.show("stack", "init", stack, "--no-select"), "make the stack", stack);
    }
    for (const [key, password] of Object.entries(passwords)) {
      await opened.tell(`write ${key}`, password, ...setPassword(key, stack));
    }
    requireDone(await opened.show("preview", "--stack", stack), "preview", stack);
  } catch (error) {
    const { unfinished, declined } = exitCodes;
    if (error instanceof CommandError && (error.code === unfinished || error.code === declined)) {
      throw error;
    }
    const commands = [
      ["stack", "init", stack],
      ...Object.keys(passwords).map((key) => setPassword(key, stack)),
      ["preview", "--stack", stack],
    ].map((words) => `  npx etcd-rotation pulumi ${words.join(" ")}`);
    const where = "The stack file is written, no master was changed. Go on with:";
    throw CommandError.unfinished([messageOf(error), where, ...commands].join("\n"), error);
  }
}

/** The CLI's words; it reads the password from standard input. */
export function setPassword(key: string, stack: string): string[] {
  return ["config", "set", "--secret", "--path", key, "--stack", stack];
}

/** Asks twice: a typo would be noticed only at the next run, with keys behind it. An empty passphrase would protect none of them. */
async function newPassphrase(provider: string | undefined): Promise<NodeJS.ProcessEnv> {
  const refused = (reason: string) =>
    CommandError.unfinished(
      `Cannot make the stack: ${reason}. The stack file is written; run pulumi stack init`,
    );
  const first = await passphraseFor(provider, "make the stack");
  if (provider !== undefined && (first["PULUMI_CONFIG_PASSPHRASE"] ?? givenPassphrase()) === "") {
    throw refused("the passphrase is empty; expected one, since it protects the authorities' keys");
  }
  if (!isDeepStrictEqual(await passphraseFor(provider), first)) {
    throw refused("the passphrases differ; expected the same one twice");
  }
  return first;
}

/** By the CLI's own rules: the variable, else the file, without the blanks around it. */
function givenPassphrase(): string | undefined {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file = "" } = process.env;
  if (given !== undefined || file === "") {
    return given;
  }
  return readText(file, "PULUMI_CONFIG_PASSPHRASE_FILE", "a file with the passphrase").trim();
}

function requireDone(code: number, what: string, stack: string): void {
  if (code !== 0) {
    throw CommandError.unfinished(
      `Cannot ${what}: the Pulumi CLI has failed, as said above. The stack file is written, no master was changed. Go on with: npx etcd-rotation pulumi ${what === "preview" ? "preview --stack" : "stack init"} ${stack}`,
    );
  }
}
