import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2 from "ssh2";
import type { Access } from "../../components/survey/ssh.ts";
import { CommandError } from "../command-error.ts";
import type { Door } from "./host-keys.ts";

/** How to log in, and how a stack file says so. */
export interface Login {
  readonly credentials: Pick<Access, "privateKey" | "agentSocket">;
  readonly written: { readonly privateKeyPath: string } | { readonly agent: true };
}

/** @throws CommandError (bad usage) unless there is exactly one usable way */
export function loginWith(keyFile: string | undefined, isAgent: boolean, option: string): Login {
  if ((keyFile === undefined) === !isAgent) {
    throw new CommandError(`Cannot log in: saw ${isAgent ? "both" : "neither"}; expected one of ${option} <file> and --agent`, { ending: "usage" });
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

function readKey(file: string, option: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandError(`Cannot read ${option}: ${error instanceof Error ? error.message : String(error)}; expected a private key`, {
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

/** Reads `[user@]host[:port]`. @throws CommandError (bad usage) when it is none */
export function doorIn(text: string, option: string, user: string): Door {
  const [, own, bracketed, plain, port] = /^(?:([^@\s]+)@)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new CommandError(`Cannot read ${option}: saw "${text}"; expected [user@]host[:port]`, { ending: "usage" });
  }
  return { host, port: portIn(port ?? "22", option), user: own ?? user };
}

/** @throws CommandError (bad usage) when it is no port */
export function portIn(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    throw new CommandError(`Cannot read ${option}: saw "${text}"; expected a port from 1 to 65535`, { ending: "usage" });
  }
  return Number(text);
}
