import { createHash } from "node:crypto";
import type { Access } from "../../components/survey/access.ts";
import { shownHostKey } from "../../components/survey/ssh.ts";
import { isConfirmed } from "../ask.ts";
import { CommandError } from "../command-error.ts";
import { settled } from "../in-parallel.ts";
import { knownKeys } from "./known-hosts.ts";

/** Where a machine's SSH server is. */
export type Door = Pick<Access, "host" | "port" | "user">;

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
export async function trustedHostKeys(doors: readonly Door[], bastion: Access | undefined, trust: Trust): Promise<string[]> {
  const { values: keys, failures } = await settled(
    doors.map((door) => shownHostKey(door, bastion, trust.knownHosts === undefined ? [] : typesOf(door, trust.knownHosts))),
  );
  if (failures.length > 0) {
    throw new CommandError(
      `${failures.join("\n").replaceAll("the hostKey of the stack file", "that of known-hosts")}\nNothing was written: every master must answer. Start it, or, when it is gone for good, remove its member from etcd (etcdctl member remove), then run this again.`,
      { ending: "failed" },
    );
  }
  doors.forEach((door, index) => {
    trust.say(`${placeOf(door)} ${(keys[index] ?? "").split(" ")[0]} ${fingerprintOf(keys[index] ?? "")}`);
  });
  const { knownHosts } = trust;
  if (knownHosts !== undefined) {
    doors.forEach((door, index) => {
      requireKnown(door, keys[index] ?? "", knownHosts);
    });
  } else if (
    trust.isAsking &&
    !(await isConfirmed(
      `Are these the keys of ${doors.length === 1 ? "that machine" : "those machines"}? On each: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n`,
    ))
  ) {
    throw new CommandError("Nothing was written.", { ending: "declined" });
  }
  return keys;
}

/** As OpenSSH writes it. */
export function fingerprintOf(hostKey: string): string {
  const [, base64 = ""] = hostKey.split(" ");
  return `SHA256:${createHash("sha256").update(Buffer.from(base64, "base64")).digest("base64").replace(/=+$/, "")}`;
}

function typesOf({ host, port }: Door, knownHosts: string): string[] {
  return [...new Set(knownKeys(knownHosts, host, port).trusted.map((key) => key.split(" ")[0] ?? ""))];
}

function requireKnown(door: Door, shown: string, knownHosts: string): void {
  const { trusted, revoked } = knownKeys(knownHosts, door.host, door.port);
  if (trusted.includes(shown) && !revoked.includes(shown)) {
    return;
  }
  const reason = revoked.includes(shown)
    ? "known-hosts has it as revoked"
    : trusted.length === 0
      ? "known-hosts has no key of it"
      : `known-hosts has ${trusted.map((key) => `${key.split(" ")[0]} ${fingerprintOf(key)}`).join(", ")}`;
  throw new CommandError(
    `Cannot trust ${placeOf(door)}: it shows ${shown.split(" ")[0]} ${fingerprintOf(shown)}, and ${reason}; expected the same key. Nothing was written. Compare on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`,
    { ending: "refused" },
  );
}

function placeOf({ host, port }: Door): string {
  return port === 22 ? host : `${host}:${port}`;
}
