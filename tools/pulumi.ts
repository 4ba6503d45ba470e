import { spawn } from "node:child_process";
import { constants } from "node:os";
import { type EngineEnvironment, engineEnvironment } from "./engine-environment.ts";
import { requireEngine } from "./setup/require-engine.ts";
import { defaultBackend } from "./setup/state-backend.ts";

/** A second interrupt makes Pulumi stop hard; npm and the shell each pass on the same one. */
const sameSignalMilliseconds = 1000;

async function main(args: readonly string[]): Promise<number> {
  await requireEngine();
  const engine = engineEnvironment();
  const backend = defaultBackend();
  if (backend?.isNew === true) {
    process.stderr.write(`No Pulumi backend is chosen: state is kept in ${backend.url} (or: pulumi login).\n`);
  }
  const env = backend === undefined ? engine.env : { ...engine.env, PULUMI_BACKEND_URL: backend.url };
  return run({ pulumi: engine.pulumi, env }, args);
}

/** Runs the CLI as if it had been started directly; ends with its exit code. */
function run(engine: EngineEnvironment, args: readonly string[]): Promise<number> {
  const isInteractive = process.stdin.isTTY === true;
  const child = spawn(engine.pulumi, args, {
    env: engine.env,
    stdio: "inherit",
    // Without a terminal the CLI gets each signal from here alone, however many processes it was sent to.
    detached: !isInteractive,
  });
  let lastSignal = Number.NEGATIVE_INFINITY;
  const forward = (signal: NodeJS.Signals) => {
    // A terminal's interrupt reaches the CLI by itself.
    if (isInteractive && signal === "SIGINT") {
      return;
    }
    const now = performance.now();
    if (now - lastSignal > sameSignalMilliseconds) {
      lastSignal = now;
      child.kill(signal);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => forward(signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
