import type { Command } from "@commander-js/extra-typings";
import { cwdOption, identityOption, jsonOption, renamed } from "./options.ts";

export function addAdopt(program: Command): void {
  program
    .command("adopt")
    .summary("take over a cluster: write its stack file, make its stack, preview")
    .description(
      `Takes over an ACK dedicated cluster: finds its masters from one of them, writes stacks/Pulumi.<stack>.yaml, makes the stack and runs its first preview. \
Reads only on the masters. Works while the API server is down, certificates have expired or etcd has no quorum; all masters must answer over SSH.

Where the masters are: --host, or --cluster-id and --region. How to log in: one of --key, --agent and --password. \
Compare the fingerprints with the machines' own before you answer yes.`,
    )
    .argument("<stack>", "its name, such as my-cluster")
    .option("--host <host>", "any master, as [user@]host[:port], or an alias of ~/.ssh/config")
    .option("--cluster-id <id>", "the ACK cluster, whose masters Alibaba Cloud tells; its credentials come from the environment")
    .option("--region <region>", "where that is, such as cn-hangzhou")
    .option("--user <user>", "on every master; another than root needs sudo without a password (default: that of ~/.ssh/config, or root)")
    .option("--port <port>", "of SSH on every master (default: that of ~/.ssh/config, or 22)")
    .option("--key <file>", "log in with this private key (default: the IdentityFile of ~/.ssh/config)")
    .option("--agent", "log in with the keys of the SSH agent", false)
    .option("--password", "asks for the password of that user, on every master the same; kept encrypted in the stack file", false)
    .option("--bastion <host>", "the machine on the way, as [user@]host[:port] (default: the ProxyJump of ~/.ssh/config)")
    .option("--bastion-key <file>", "its private key (default: as on the masters)")
    .option("--bastion-password", "asks for its password", false)
    .option("--known-hosts <file>", "trust the host keys in it, and no others; does not ask")
    .option("--yes", "takes the host keys as they are shown, does not ask", false)
    .option("--force", "replaces the settings of a stack file that is there", false)
    .option("--no-preview", "ends when the stack file is written: no stack, no preview")
    .addOption(cwdOption)
    .addOption(jsonOption)
    .addOption(identityOption)
    .action(async (stack, { identity, ...options }) => {
      const { adopt } = await import("../adopt/adopt.ts");
      await adopt(stack, { ...options, key: renamed(options.key, identity, "--identity", "--key") });
    });
}
