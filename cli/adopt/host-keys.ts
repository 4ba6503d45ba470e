import { createHash, createHmac } from "node:crypto";
import type { Access, SshEndpoint } from "../../components/survey/access.ts";
import { shownHostKey } from "../../components/survey/ssh-login.ts";
import { CommandError } from "../command-error.ts";
import { settled } from "../in-parallel.ts";
import { isConfirmed } from "../terminal.ts";

/** How host keys are trusted: by a known_hosts file, by a person, or as they are shown. */
export interface Trust {
  /** the text of a known_hosts file; undefined without one */
  readonly knownHosts: string | undefined;
  readonly isAsking: boolean;
  /** shows a text, without control characters, in the lines of a terminal */
  readonly say: (text: string) => void;
}

/**
 * The host keys of these machines, each trusted: what any later connection has to show.
 * @throws CommandError when a machine cannot be reached, shows another key than known_hosts has, or the answer was not yes
 */
export async function trustedHostKeys(
  endpoints: readonly SshEndpoint[],
  bastion: Access | undefined,
  trust: Trust,
): Promise<string[]> {
  const { knownHosts } = trust;
  const { values: shown, failures } = await settled(
    endpoints.map(async (endpoint) => {
      const known = knownKeys(knownHosts ?? "", endpoint.host, endpoint.port);
      const types = new Set(known.trusted.map((key) => key.split(" ")[0] ?? ""));
      return { endpoint, known, key: await shownHostKey(endpoint, bastion, [...types]) };
    }),
  );
  if (failures.length > 0) {
    throw CommandError.failed(
      `${failures.join("\n").replaceAll("the hostKey of the stack file", "that of known-hosts")}\nNothing was written: every master must answer. Start it, or, when it is gone for good, remove its member from etcd (etcdctl member remove), then run this again.`,
    );
  }
  for (const { endpoint, key } of shown) {
    trust.say(`${placeOf(endpoint)} ${described(key)}`);
  }
  if (knownHosts !== undefined) {
    for (const { endpoint, known, key } of shown) {
      requireKnown(endpoint, key, known);
    }
  } else if (
    trust.isAsking &&
    !(await isConfirmed(
      `Are these the keys of ${endpoints.length === 1 ? "that machine" : "those machines"}? On each: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n`,
    ))
  ) {
    throw CommandError.declined("Nothing was written.");
  }
  return shown.map(({ key }) => key);
}

/** As OpenSSH writes it. */
export function fingerprintOf(hostKey: string): string {
  const [, base64 = ""] = hostKey.split(" ");
  return `SHA256:${createHash("sha256").update(Buffer.from(base64, "base64")).digest("base64").replace(/=+$/, "")}`;
}

function described(hostKey: string): string {
  return `${hostKey.split(" ")[0]} ${fingerprintOf(hostKey)}`;
}

function requireKnown(
  endpoint: SshEndpoint,
  shown: string,
  { trusted, revoked }: ReturnType<typeof knownKeys>,
): void {
  if (trusted.includes(shown) && !revoked.includes(shown)) {
    return;
  }
  const reason = revoked.includes(shown)
    ? "known-hosts has it as revoked"
    : trusted.length === 0
      ? "known-hosts has no key of it"
      : `known-hosts has ${trusted.map(described).join(", ")}`;
  throw CommandError.refused(
    `Cannot trust ${placeOf(endpoint)}: it shows ${described(shown)}, and ${reason}; expected the same key. Nothing was written. Compare on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`,
  );
}

function placeOf({ host, port }: SshEndpoint): string {
  return port === 22 ? host : `${host}:${port}`;
}

/** The keys that a known_hosts file, as sshd(8) describes it, has for a machine, as `type base64`; certificate authorities are left out. */
export function knownKeys(text: string, host: string, port: number) {
  const name = port === 22 ? host : `[${host}]:${port}`;
  const lines = text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith("@") === true ? words.shift() : undefined;
    const [names = "", type, key] = words;
    return names.startsWith("#") || type === undefined || key === undefined || !isNamed(names, name)
      ? []
      : [{ marker, key: `${type} ${key}` }];
  });
  const of = (marker: string | undefined) =>
    lines.filter((line) => line.marker === marker).map(({ key }) => key);
  return { trusted: of(undefined), revoked: of("@revoked") };
}

function isNamed(names: string, name: string): boolean {
  const [, , salt, hash] = names.startsWith("|1|") ? names.split("|") : [];
  if (salt !== undefined) {
    return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
  }
  const patterns = names.split(",");
  return (
    !patterns.some((each) => each.startsWith("!") && matches(each.slice(1), name)) &&
    patterns.some((each) => matches(each, name))
  );
}

/** `*` and `?` as in ssh_config(5). */
function matches(pattern: string, name: string): boolean {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "i").test(name);
}
