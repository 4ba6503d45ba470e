import * as pulumi from "@pulumi/pulumi";
import { projectSettings } from "./project-settings.ts";
import { checkSettings, type Settings, SettingsError } from "./settings.ts";

/**
 * Reads and checks the stack file as Pulumi hands it to the program; the only reader of configuration.
 * @param key of the object with a cluster's settings, in the stack file of a program with several; else the whole file is one's
 * @throws pulumi.RunError naming each key, what was seen and what is allowed
 */
export function readSettings(key?: string): Settings {
  const project = pulumi.getProject();
  const all = projectSettings(pulumi.runtime.allConfig(), project);
  try {
    const values = key === undefined ? all : all[key];
    return checkSettings(values, pulumi.getStack(), `${project}:${key ?? ""}`);
  } catch (error) {
    // a RunError has no cause, and its message is all that Pulumi shows
    throw error instanceof SettingsError ? new pulumi.RunError(error.message) : error;
  }
}
