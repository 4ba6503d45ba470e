import { spawn } from "node:child_process";

/** What a finished command left behind. */
export interface CommandResult {
  readonly code: number;
  readonly output: string;
}

interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly folder?: string;
  /** @default no limit */
  readonly timeoutSeconds?: number;
  /** Shows what it prints, or only what it prints on stderr, on stderr while it runs. */
  readonly live?: "both" | "stderr";
}

/** Runs a command without a shell. A command that is not there ends with code 127. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: options.env ?? process.env,
      cwd: options.folder,
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.timeoutSeconds === undefined ? {} : { timeout: options.timeoutSeconds * 1000 }),
    });
    const chunks: Buffer[] = [];
    const keep = (chunk: Buffer, isShown: boolean) => {
      chunks.push(chunk);
      if (isShown) {
        process.stderr.write(chunk);
      }
    };
    child.stdout.on("data", (chunk: Buffer) => keep(chunk, options.live === "both"));
    child.stderr.on("data", (chunk: Buffer) => keep(chunk, options.live !== undefined));
    child.on("error", (error) => resolve({ code: 127, output: error.message }));
    child.on("close", (code, signal) => {
      const output = Buffer.concat(chunks).toString("utf8");
      resolve({ code: code ?? 1, output: signal === null ? output : `${output}stopped by ${signal}` });
    });
  });
}
