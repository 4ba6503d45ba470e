import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable } from "node:stream";

/** How to run a program on this machine. */
export interface ProgramOptions {
  readonly stdin?: string;
  /** Kills the program's whole process group when it takes longer; the exit code is then 124. */
  readonly timeoutSeconds?: number;
  readonly environment?: NodeJS.ProcessEnv;
  /** Where stderr goes: shown to the user as it comes, or collected. */
  readonly stderr?: "show" | "collect";
  /** Ends the program, and rejects, when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder of the scripts that work on this machine. */
export const machineFolder = join(import.meta.dirname, "machine");

/** Runs a program and resolves with its result, whatever its exit code. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    env: options.environment ?? process.env,
    stdio: ["pipe", "pipe", options.stderr === "show" ? "inherit" : "pipe"],
    // A process group of its own: so all of it can be ended, and Ctrl-C is left to the one who started it.
    detached: true,
  });
  const end = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || child.exitCode !== null) {
      return;
    }
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It ended in the meantime.
    }
  };
  const abort = () => end("SIGTERM");
  options.signal?.addEventListener("abort", abort);
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<number>((resolve) => {
    if (options.timeoutSeconds === undefined) {
      return;
    }
    timer = setTimeout(() => {
      end("SIGKILL");
      // Not waiting for the streams: a shared SSH connection holds them for as long as the remote command runs.
      resolve(124);
    }, options.timeoutSeconds * 1000);
  });
  const closed = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 137));
  });
  const output = collect(child.stdout);
  const errors = collect(child.stderr);
  // A program may end before it has read all of its input.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.stdin ?? "");
  try {
    const code = await Promise.race([closed, timedOut]);
    options.signal?.throwIfAborted();
    return { code, stdout: output(), stderr: errors() };
  } finally {
    child.stdout?.destroy();
    child.stderr?.destroy();
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}

/** Starts reading a stream; the result gives what has come so far. */
function collect(stream: Readable | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/**
 * Runs a program that has to succeed and resolves with its stdout.
 * @throws when its exit code is not 0, with what it wrote to stderr.
 */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, options);
  if (code !== 0) {
    throw new Error(
      `Cannot run '${[program, ...args].join(" ")}': exit code ${code}; expected 0\n${stderr}`.trim(),
    );
  }
  return stdout;
}
