import { existsSync, readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { homedir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { printable } from "../../components/model/printable.ts";
import type { Access } from "../../components/survey/access.ts";
import { runCommand } from "../../tools/engine/run-command.ts";
import { CommandError, messageOf } from "../command-error.ts";
import type { AdoptOptions } from "../commands.ts";
import { canAsk, widthOf, wrap } from "../terminal.ts";
import type { Draft } from "./draft.ts";
import type { Trust } from "./host-keys.ts";
import { doorIn, hostIn, type Login, loginWith, portIn } from "./login.ts";

/** How the masters are reached, and how a stack file says so. */
export interface Route {
  readonly first: Omit<Access, "hostKey">;
  readonly bastion: Omit<Access, "hostKey"> | undefined;
  readonly written: Draft["ssh"];
  readonly bastionWritten: Draft["ssh"];
}

/** @throws CommandError (bad usage) when the options do not say one way */
export async function routeOf(values: AdoptOptions): Promise<Route> {
  if (values.host === undefined) {
    throw new CommandError("Cannot find the cluster: saw no --host; expected --host <any master>, or --cluster-id and --region. Run with --help", {
      ending: "usage",
    });
  }
  const named = doorIn(values.host, "--host", values.user ?? "root");
  const first = values.port === undefined ? named : { ...named, port: portIn(values.port, "--port") };
  const bastion = values.bastion === undefined ? undefined : doorIn(values.bastion, "--bastion", "root");
  const own = { keyFile: values.bastionKey, isAgent: false, isPassword: values.bastionPassword };
  const hasOwn = own.keyFile !== undefined || own.isPassword;
  if (bastion === undefined && hasOwn) {
    throw new CommandError(`Cannot use --bastion-${own.isPassword ? "password" : "key"}: saw no --bastion; expected both, or neither`, { ending: "usage" });
  }
  const login = await loginWith({ keyFile: values.key, isAgent: values.agent, isPassword: values.password }, "");
  const bastionLogin = hasOwn ? await loginWith(own, "bastion-") : login;
  return {
    first: { ...first, ...login.credentials },
    bastion: bastion && { ...bastion, ...bastionLogin.credentials },
    written: sshSettings(first, login),
    bastionWritten: bastion === undefined ? {} : { host: bastion.host, ...sshSettings(bastion, bastionLogin) },
  };
}

function sshSettings({ user, port }: { readonly user: string; readonly port: number }, { written }: Login): Draft["ssh"] {
  return { ...(user === "root" ? {} : { user }), ...(port === 22 ? {} : { port }), ...written };
}

/** @throws CommandError (bad usage) when nobody and nothing could tell whether a host key is right */
export function trustOf(values: AdoptOptions): Trust {
  const knownHosts = values.knownHosts === undefined ? undefined : readKnownHosts(values.knownHosts);
  const isAsking = knownHosts === undefined && !values.yes;
  if (isAsking && !canAsk()) {
    throw new CommandError("Cannot ask whether the host keys are right: standard input is no terminal; expected --known-hosts <file>, or --yes", {
      ending: "usage",
    });
  }
  const stream = values.json ? process.stderr : process.stdout;
  return { knownHosts, isAsking, say: (text) => stream.write(`${wrap(printable(text), widthOf(stream)).join("\n")}\n`) };
}

function readKnownHosts(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandError(`Cannot read --known-hosts: ${messageOf(error)}; expected a known_hosts file`, {
      ending: "usage",
      cause: error,
    });
  }
}

/** What OpenSSH's configuration sets for a host; nothing of what is ssh's own default. */
interface SshConfig {
  readonly hostname: string | undefined;
  readonly port: string | undefined;
  readonly user: string | undefined;
  /** the first one that is there */
  readonly identityFile: string | undefined;
  readonly proxyJump: string | undefined;
}

/**
 * The options, with what OpenSSH's configuration has where they say nothing, and a line for each host of which it has something.
 * @throws CommandError (bad usage) when ssh cannot read it, or more than one jump host is on the way
 */
export async function withSshConfig(values: AdoptOptions): Promise<{ readonly way: AdoptOptions; readonly told: readonly string[] }> {
  if (values.host === undefined) {
    return { way: values, told: [] };
  }
  const first = await placed(values.host, "--host", values.user);
  const jump = values.bastion ?? first.config.proxyJump;
  const bastion = jump === undefined ? undefined : await placed(jump, values.bastion === undefined ? "ProxyJump" : "--bastion");
  const way = {
    ...values,
    host: first.text,
    key: values.key ?? (values.agent || values.password ? undefined : first.config.identityFile),
    bastion: bastion?.text,
    bastionKey: values.bastionKey ?? (values.bastionPassword ? undefined : bastion?.config.identityFile),
  };
  return { way, told: [first, bastion].flatMap((each) => each?.told ?? []) };
}

interface Placed {
  readonly config: SshConfig;
  /** as `[user@]host[:port]`, without an alias */
  readonly text: string;
  readonly told: readonly string[];
}

async function placed(text: string, option: string, otherUser?: string): Promise<Placed> {
  const named = hostIn(text, option);
  const config = await sshConfigOf(named.host);
  const [user, port, host] = [named.user ?? otherUser ?? config.user, named.port ?? config.port, config.hostname ?? named.host];
  const set = Object.entries(config).flatMap(([key, value]) => (value === undefined ? [] : `${key} ${value}`));
  return {
    config,
    text: `${user === undefined ? "" : `${user}@`}${isIPv6(host) ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`,
    told: set.length === 0 ? [] : [`By ssh's own configuration, ${named.host}: ${set.join(", ")}. What the options say comes first.`],
  };
}

/** Asks ssh itself, which knows aliases, patterns and included files. */
async function sshConfigOf(name: string): Promise<SshConfig> {
  const [own, defaults] = await Promise.all([settingsOf(name), settingsOf(name, "-F", "/dev/null")]);
  const set = (key: string) => (isDeepStrictEqual(own.get(key), defaults.get(key)) ? [] : (own.get(key) ?? []));
  const files = set("identityfile").map((file) => file.replace(/^~(?=\/)/, homedir()));
  return {
    hostname: set("hostname")[0],
    port: set("port")[0],
    user: set("user")[0],
    identityFile: files.find((file) => existsSync(file)),
    proxyJump: set("proxyjump").find((value) => value !== "none"),
  };
}

/** By key; a machine without ssh has none. */
async function settingsOf(name: string, ...options: readonly string[]): Promise<Map<string, string[]>> {
  const { code, output } = await runCommand("ssh", [...options, "-G", "--", name]);
  if (code !== 0 && code !== 127) {
    throw new CommandError(`Cannot ask ssh for its configuration of ${name}: ${output.trim()}; expected settings from: ssh -G ${name}`, { ending: "usage" });
  }
  const settings = new Map<string, string[]>();
  for (const [, key = "", value = ""] of code === 0 ? output.matchAll(/^(\w+) (.+)$/gm) : []) {
    settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}
