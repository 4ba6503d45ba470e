import type { Command } from "@commander-js/extra-typings";
import { cwdOption, identityOption, jsonOption, renamed } from "./options.ts";

const states = `
States:
  ok           nothing to do
  due          ends within certificates.renewBefore, or an update is asked for:
               pulumi up
  expired      in use and past its end
  drifted      a master disagrees with the others or with itself: pulumi preview
               says more
  unreachable  a master could not be looked at; the others are shown
  other        shown, but not counted: nothing here hangs on it, or it is
               renewed by others
A "-" is a certificate that this master does not have. The exit code is the
first that fits of 2, 3, 1 and 0.`;

export function addStatus(program: Command): void {
  program
    .command("status")
    .summary("every certificate: who issued it, when it ends, whether it is in use")
    .description(
      "Shows every certificate of a cluster's masters: who issued it, when it ends, and whether it is the one in use. \
Reads only: the stack file, and the masters over SSH. Needs neither Pulumi nor the stack's password.",
    )
    .argument("[stack...]")
    .option("--all", "every stack with a file in stacks/", false)
    .option("--prometheus", "as metrics for node-exporter's textfile collector", false)
    .option("--output <file>", "write there instead of standard output, replaced at once (with --json or --prometheus)")
    .option("--agent", "log in with the keys of the SSH agent, whatever the stack file says", false)
    .option("--key <file>", "log in with this private key")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(identityOption)
    .addHelpText("after", states)
    .action(async (stacks, { identity, ...options }) => {
      const { status } = await import("../status/status.ts");
      process.exitCode = await status(stacks, { ...options, key: renamed(options.key, identity, "--identity", "--key") });
    });
}
