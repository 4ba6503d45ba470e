import { readFileSync } from "node:fs";
import { isMap, isScalar, parseDocument } from "yaml";
import { CommandError } from "./command-error.ts";
import type { Program } from "./program.ts";

/** A key below `config`, project included, and what it is to be. */
export interface Change {
  readonly path: readonly string[];
  readonly from: string | undefined;
  /** undefined: the key goes */
  readonly to: string | undefined;
}

/** @throws CommandError when there is none */
export function readStackFile({ stackFile, stack }: Program): string {
  try {
    return readFileSync(stackFile, "utf8");
  } catch (error) {
    throw new CommandError(`Cannot read ${stackFile}: ${error instanceof Error ? error.message : String(error)}; expected the settings of stack "${stack}"`, {
      ending: "usage",
      cause: error,
    });
  }
}

/** The project's settings, as they are written; encrypted ones as `{secure: …}`. */
export function settingsIn(text: string, { project, stackFile }: Program): Record<string, unknown> {
  const document = parseDocument(text);
  const [error] = document.errors;
  const config: unknown = document.toJS()?.config;
  if (error !== undefined || typeof config !== "object" || config === null) {
    throw new CommandError(
      `Cannot read ${stackFile}: ${error === undefined ? "it has no config" : error.message.split("\n")[0]}; expected the settings of a stack`,
      {
        ending: "usage",
        cause: error,
      },
    );
  }
  const prefix = `${project}:`;
  return Object.fromEntries(Object.entries(config).flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [])));
}

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
