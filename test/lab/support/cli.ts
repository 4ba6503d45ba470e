import { spawn } from "node:child_process";
import { join } from "node:path";
import type { LabStack } from "../stack.ts";

/** A finished command of cli/. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of cli/ in the lab's network, with the stack's backend; states are saved in the lab's folder. */
export function runCli(stack: LabStack, command: "rollback" | "backups", ...args: string[]): Promise<Ended> {
  const { env } = stack.command();
  const program = join(stack.project, "cli", `${command}.ts`);
  const words = ["netns", "exec", stack.lab.namespace, process.execPath, program, "--cwd", stack.project, "--stack", stack.name, ...args];
  const child = spawn("ip", words, { env: { ...env, XDG_STATE_HOME: stack.lab.folder, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}
