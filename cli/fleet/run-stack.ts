import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type EngineEvent, LocalWorkspace, type PulumiCommand, Stack } from "@pulumi/pulumi/automation/index.js";
import { messageOf } from "../command-error.ts";
import { changesIn, type Result, reasonOf } from "./result.ts";

/** What a stack is doing: a stage, and within it the resource at work. */
type Tell = (stage: "previewing" | "updating", detail: string) => void;

export interface RunOptions {
  /** the project's */
  readonly folder: string;
  readonly pulumi: PulumiCommand;
  readonly env: Readonly<Record<string, string>>;
  readonly logFolder: string;
  readonly signal: AbortSignal;
  /** why a stack with changes may not be updated now; undefined when it may */
  readonly refusal: (stack: string) => string | undefined;
}

/** Previews one stack. Never rejects: a failure is a result. */
export function previewStack(stack: string, options: RunOptions, tell: Tell): Promise<Result> {
  return run(stack, options, tell, false);
}

/** Previews one stack and, when that shows changes, updates it. Never rejects: a failure is a result. */
export function updateStack(stack: string, options: RunOptions, tell: Tell): Promise<Result> {
  return run(stack, options, tell, true);
}

async function run(name: string, options: RunOptions, tell: Tell, isUpdate: boolean): Promise<Result> {
  const started = performance.now();
  const log = join(options.logFolder, `${name}.log`);
  const file = openSync(log, "w", 0o600);
  const errors: string[] = [];
  const during = (stage: "previewing" | "updating") => {
    tell(stage, "");
    return {
      color: "never" as const,
      signal: AbortSignal.any([options.signal]),
      onOutput: (text: string) => writeSync(file, text),
      onError: (text: string) => writeSync(file, text),
      onEvent: (event: EngineEvent) => {
        const detail = startedIn(event);
        if (detail !== undefined) {
          tell(stage, detail);
        }
        if (event.diagnosticEvent?.severity === "error") {
          errors.push(event.diagnosticEvent.message);
        }
      },
    };
  };
  let changes: Record<string, number> = {};
  const ended = (outcome: Result["outcome"], reason?: string): Result => ({
    stack: name,
    outcome,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    changes,
    reason,
    log,
  });
  try {
    const stack = await openStack(name, options);
    const preview = await stack.preview(during("previewing"));
    changes = changesIn(preview.changeSummary);
    if (Object.keys(changes).length === 0) {
      return ended("unchanged");
    }
    if (!isUpdate) {
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
    writeSync(file, `\n${text}\n`);
    return ended("failed", reasonOf(errors, text));
  } finally {
    closeSync(file);
  }
}

async function openStack(name: string, { folder, pulumi, env }: RunOptions): Promise<Stack> {
  const workspace = await LocalWorkspace.create({ workDir: folder, pulumiCommand: pulumi, envVars: { ...env } });
  // every command names its stack; selecting it would change what the user has selected
  workspace.selectStack = () => Promise.resolve();
  return Stack.select(name, workspace);
}

/** The name of a resource that the engine begins to work on. */
function startedIn(event: EngineEvent): string | undefined {
  const metadata = event.resourcePreEvent?.metadata;
  return metadata === undefined || metadata.op === "same" || metadata.op === "read" ? undefined : metadata.urn.slice(metadata.urn.lastIndexOf("::") + 2);
}
