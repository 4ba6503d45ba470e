import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type EngineEvent, LocalWorkspace, Stack } from "@pulumi/pulumi/automation/index.js";
import { messageOf } from "../../components/model/text.ts";
import type { automationOptions } from "../engine.ts";
import { nameIn } from "../state/deployment.ts";
import { changesIn, errorsIn, type Result, reasonOf } from "./result.ts";

/** What a stack is doing: a stage, and within it the resource at work. */
type Tell = (stage: "previewing" | "updating", detail: string) => void;

export interface RunOptions {
  /** the project's */
  readonly folder: string;
  readonly automation: Awaited<ReturnType<typeof automationOptions>>;
  readonly logFolder: string;
  readonly signal: AbortSignal;
  /** why a stack with changes may not be updated now; undefined when it may */
  readonly refusal: (stack: string) => string | undefined;
}

/** Previews one stack and, when that shows changes and it is asked for, updates it. Never rejects: a failure is a result. */
export async function runStack(
  command: "preview" | "up",
  name: string,
  options: RunOptions,
  tell: Tell,
): Promise<Result> {
  const started = performance.now();
  const path = join(options.logFolder, `${name}.log`);
  let log: ReturnType<typeof openLog> | undefined;
  const errors: string[] = [];
  const during = (stage: "previewing" | "updating") => {
    tell(stage, "");
    return {
      color: "never" as const,
      signal: AbortSignal.any([options.signal]),
      onOutput: (text: string) => log?.write(text),
      onError: (text: string) => log?.write(text),
      onEvent: (event: EngineEvent) => {
        const begun = event.resourcePreEvent?.metadata;
        if (begun !== undefined && begun.op !== "same" && begun.op !== "read") {
          tell(stage, nameIn(begun.urn));
        }
        errors.push(...errorsIn(event));
      },
    };
  };
  let changes: Record<string, number> = {};
  const ended = (outcome: Result["outcome"], reason?: string): Result => ({
    stack: name,
    outcome,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    changes,
    reason: [reason ?? [], log?.problem() ?? []].flat().join("; ") || undefined,
    log: log && path,
  });
  try {
    log = openLog(path);
    const stack = await openStack(name, options);
    const preview = await stack.preview(during("previewing"));
    changes = changesIn(preview.changeSummary);
    if (Object.keys(changes).length === 0) {
      return ended("unchanged");
    }
    if (command === "preview") {
      return ended("changes");
    }
    const refusal = options.refusal(name);
    if (refusal !== undefined) {
      return ended("not started", refusal);
    }
    await stack.up(during("updating"));
    return ended("updated");
  } catch (error) {
    const text = messageOf(error);
    log?.write(`\n${text}\n`);
    return ended("failed", reasonOf(errors, text));
  } finally {
    log?.close();
  }
}

/**
 * All that Pulumi says of one stack, in a file for its owner alone. One that cannot be written any more ends nothing: an update that is
 * under way goes on.
 * @throws Error when there can be none
 */
function openLog(path: string) {
  const file = opened(path);
  let problem: string | undefined;
  return {
    write: (text: string) => {
      try {
        writeSync(file, text);
      } catch (error) {
        problem ??= `its log is not whole: ${messageOf(error)}`;
      }
    },
    /** why it is not whole; undefined when it is */
    problem: () => problem,
    close: () => closeSync(file),
  };
}

function opened(path: string): number {
  try {
    return openSync(path, "w", 0o600);
  } catch (error) {
    throw new Error(
      `Cannot write the log ${path}: ${messageOf(error)}; expected a folder with room, or another one: --logs <folder>`,
      { cause: error },
    );
  }
}

/** A stack by the Automation API. */
export async function openStack(
  name: string,
  { folder, automation }: Pick<RunOptions, "folder" | "automation">,
): Promise<Stack> {
  const workspace = await LocalWorkspace.create({ workDir: folder, ...automation });
  // every command names its stack; selecting it would change what the user has selected
  workspace.selectStack = () => Promise.resolve();
  const stack = await Stack.select(name, workspace);
  // after an update it would start the CLI three times more, for outputs with every secret in clear, which nobody reads here
  stack.outputs = () => Promise.resolve({});
  stack.info = () => Promise.resolve(undefined);
  return stack;
}
