import { createHmac } from "node:crypto";

/** The keys that a known_hosts file has for a machine, as `type base64`. */
export interface KnownKeys {
  readonly trusted: readonly string[];
  readonly revoked: readonly string[];
}

/** Reads a known_hosts file as sshd(8) describes it; certificate authorities are left out. */
export function knownKeys(text: string, host: string, port: number): KnownKeys {
  const name = port === 22 ? host : `[${host}]:${port}`;
  const lines = text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith("@") === true ? words.shift() : undefined;
    const [names = "", type, key] = words;
    return names.startsWith("#") || type === undefined || key === undefined || !isNamed(names, name) ? [] : [{ marker, key: `${type} ${key}` }];
  });
  const of = (marker: string | undefined) => lines.filter((line) => line.marker === marker).map(({ key }) => key);
  return { trusted: of(undefined), revoked: of("@revoked") };
}

function isNamed(names: string, name: string): boolean {
  const [, , salt, hash] = names.startsWith("|1|") ? names.split("|") : [];
  if (salt !== undefined) {
    return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
  }
  const patterns = names.split(",");
  return !patterns.some((each) => each.startsWith("!") && matches(each.slice(1), name)) && patterns.some((each) => matches(each, name));
}

/** `*` and `?` as in ssh_config(5). */
function matches(pattern: string, name: string): boolean {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "i").test(name);
}
