import { once } from "node:events";
import { createConnection } from "node:net";

/** Where `npx etcd-rotation pulumi` and its kin put SSH_AUTH_SOCK, out of the sight of the command plug-in. */
export const agentVariable = "ETCD_ROTATION_SSH_AUTH_SOCK";

/**
 * The socket of the SSH agent that the stack file asks for.
 * @throws Error when no agent is named in the environment
 */
export function agentSocket(): string {
  const socket = process.env[agentVariable] || process.env["SSH_AUTH_SOCK"];
  if (socket === undefined || socket === "") {
    throw new Error(
      "Cannot log in: agent is true, and SSH_AUTH_SOCK is not set; expected a running agent. Run: eval $(ssh-agent) && ssh-add",
    );
  }
  return socket;
}

/**
 * With plain `pulumi` the variable is there for the official command plug-in, which asks that agent, wanted or not.
 * @throws Error when no agent is there: every step would fail, after the keys were made
 */
export async function refuseStaleAgent(): Promise<void> {
  const socket = process.env["SSH_AUTH_SOCK"];
  if (socket === undefined || socket === "") {
    return;
  }
  const connection = createConnection(socket);
  await once(connection, "connect")
    .catch(({ message }: Error) => {
      throw new Error(
        `Cannot begin: SSH_AUTH_SOCK names an agent that is gone (${message}), at which the command plug-in would fail in every step; expected a running one, or none. Run: unset SSH_AUTH_SOCK, or use npx etcd-rotation pulumi`,
      );
    })
    .finally(() => connection.destroy());
}
