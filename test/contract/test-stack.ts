import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import type { CommandSpec } from "./spec.ts";

const projectRoot = join(import.meta.dirname, "..", "..");

/** The folder of the plug-in under test; without it, the one that set-up chose. */
const pluginFolder = process.env["ETCD_ROTATION_COMMAND_PLUGIN"];

const stateResource = z.object({
  urn: z.string(),
  id: z.string().optional(),
  type: z.string(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
});
export type StateResource = z.infer<typeof stateResource>;

const engineEvent = z.object({
  diagnosticEvent: z.object({ urn: z.string().optional(), message: z.string() }).optional(),
  resOutputsEvent: z.object({ metadata: z.object({ op: z.string(), urn: z.string() }) }).optional(),
});
type EngineEvent = z.infer<typeof engineEvent>;

type OnEvents = (events: readonly EngineEvent[], pulumi: ChildProcess) => void;

/** What one run of the CLI left behind. */
export interface Run {
  readonly code: number;
  readonly output: string;
  readonly events: readonly EngineEvent[];
}

/** A stack of the test program in a folder of its own, with a file backend and a passphrase. */
export class TestStack {
  readonly folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #pulumi: string;
  #runs = 0;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(join(folder, "state"), { recursive: true });
    writeFileSync(
      join(folder, "Pulumi.yaml"),
      "name: contract\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
    );
    writeFileSync(join(folder, "package.json"), '{ "type": "module", "main": "program.ts" }\n');
    copyFileSync(join(import.meta.dirname, "program.ts"), join(folder, "program.ts"));
    copyFileSync(join(import.meta.dirname, "spec.ts"), join(folder, "spec.ts"));
    symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
    // of an agent that is gone, as a terminal that lives longer than its login has it
    const engine = engineEnvironment({ ...process.env, SSH_AUTH_SOCK: join(folder, "agent") });
    this.#pulumi = engine.pulumi;
    const path = engine.env["PATH"] ?? "";
    this.#env = {
      ...engine.env,
      PATH: pluginFolder === undefined ? path : `${pluginFolder}${delimiter}${path}`,
      PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
      PULUMI_CONFIG_PASSPHRASE: "contract",
      // Makes the CLI accept --event-log, as the Automation API does.
      PULUMI_DEBUG_COMMANDS: "true",
    };
  }

  async init(): Promise<void> {
    const { code, output } = await this.#run(["stack", "init", "dev"]);
    if (code !== 0) {
      throw new Error(`Cannot make the test stack: ${output}`);
    }
  }

  /** @param onEvents gets the events so far, again and again while the update runs */
  up(commands: Record<string, CommandSpec>, onEvents?: OnEvents): Promise<Run> {
    this.#write(commands);
    return this.#run(["up", "--yes", "--skip-preview", "--continue-on-error", "--stack", "dev"], onEvents);
  }

  preview(commands: Record<string, CommandSpec>): Promise<Run> {
    this.#write(commands);
    return this.#run(["preview", "--stack", "dev"]);
  }

  destroy(): Promise<Run> {
    return this.#run(["destroy", "--yes", "--skip-preview", "--stack", "dev"]);
  }

  /** The state file as it lies on disk. */
  stateText(): string {
    return readFileSync(join(this.folder, "state", ".pulumi", "stacks", "contract", "dev.json"), "utf8");
  }

  /** The recorded commands, by their names. */
  commands(): Map<string, StateResource> {
    const schema = z.object({
      checkpoint: z.object({ latest: z.object({ resources: z.array(stateResource).optional() }) }),
    });
    const { latest } = schema.parse(JSON.parse(this.stateText())).checkpoint;
    const found = (latest.resources ?? []).filter((resource) => resource.type === "command:remote:Command");
    return new Map(found.map((resource) => [nameOf(resource.urn), resource]));
  }

  #write(commands: Record<string, CommandSpec>): void {
    writeFileSync(join(this.folder, "commands.json"), JSON.stringify(commands), { mode: 0o600 });
  }

  #run(args: readonly string[], onEvents?: OnEvents): Promise<Run> {
    this.#runs += 1;
    const eventLog = join(this.folder, `events-${this.#runs}.jsonl`);
    const logs = args[0] !== "stack";
    const child = spawn(
      this.#pulumi,
      [...args, ...(logs ? ["--event-log", eventLog] : []), "--non-interactive"],
      {
        cwd: this.folder,
        env: this.#env,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const log = () => (existsSync(eventLog) ? readFileSync(eventLog, "utf8") : "");
    const timer =
      onEvents === undefined ? undefined : setInterval(() => onEvents(parseEvents(log()), child), 50);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        clearInterval(timer);
        resolve({ code: code ?? 1, output, events: parseEvents(log()) });
      });
    });
  }
}

export function nameOf(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

/** All that was said about one resource, without colours. */
export function messagesOf(run: Pick<Run, "events">, name: string): string {
  return run.events
    .flatMap((event) => (event.diagnosticEvent === undefined ? [] : [event.diagnosticEvent]))
    .filter((event) => event.urn !== undefined && nameOf(event.urn) === name)
    .map((event) => event.message.replaceAll(/<\{%.*?%\}>/g, ""))
    .join("");
}

/** What was done to one resource: create, update, create-replacement and so on. */
export function operationsOf(run: Run, name: string): string[] {
  return run.events
    .flatMap((event) => (event.resOutputsEvent === undefined ? [] : [event.resOutputsEvent.metadata]))
    .filter((metadata) => nameOf(metadata.urn) === name)
    .map((metadata) => metadata.op);
}

function parseEvents(log: string): EngineEvent[] {
  return log
    .split("\n")
    .slice(0, -1)
    .map((line) => engineEvent.parse(JSON.parse(line)));
}
