import { z } from "zod";
import { checkSettings, type Settings } from "../../stacks/settings.ts";
import { passphraseFor } from "../ask.ts";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import type { Program } from "../program.ts";
import { readStackFile, settingsIn } from "../stack-text.ts";

const shown = z.record(z.string(), z.looseObject({ value: z.string().optional(), objectValue: z.unknown().optional() }));

/** The settings of a stack; where some are encrypted the engine decrypts them, in memory. */
export async function settingsWithKeys(engine: Engine, program: Program): Promise<Settings> {
  const written = settingsIn(readStackFile(program), program);
  if (!holdsSecret(written)) {
    return checkSettings(written, program.stack);
  }
  const env = await passphraseFor("passphrase").catch((cause: unknown) => {
    throw new CommandError(
      `Cannot read the encrypted settings of ${program.stackFile}: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE, or ssh.privateKeyPath or agent: true, which need none`,
      { ending: "usage", cause },
    );
  });
  const text = await engine.with({ env }).read("decrypt the settings", "config", "--json", "--show-secrets", "--stack", program.stack);
  const clear = Object.fromEntries(
    Object.entries(shown.parse(JSON.parse(text))).map(([key, { value, objectValue }]) => [key.slice(key.indexOf(":") + 1), objectValue ?? value]),
  );
  return checkSettings(filled(written, clear), program.stack);
}

/** Encrypted values replaced by clear ones; all else keeps the type that it is written in. */
function filled(written: unknown, clear: unknown): unknown {
  if (isSecret(written)) {
    return clear;
  }
  if (Array.isArray(written)) {
    return written.map((each, index) => filled(each, Array.isArray(clear) ? clear[index] : undefined));
  }
  if (typeof written === "object" && written !== null) {
    return Object.fromEntries(
      Object.entries(written).map(([key, value]) => [key, filled(value, typeof clear === "object" && clear !== null ? Reflect.get(clear, key) : undefined)]),
    );
  }
  return written;
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value && Object.keys(value).length === 1;
}

function holdsSecret(value: unknown): boolean {
  return isSecret(value) || (typeof value === "object" && value !== null && Object.values(value).some(holdsSecret));
}
