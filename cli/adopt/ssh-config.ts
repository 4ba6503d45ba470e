import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import { homedir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { runCommand } from "../../tools/engine/run-command.ts";
import { CommandError } from "../command-error.ts";
import { hostIn } from "./login.ts";
import type { WayThere } from "./route.ts";

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
export async function withSshConfig(values: WayThere): Promise<{ readonly way: WayThere; readonly told: readonly string[] }> {
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
