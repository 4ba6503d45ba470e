import { join } from "node:path";
import type { RolloutReport } from "../../../components/model/rollout-report.ts";
import { withStack } from "../../support/with-stack.ts";
import { type ProgramResult, runProgram } from "../machine.ts";
import type { LabStack } from "../stack.ts";

/** Runs a command of cli/ on a stack, in the lab's network, with the stack's backend; states are saved in the lab's folder. */
export function runCli(
  stack: LabStack,
  command: "rollback" | "backups" | "status" | "report" | "plan" | "rehearse",
  ...args: string[]
): Promise<ProgramResult> {
  const { env } = stack.command();
  const program = join(stack.project, "cli", "etcd-rotation.js");
  const words = [
    `--net=/run/netns/${stack.lab.namespace}`,
    process.execPath,
    program,
    ...withStack(command, args, stack.name),
    "--cwd",
    stack.project,
  ];
  // and not ip netns exec, which mounts another /sys: a rehearsal starts a lab, which needs the machine's
  return runProgram("nsenter", words, {
    environment: { ...env, XDG_STATE_HOME: stack.lab.folder, NO_COLOR: "1" },
  });
}

/** The record of the stack's last rollout. @throws Error when there is none, or when it holds what is not public */
export async function lastReport(stack: LabStack): Promise<RolloutReport> {
  const { code, stdout, stderr } = await runCli(stack, "report", "--json");
  if (code !== 0 || /PRIVATE|BEGIN|ciphertext/.test(stdout)) {
    throw new Error(`report ended with exit code ${code}:\n${stderr}${stdout}`);
  }
  return JSON.parse(stdout);
}
