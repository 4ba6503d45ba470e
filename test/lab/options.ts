/** What kind of lab to start. */
export interface LabOptions {
  /** Two labs with different names run side by side. */
  readonly name: string;
  readonly masters: 1 | 3 | 5;
  /** Machines with a kubelet and nothing of the control plane. */
  readonly workers: 0 | 1 | 2 | 3;
  /** Etcd's members trust each other by an authority of their own; else one authority serves clients and peers. */
  readonly peerCa: boolean;
  /** The kind of the etcd keys. */
  readonly algorithm: "rsa" | "ecdsa";
  /** How long every leaf is valid from now on; the etcd authorities last half as long again. */
  readonly lifetimeSeconds: number;
  /** The certificates' folders live below `/data`, with symbolic links at the usual places. */
  readonly moved: boolean;
  /** What lies where, and what runs etcd: a unit of systemd (ack) or the kubelet, as a static pod (kubeadm). */
  readonly layout: "ack" | "kubeadm";
  /** What has already expired among the etcd certificates: nothing, the leaves, or the authorities as well. */
  readonly expired: "none" | "leaves" | "all";
}

export const defaultOptions: LabOptions = {
  name: "lab",
  masters: 3,
  workers: 0,
  peerCa: false,
  algorithm: "rsa",
  lifetimeSeconds: 20 * 86_400,
  moved: false,
  layout: "ack",
  expired: "none",
};

const unitSeconds = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3600],
  ["d", 86_400],
  ["y", 365 * 86_400],
]);

/**
 * Reads a duration such as `20d` or `90s`.
 * @throws when it is not a whole number followed by s, m, h, d or y.
 */
export function parseSeconds(text: string): number {
  const [, count, unit] = /^(\d+)([smhdy])$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds.get(unit ?? "") ?? Number.NaN);
  if (!Number.isSafeInteger(seconds) || seconds <= 0) {
    throw new Error(`Cannot read the duration '${text}'; expected a whole number and a unit, such as 20d or 90s`);
  }
  return seconds;
}

/** The options as text, as they come from a command line; what is missing takes its default. */
export interface LabOptionTexts {
  readonly name?: string | undefined;
  readonly masters?: string | undefined;
  readonly workers?: string | undefined;
  readonly "peer-ca"?: boolean | undefined;
  readonly algorithm?: string | undefined;
  readonly lifetime?: string | undefined;
  readonly moved?: boolean | undefined;
  readonly layout?: string | undefined;
  readonly expired?: string | undefined;
}

/** @throws when a value is not one of those allowed. */
export function parseOptions(texts: LabOptionTexts): LabOptions {
  return {
    name: parseName(texts.name ?? defaultOptions.name),
    masters: oneOf("--masters", Number(texts.masters ?? defaultOptions.masters), [1, 3, 5]),
    workers: oneOf("--workers", Number(texts.workers ?? defaultOptions.workers), [0, 1, 2, 3]),
    peerCa: texts["peer-ca"] ?? defaultOptions.peerCa,
    algorithm: oneOf("--algorithm", texts.algorithm ?? defaultOptions.algorithm, ["rsa", "ecdsa"]),
    lifetimeSeconds: texts.lifetime === undefined ? defaultOptions.lifetimeSeconds : parseSeconds(texts.lifetime),
    moved: texts.moved ?? defaultOptions.moved,
    layout: oneOf("--layout", texts.layout ?? defaultOptions.layout, ["ack", "kubeadm"]),
    expired: oneOf("--expired", texts.expired ?? defaultOptions.expired, ["none", "leaves", "all"]),
  };
}

/**
 * A lab's name becomes part of folders, machine names and network namespaces.
 * @throws when it does not fit these.
 */
export function parseName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,19}$/.test(name)) {
    throw new Error(`Cannot use '${name}' as the name of a lab; expected up to 20 small letters, digits and hyphens, not starting with a hyphen`);
  }
  return name;
}

function oneOf<const T>(option: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) {
    throw new Error(`Cannot use '${String(value)}' for ${option}; expected one of ${allowed.join(", ")}`);
  }
  return found;
}
