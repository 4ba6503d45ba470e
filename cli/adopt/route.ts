import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { linesOf, printable } from "../../components/model/text.ts";
import type { SshEndpoint } from "../../components/survey/access.ts";
import { fromHome } from "../../stacks/settings.ts";
import { runCommand } from "../../tools/engine/run-command.ts";
import { CommandError } from "../command-error.ts";
import type { AdoptOptions } from "../commands.ts";
import { readText } from "../files.ts";
import { canAsk, widthOf, wrap } from "../terminal.ts";
import type { Draft } from "./draft.ts";
import type { Trust } from "./host-keys.ts";
import { loginWith } from "./login.ts";

/** How the masters are reached, and how a stack file says so. */
export type Route = Awaited<ReturnType<typeof routeOf>>;

/**
 * The way that the options say, and where they say nothing, OpenSSH's configuration.
 * @throws CommandError (bad usage) when that is not one way, ssh cannot read its configuration, or more than one jump host is on the way
 */
export async function routeOf(options: AdoptOptions) {
  if (options.host === undefined) {
    throw CommandError.usage(
      "Cannot find the cluster: saw no --host; expected --host <any master>, or --cluster-id and --region. Run with --help",
    );
  }
  const named = await endpointIn(options.host, "--host", options.user);
  const first =
    options.port === undefined ? named.endpoint : { ...named.endpoint, port: portIn(options.port, "--port") };
  const bastion = await bastionOf(options, named.config);
  const key = options.key ?? (options.agent || options.password ? undefined : named.config.identityFile);
  const login = await loginWith({ ...options, key }, "");
  const bastionLogin = bastion?.login === undefined ? login : await loginWith(bastion.login, "bastion-");
  return {
    first: { ...first, ...login.credentials },
    bastion: bastion && { ...bastion.endpoint, ...bastionLogin.credentials },
    written: sshSettings(first, login.written),
    bastionWritten:
      bastion === undefined
        ? {}
        : { host: bastion.endpoint.host, ...sshSettings(bastion.endpoint, bastionLogin.written) },
    // a line for each host of which OpenSSH's configuration has something
    notices: linesOf(named.notice, bastion?.notice),
  };
}

/** The machine on the way, and its own way to log in; that is undefined where it is as on the masters. */
async function bastionOf(
  { bastion: named, bastionKey, bastionPassword: password }: AdoptOptions,
  { proxyJump }: Awaited<ReturnType<typeof sshConfigOf>>,
) {
  const host = named ?? proxyJump;
  if (host === undefined) {
    if (password || bastionKey !== undefined) {
      throw CommandError.usage(
        `Cannot use --bastion-${password ? "password" : "key"}: saw no --bastion; expected both, or neither`,
      );
    }
    return;
  }
  const bastion = await endpointIn(host, named === undefined ? "ProxyJump" : "--bastion");
  const key = bastionKey ?? (password ? undefined : bastion.config.identityFile);
  return { ...bastion, login: password || key !== undefined ? { key, agent: false, password } : undefined };
}

function sshSettings({ user, port }: SshEndpoint, written: Draft["ssh"]): Draft["ssh"] {
  return { ...(user === "root" ? {} : { user }), ...(port === 22 ? {} : { port }), ...written };
}

/** @throws CommandError (bad usage) when nobody and nothing could tell whether a host key is right */
export function trustOf(options: AdoptOptions): Trust {
  const knownHosts =
    options.knownHosts === undefined
      ? undefined
      : readText(options.knownHosts, "--known-hosts", "a known_hosts file");
  const isAsking = knownHosts === undefined && !options.yes;
  if (isAsking && !canAsk()) {
    throw CommandError.usage(
      "Cannot ask whether the host keys are right: standard input is not a terminal; expected --known-hosts <file>, or --yes",
    );
  }
  const stream = options.json ? process.stderr : process.stdout;
  return {
    knownHosts,
    isAsking,
    say: (text) => stream.write(`${wrap(printable(text), widthOf(stream)).join("\n")}\n`),
  };
}

/** What `[user@]host[:port]` says, and OpenSSH's configuration where it says nothing. */
async function endpointIn(text: string, option: string, otherUser?: string) {
  const [, user, bracketed, plain, port] =
    /^(?:([^@\s]+)@)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const name = bracketed ?? plain;
  if (name === undefined) {
    throw CommandError.usage(`Cannot read ${option}: saw "${text}"; expected [user@]host[:port]`);
  }
  const config = await sshConfigOf(name);
  const set = Object.entries(config).flatMap(([key, value]) =>
    value === undefined ? [] : `${key} ${value}`,
  );
  return {
    config,
    endpoint: {
      host: config.hostname ?? name,
      port: portIn(port ?? config.port ?? "22", option),
      user: user ?? otherUser ?? config.user ?? "root",
    },
    notice:
      set.length > 0 &&
      `By ssh's own configuration, ${name}: ${set.join(", ")}. What the options say comes first.`,
  };
}

function portIn(text: string, option: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    throw CommandError.usage(`Cannot read ${option}: saw "${text}"; expected a port from 1 to 65535`);
  }
  return Number(text);
}

/** What OpenSSH's configuration sets for a host, and not by ssh's own default; asks ssh itself, which knows aliases, patterns and included files. */
async function sshConfigOf(name: string) {
  const [configured, defaults] = await Promise.all([settingsOf(name), settingsOf(name, "-F", "/dev/null")]);
  const set = (key: string) =>
    isDeepStrictEqual(configured.get(key), defaults.get(key)) ? [] : (configured.get(key) ?? []);
  const files = set("identityfile").map(fromHome);
  return {
    hostname: set("hostname")[0],
    port: set("port")[0],
    user: set("user")[0],
    // the first one that is there
    identityFile: files.find((file) => existsSync(file)),
    proxyJump: set("proxyjump").find((value) => value !== "none"),
  };
}

/** By key; a machine without ssh has none. */
async function settingsOf(name: string, ...options: readonly string[]): Promise<Map<string, string[]>> {
  const { code, output } = await runCommand("ssh", [...options, "-G", "--", name]);
  if (code !== 0 && code !== 127) {
    throw CommandError.usage(
      `Cannot ask ssh for its configuration of ${name}: ${output.trim()}; expected settings from: ssh -G ${name}`,
    );
  }
  const settings = new Map<string, string[]>();
  for (const [, key = "", value = ""] of code === 0 ? output.matchAll(/^(\w+) (.+)$/gm) : []) {
    settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}
