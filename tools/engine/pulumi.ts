import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { constants, homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { type EngineEnvironment, engineEnvironment, readSelection } from "./engine-environment.ts";
import { Progress } from "./progress.ts";
import { engineParts, requireSource, setUpEngine } from "./set-up-engine.ts";

/** A second interrupt makes Pulumi stop hard; npm and the shell each pass on the same one. */
const sameSignalMilliseconds = 1000;

/** The CLI and its environment with the backend; sets the engine up where that has not been done. */
export async function pulumiEnvironment(base: NodeJS.ProcessEnv = process.env): Promise<EngineEnvironment> {
  await requireEngine();
  const { pulumi, env } = engineEnvironment(base);
  const backend = defaultBackend(base);
  return { pulumi, env: backend === undefined ? env : { ...env, PULUMI_BACKEND_URL: backend } };
}

/**
 * Starts the CLI, which ends by itself: this process stays until then, and hands on the signals that it gets.
 * @param options.env what it has beside this process's own environment
 * @returns `code` is there when it has ended
 */
export async function startPulumi(
  args: readonly string[],
  options: { readonly folder?: string; readonly env?: NodeJS.ProcessEnv; readonly stdio: StdioOptions },
): Promise<{ readonly child: ChildProcess; readonly code: Promise<number> }> {
  const { pulumi, env } = await pulumiEnvironment({ ...process.env, ...options.env });
  const isInteractive = process.stdin.isTTY === true;
  // without a terminal the CLI gets each signal from here alone, however many processes it was sent to
  const child = spawn(pulumi, args, {
    env,
    stdio: options.stdio,
    detached: !isInteractive,
    cwd: options.folder,
  });
  let lastSignal = Number.NEGATIVE_INFINITY;
  const forward = (signal: NodeJS.Signals) => {
    const now = performance.now();
    // a terminal's interrupt reaches the CLI by itself
    if (!(isInteractive && signal === "SIGINT") && now - lastSignal > sameSignalMilliseconds) {
      lastSignal = now;
      child.kill(signal);
    }
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) {
    process.on(signal, forward);
  }
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once("error", reject);
  child.once("close", (code, signal) =>
    resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
  );
  return {
    child,
    code: promise.finally(() => {
      for (const signal of signals) {
        process.off(signal, forward);
      }
    }),
  };
}

/** Runs the CLI as if it had been started directly. @returns its exit code */
export async function runPulumi(args: readonly string[]): Promise<number> {
  const { code } = await startPulumi(args, { stdio: "inherit" });
  return code;
}

/** Sets up the engine where that has not been done yet, and says so. */
async function requireEngine(): Promise<void> {
  if (readSelection() === undefined) {
    process.stderr.write("The Pulumi engine is not set up yet; doing that first.\n");
    await requireSource();
    await setUpEngine(new Progress(engineParts));
  }
}

const projectFile = join(import.meta.dirname, "..", "..", "Pulumi.yaml");

/**
 * The URL of a local folder, made readable by its owner alone, which is said when it is made; undefined when a backend is
 * chosen already.
 */
function defaultBackend(env: NodeJS.ProcessEnv): string | undefined {
  if (env["PULUMI_BACKEND_URL"] || isLoggedIn(env) || isChosenByProject()) {
    return undefined;
  }
  const folder = join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "etcd-rotation");
  const url = pathToFileURL(folder).href;
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    process.stderr.write(`No Pulumi backend is chosen: state is kept in ${url} (or: pulumi login).\n`);
  }
  return url;
}

/** Whether `pulumi login` was run: the credentials file then names a current backend. */
function isLoggedIn(env: NodeJS.ProcessEnv): boolean {
  if (env["PULUMI_ACCESS_TOKEN"]) {
    return true;
  }
  const home = env["PULUMI_CREDENTIALS_PATH"] ?? env["PULUMI_HOME"] ?? join(homedir(), ".pulumi");
  const file = join(home, "credentials.json");
  const credentials: unknown = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  return Boolean(z.object({ current: z.string() }).safeParse(credentials).data?.current);
}

function isChosenByProject(): boolean {
  return existsSync(projectFile) && /^backend:/m.test(readFileSync(projectFile, "utf8"));
}
