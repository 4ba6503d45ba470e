import * as pulumi from "@pulumi/pulumi";
import { parseValue } from "./parse-value.ts";
import { checkSettings, type Settings, SettingsError } from "./settings.ts";

/**
 * Reads and checks the stack file as Pulumi hands it to the program; the only reader of configuration.
 * @throws pulumi.RunError naming each key, what was seen and what is allowed
 */
export function readSettings(): Settings {
  const project = `${pulumi.getProject()}:`;
  const values = Object.entries(pulumi.runtime.allConfig()).flatMap(([key, text]): [string, unknown][] =>
    key.startsWith(project) ? [[key.slice(project.length), parseValue(text)]] : [],
  );
  try {
    return checkSettings(Object.fromEntries(values), pulumi.getStack());
  } catch (error) {
    // a RunError has no cause, and its message is all that Pulumi shows
    throw error instanceof SettingsError ? new pulumi.RunError(error.message) : error;
  }
}
