import { readFileSync } from "node:fs";
import { printable } from "../../components/model/printable.ts";
import type { Access } from "../../components/survey/access.ts";
import { canAsk } from "../ask.ts";
import { wrap } from "../columns.ts";
import { CommandError, messageOf } from "../command-error.ts";
import { widthOf } from "../paint.ts";
import type { Trust } from "./host-keys.ts";
import { doorIn, type Login, loginWith, portIn } from "./login.ts";
import type { Draft } from "./stack-settings.ts";

/** The options that say how to get to the masters. */
export interface WayThere {
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  readonly port?: string | undefined;
  readonly key?: string | undefined;
  readonly password: boolean;
  readonly agent: boolean;
  readonly bastion?: string | undefined;
  readonly bastionKey?: string | undefined;
  readonly bastionPassword: boolean;
  readonly knownHosts?: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

/** How the masters are reached, and how a stack file says so. */
export interface Route {
  readonly first: Omit<Access, "hostKey">;
  readonly bastion: Omit<Access, "hostKey"> | undefined;
  readonly written: Draft["ssh"];
  readonly bastionWritten: Draft["ssh"];
}

/** @throws CommandError (bad usage) when the options do not say one way */
export async function routeOf(values: WayThere): Promise<Route> {
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
export function trustOf(values: WayThere): Trust {
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
