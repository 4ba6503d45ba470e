import { text } from "node:stream/consumers";
import { z } from "zod";
import { pulumiEnvironment, startPulumi } from "../tools/engine/pulumi.ts";
import { CommandError } from "./command-error.ts";

const whoami = z.looseObject({ url: z.string() });

/** Where the CLI works, and what it is told besides its arguments. */
interface EngineSettings {
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  /** keeps standard output free for the result: what the CLI shows goes to standard error */
  readonly isOutputTaken?: boolean;
}

/** The Pulumi CLI, by the same way as `npx etcd-rotation pulumi`: same engine, same backend. */
export class Engine {
  readonly #settings: EngineSettings;

  constructor(settings: EngineSettings) {
    this.#settings = settings;
  }

  /** The same CLI in another folder, or with more in its environment. */
  with(changes: Partial<EngineSettings>): Engine {
    return new Engine({ ...this.#settings, ...changes, env: { ...this.#settings.env, ...changes.env } });
  }

  /** Runs it on this terminal; its exit code. */
  async show(...args: string[]): Promise<number> {
    const { isOutputTaken, ...settings } = this.#settings;
    const { code } = await startPulumi(args, { ...settings, stdio: ["inherit", isOutputTaken ? 2 : 1, 2] });
    return code;
  }

  /** Runs it without a terminal and keeps what it prints. */
  async capture(args: readonly string[], input?: string) {
    const words = [...args, "--non-interactive", "--color", "never"];
    const { child, code: ended } = await startPulumi(words, {
      ...this.#settings,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // one that ends before it has read all says why by itself
    child.stdin?.on("error", () => undefined).end(input);
    const [code, stdout, stderr] = await Promise.all([
      ended,
      child.stdout === null ? "" : text(child.stdout),
      child.stderr === null ? "" : text(child.stderr),
    ]);
    return { code, stdout, stderr };
  }

  /** What it prints. @throws CommandError with the CLI's error when it fails */
  read(what: string, ...args: string[]): Promise<string> {
    return this.tell(what, undefined, ...args);
  }

  /** The same with that text as its standard input. */
  async tell(what: string, input: string | undefined, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.capture(args, input);
    if (code !== 0) {
      throw CommandError.failed(`Cannot ${what}: ${errorIn(stderr)}`);
    }
    return stdout;
  }

  /** The URL of the backend. */
  async backendUrl(): Promise<string> {
    return whoami.parse(JSON.parse(await this.read("ask for the backend", "whoami", "--json"))).url;
  }
}

/** The same CLI and environment for Pulumi's Automation API, which looks for it on this process's own PATH. */
export async function automationOptions() {
  const { env } = await pulumiEnvironment();
  process.env["PATH"] = env["PATH"];
  const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
  const envVars = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return { pulumiCommand: await PulumiCommand.get(), envVars };
}

/** The CLI's error without its advice to run itself with other flags. */
export function errorIn(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("warning:"));
  return lines.join("\n").replace(/^error: /, "") || "the Pulumi CLI gave no reason";
}
