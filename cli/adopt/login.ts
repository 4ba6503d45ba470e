import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2 from "ssh2";
import type { Access } from "../../components/survey/access.ts";
import { CommandError, messageOf } from "../command-error.ts";
import { canAsk, secretFor } from "../terminal.ts";
import type { Door } from "./host-keys.ts";

/** How to log in, and how a stack file says so. */
export interface Login {
  readonly credentials: Pick<Access, "privateKey" | "password" | "agentSocket">;
  /** a password is written by the engine, which encrypts it */
  readonly written: { readonly privateKeyPath: string } | { readonly agent: true } | { readonly password: string };
}

/** The ways to log in that the options name. */
interface LoginOptions {
  readonly keyFile: string | undefined;
  readonly isAgent: boolean;
  readonly isPassword: boolean;
}

/**
 * Asks for a password where that is the way.
 * @param prefix of the options: empty, or `bastion-`
 * @throws CommandError (bad usage) unless there is exactly one usable way
 */
export async function loginWith({ keyFile, isAgent, isPassword }: LoginOptions, prefix: "" | "bastion-"): Promise<Login> {
  const option = `--${prefix}key`;
  const given = [keyFile !== undefined, isAgent, isPassword].filter(Boolean).length;
  if (given !== 1) {
    throw new CommandError(
      `Cannot log in: saw ${given === 0 ? "none" : given} of ${option} <file>, --${prefix}password${prefix === "" ? " and --agent" : ""}; expected one`,
      { ending: "usage" },
    );
  }
  if (isPassword) {
    const password = await askPassword(prefix);
    return { credentials: { password }, written: { password } };
  }
  if (keyFile === undefined) {
    const socket = process.env["SSH_AUTH_SOCK"];
    if (socket === undefined || socket === "") {
      throw new CommandError("Cannot log in: --agent was given, and SSH_AUTH_SOCK is not set; expected a running agent. Run: eval $(ssh-agent) && ssh-add", {
        ending: "usage",
      });
    }
    return { credentials: { agentSocket: socket }, written: { agent: true } };
  }
  return { credentials: { privateKey: readKey(keyFile, option) }, written: { privateKeyPath: portable(resolve(keyFile)) } };
}

async function askPassword(prefix: "" | "bastion-"): Promise<string> {
  if (!canAsk()) {
    throw new CommandError(`Cannot ask for the password of --${prefix}password: standard input is no terminal; expected one, or ${`--${prefix}key <file>`}`, {
      ending: "usage",
    });
  }
  const password = await secretFor(`Password on the ${prefix === "" ? "masters" : "bastion"}`, "password");
  if (password === "") {
    throw new CommandError("Cannot go on: the password is empty", { ending: "declined" });
  }
  return password;
}

function readKey(file: string, option: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandError(`Cannot read ${option}: ${messageOf(error)}; expected a private key`, {
      ending: "usage",
      cause: error,
    });
  }
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error || !key.isPrivateKey()) {
    const isProtected = key instanceof Error && /passphrase|encrypted/i.test(key.message);
    throw new CommandError(
      `Cannot use ${file}: it is ${isProtected ? "protected by a passphrase" : "no private key"}; expected a private key without one, or --agent. Run: ssh-add ${file}`,
      { ending: "usage" },
    );
  }
  return text;
}

/** In the home of whoever runs this it is the same for others. */
function portable(file: string): string {
  return file.startsWith(`${homedir()}/`) ? `~${file.slice(homedir().length)}` : file;
}

/** What `[user@]host[:port]` says. */
interface NamedHost {
  readonly host: string;
  readonly port: string | undefined;
  readonly user: string | undefined;
}

/** @throws CommandError (bad usage) when it is no `[user@]host[:port]` */
export function hostIn(text: string, option: string): NamedHost {
  const [, own, bracketed, plain, port] = /^(?:([^@\s]+)@)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new CommandError(`Cannot read ${option}: saw "${text}"; expected [user@]host[:port]`, { ending: "usage" });
  }
  return { host, port, user: own };
}

/** Reads `[user@]host[:port]`. @throws CommandError (bad usage) when it is none */
export function doorIn(text: string, option: string, user: string): Door {
  const named = hostIn(text, option);
  return { host: named.host, port: portIn(named.port ?? "22", option), user: named.user ?? user };
}

/** @throws CommandError (bad usage) when it is no port */
export function portIn(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    throw new CommandError(`Cannot read ${option}: saw "${text}"; expected a port from 1 to 65535`, { ending: "usage" });
  }
  return Number(text);
}
