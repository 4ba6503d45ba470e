import type { ClientErrorExtensions } from "ssh2";
import { printable } from "../model/text.ts";
import type { Access } from "./access.ts";

/** A machine that does not answer, as opposed to one that answers and refuses this key, or has another host key. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** It cut the connection, as sshd does before it names itself while more than `MaxStartups` are logging in (sshd_config(5)). */
export class DroppedError extends UnreachableError {}

type ClientError = Error & ClientErrorExtensions & { readonly code?: string };

/** What ssh2 says, with the way out. */
export function explain(access: Access, error: ClientError, presented: string | undefined): Error {
  const where = `Cannot connect to ${access.host}:${access.port} as ${access.user}`;
  // a server may send anything as its reason to end the connection
  const text = printable(error.message).slice(0, 400);
  if (/host denied|verification failed|no matching host key/i.test(text)) {
    return new Error(
      `${where}: its host key is ${presented ?? "of another type"}, expected the hostKey of the stack file (${access.hostKey.split(" ")[0]}). If the machine was replaced on purpose, compare and set: ssh-keyscan -p ${access.port} ${access.host}`,
    );
  }
  if (/authentication methods failed/i.test(text)) {
    const refused =
      access.password === undefined
        ? "the key was refused; expected a key in that user's authorized_keys"
        : "the password was refused; expected that user's, and PasswordAuthentication or KbdInteractiveAuthentication in its sshd_config (PermitRootLogin yes for root)";
    return new Error(`${where}: ${refused}. Try: ssh -p ${access.port} ${access.user}@${access.host} true`);
  }
  if (/passphrase|encrypted|parse privateKey/i.test(text)) {
    return new Error(
      `${where}: the private key cannot be read (${text}); set ssh.passphrase when it is protected`,
    );
  }
  if (error.level === "agent") {
    return new Error(
      `${where}: the SSH agent at ${access.agentSocket} does not answer (${text}); expected a running one. Run: eval $(ssh-agent) && ssh-add`,
    );
  }
  const problem = `${where}: ${text === "" ? error.name : text}. Is the master up and reachable from here? Try: ssh -p ${access.port} ${access.user}@${access.host} true`;
  const { code, level, message } = error;
  if (code === "ECONNRESET" || code === "EPIPE" || message === "Connection lost before handshake") {
    return new DroppedError(problem);
  }
  // nothing was said, as far as ssh2 tells: the socket failed, or the time was up
  const isSilence = level === "client-socket" || level === "client-timeout";
  return isSilence ? new UnreachableError(problem) : new Error(problem);
}
