import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { CommandError } from "./command-error.ts";
import { ownFolder } from "./program.ts";

/** A finished run of the Pulumi CLI whose output was kept. */
export interface Captured {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where the CLI works, and what it is told besides its arguments. */
export interface EngineSettings {
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  /** keeps standard output free for the result: what the CLI shows goes to standard error */
  readonly isOutputTaken?: boolean;
}

/** The Pulumi CLI, by the same way as `npm run pulumi`: same engine, same backend. */
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
    const { code } = await this.#run(args, ["inherit", this.#settings.isOutputTaken === true ? 2 : 1, 2]);
    return code;
  }

  /** Runs it without a terminal and keeps what it prints. */
  capture(...args: string[]): Promise<Captured> {
    return this.#run([...args, "--non-interactive", "--color", "never"], ["ignore", "pipe", "pipe"]);
  }

  /** @throws CommandError with what the CLI said when it fails */
  async read(what: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.capture(...args);
    if (code !== 0) {
      throw new CommandError(`Cannot ${what}: ${saidBy(stderr)}`, { ending: "failed" });
    }
    return stdout;
  }

  #run(args: readonly string[], stdio: ("inherit" | "ignore" | "pipe" | 1 | 2)[]): Promise<Captured> {
    const child = spawn(process.execPath, [join(ownFolder, "tools", "pulumi.ts"), ...args], {
      cwd: this.#settings.folder,
      env: { ...process.env, ...this.#settings.env },
      stdio,
    });
    const letGo = outlive(child);
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    const { promise, resolve, reject } = Promise.withResolvers<Captured>();
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8") }));
    return promise.finally(letGo);
  }
}

/**
 * Stays until the CLI has ended by itself, to tidy up after it. An interrupt of a terminal reaches the CLI without help.
 * @returns what ends this
 */
function outlive(child: ChildProcess): () => void {
  const isInteractive = process.stdin.isTTY === true;
  const handlers = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => ({
    signal,
    handle: () => {
      if (signal !== "SIGINT" || !isInteractive) {
        child.kill(signal);
      }
    },
  }));
  for (const { signal, handle } of handlers) {
    process.on(signal, handle);
  }
  return () => {
    for (const { signal, handle } of handlers) {
      process.off(signal, handle);
    }
  };
}

/** The CLI's error without its advice to run itself with other flags. */
export function saidBy(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("warning:"));
  return lines.join("\n").replace(/^error: /, "") || "the Pulumi CLI gave no reason";
}
