import { readFileSync } from "node:fs";
import { isMap, isScalar, parseDocument, type ScalarTag } from "yaml";
import { z } from "zod";
import { projectSettings } from "../stacks/project-settings.ts";
import { CommandError, messageOf } from "./command-error.ts";
import type { Program } from "./project.ts";

/** A key below `config`, project included, and what it is to be. */
export interface Change {
  readonly path: readonly string[];
  readonly from: string | undefined;
  /** undefined: the key goes */
  readonly to: string | undefined;
}

/** The text of a stack file. @throws CommandError (bad usage) when there is none */
export function readStackFile({ stackFile, stack }: Program): string {
  try {
    return readFileSync(stackFile, "utf8");
  } catch (error) {
    throw new CommandError(`Cannot read the stack file ${stackFile}: ${messageOf(error)}; expected the settings of stack "${stack}"`, {
      ending: "usage",
      cause: error,
    });
  }
}

/** The project's settings as Pulumi hands them over; encrypted ones as `{secure: …}`. Every command reads a stack file by this. */
export function settingsIn(text: string, { project, stackFile }: Pick<Program, "project" | "stackFile">): Record<string, unknown> {
  const document = parseDocument(text, { merge: true, customTags: (tags) => [goInteger, ...tags] });
  const [error] = document.errors;
  const config: unknown = document.toJS()?.config ?? {};
  if (error !== undefined || typeof config !== "object" || config === null) {
    throw new CommandError(
      `Cannot read ${stackFile}: ${error === undefined ? "its config holds no keys" : error.message.split("\n")[0]}; expected the settings of a stack`,
      {
        ending: "usage",
        cause: error,
      },
    );
  }
  return projectSettings(Object.fromEntries(Object.entries(config).map(([key, value]) => [key, handedOver(value)])), project);
}

/** Pulumi reads YAML in Go, where a plain 2026_11 is 202611 and a plain 0311 is octal. */
const goInteger: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?\d[\d_]*$/,
  resolve: (text) => (/^[-+]?0[0-7_]+$/.test(text) ? Number.parseInt(text.replaceAll("_", ""), 8) : Number(text.replaceAll("_", ""))),
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

const headShape = z.looseObject({ secretsprovider: z.string().optional(), encryptionsalt: z.string().optional() });

/** Sets keys in a stack file's text. All else stays byte for byte where the key was there before, unless it goes; comments stay in any case. */
export function withChanges(text: string, changes: readonly Change[]): string {
  return changes.reduce(withChange, text);
}

function withChange(text: string, { path, to }: Change): string {
  const document = parseDocument(text);
  const keys = ["config", ...path];
  const node = document.getIn(keys, true);
  if (to === undefined) {
    document.deleteIn(keys);
    return document.toString({ lineWidth: 0, flowCollectionPadding: true });
  }
  if (isScalar(node) && node.range) {
    const [start, end] = node.range;
    return `${text.slice(0, start)}${written(to, text.slice(start, end))}${text.slice(end)}`;
  }
  const parent = keys.slice(0, -1);
  if (!isMap(document.getIn(parent, true))) {
    document.setIn(parent, document.createNode({}));
  }
  document.setIn(keys, to);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** In the quotes of what it replaces; plain only where YAML cannot take it for something else than a string. */
function written(value: string, previous: string): string {
  if (previous.startsWith("'")) {
    return `'${value.replaceAll("'", "''")}'`;
  }
  const isPlain = !previous.startsWith('"') && /^[A-Za-z][A-Za-z0-9_-]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}
