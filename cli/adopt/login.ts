import { homedir } from "node:os";
import { resolve } from "node:path";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2 from "ssh2";
import { CommandError } from "../command-error.ts";
import type { AdoptOptions } from "../commands.ts";
import { readText } from "../files.ts";
import { canAsk, secretFor } from "../terminal.ts";

/**
 * How to log in, and how a stack file says so; asks for a password where that is the way, which the engine writes and encrypts.
 * @param prefix of the options: empty, or `bastion-`
 * @throws CommandError (bad usage) unless there is exactly one usable way
 */
export async function loginWith(
  { key, agent, password: isPassword }: Pick<AdoptOptions, "key" | "agent" | "password">,
  prefix: "" | "bastion-",
) {
  const option = `--${prefix}key`;
  const given = [key !== undefined, agent, isPassword].filter(Boolean).length;
  if (given !== 1) {
    throw CommandError.usage(
      `Cannot log in: saw ${given === 0 ? "none" : given} of ${option} <file>, --${prefix}password${prefix === "" ? " and --agent" : ""}; expected one`,
    );
  }
  if (isPassword) {
    const password = await askPassword(prefix);
    return { credentials: { password }, written: { password } };
  }
  if (key === undefined) {
    const socket = process.env["SSH_AUTH_SOCK"];
    if (socket === undefined || socket === "") {
      throw CommandError.usage(
        "Cannot log in: --agent was given, and SSH_AUTH_SOCK is not set; expected a running agent. Run: eval $(ssh-agent) && ssh-add",
      );
    }
    return { credentials: { agentSocket: socket }, written: { agent: true } };
  }
  return {
    credentials: { privateKey: readKey(key, option) },
    written: { privateKeyPath: portable(resolve(key)) },
  };
}

async function askPassword(prefix: "" | "bastion-"): Promise<string> {
  if (!canAsk()) {
    throw CommandError.usage(
      `Cannot ask for the password of --${prefix}password: standard input is not a terminal; expected one, or --${prefix}key <file>`,
    );
  }
  const password = await secretFor(`Password on the ${prefix === "" ? "masters" : "bastion"}`, "password");
  if (password === "") {
    throw CommandError.declined("Cannot go on: the password is empty");
  }
  return password;
}

function readKey(file: string, option: string): string {
  const text = readText(file, option, "a private key");
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error || !key.isPrivateKey()) {
    const isProtected = key instanceof Error && /passphrase|encrypted/i.test(key.message);
    throw CommandError.usage(
      `Cannot use ${file}: it is ${isProtected ? "protected by a passphrase" : "no private key"}; expected a private key without one, or --agent. Run: ssh-add ${file}`,
    );
  }
  return text;
}

/** In the home of whoever runs this it is the same for others. */
function portable(file: string): string {
  return file.startsWith(`${homedir()}/`) ? `~${file.slice(homedir().length)}` : file;
}
