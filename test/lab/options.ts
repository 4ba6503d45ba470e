import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/** What a lab can run, by minor version: image/etcd and image/kubernetes have the modules to build. Debian itself has etcd 3.4. */
export const etcdVersions = { "3.4": "", "3.5": "v3.5.35", "3.6": "v3.6.16" } as const;
export const kubernetesVersions = {
  "1.20": "v1.20.15",
  "1.24": "v1.24.17",
  "1.30": "v1.30.14",
  "1.37": "v1.37.2",
} as const;
type EtcdVersion = keyof typeof etcdVersions;
type KubernetesVersion = keyof typeof kubernetesVersions;

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
  /** How long every leaf is valid from now on, and the etcd authorities half as long again; in ACK's layout the etcd authorities alone. */
  readonly lifetimeSeconds: number;
  /** The certificates' folders live below `/data`, with symbolic links at the usual places. */
  readonly moved: boolean;
  /** What masters are like: those of a real ACK dedicated cluster, ones with ACK's paths and no more, or kubeadm's. */
  readonly layout: "ack" | "tidy" | "kubeadm";
  /** Whether the unit gives etcd its settings as flags or as `Environment=ETCD_…` alone. */
  readonly etcdSettings: "flags" | "environment";
  /** What has already expired among the etcd certificates: nothing, the leaves, or the authorities as well. */
  readonly expired: "none" | "leaves" | "all";
  /** etcd's minor version: Debian's own, or one that is built. */
  readonly etcd: EtcdVersion;
  /** Kubernetes' minor version; 1.20 runs its pods by Docker, the others by containerd. */
  readonly kubernetes: KubernetesVersion;
  /** A folder whose programs come first on the PATH of every machine, or nothing. */
  readonly programs: string;
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
  etcdSettings: "flags",
  expired: "none",
  etcd: "3.4",
  kubernetes: "1.30",
  programs: process.env["TEST_PROGRAMS"] ?? "",
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
    throw new Error(
      `Cannot read the duration '${text}'; expected a whole number and a unit, such as 20d or 90s`,
    );
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
  readonly "etcd-settings"?: string | undefined;
  readonly expired?: string | undefined;
  readonly etcd?: string | undefined;
  readonly kubernetes?: string | undefined;
  readonly programs?: string | undefined;
}

/** @throws when a value is not one of those allowed. */
export function parseOptions(texts: LabOptionTexts): LabOptions {
  return {
    name: parseName(texts.name ?? defaultOptions.name),
    masters: oneOf("--masters", Number(texts.masters ?? defaultOptions.masters), [1, 3, 5]),
    workers: oneOf("--workers", Number(texts.workers ?? defaultOptions.workers), [0, 1, 2, 3]),
    peerCa: texts["peer-ca"] ?? defaultOptions.peerCa,
    algorithm: oneOf("--algorithm", texts.algorithm ?? defaultOptions.algorithm, ["rsa", "ecdsa"]),
    lifetimeSeconds:
      texts.lifetime === undefined ? defaultOptions.lifetimeSeconds : parseSeconds(texts.lifetime),
    moved: texts.moved ?? defaultOptions.moved,
    layout: oneOf("--layout", texts.layout ?? defaultOptions.layout, ["ack", "tidy", "kubeadm"]),
    etcdSettings: oneOf("--etcd-settings", texts["etcd-settings"] ?? defaultOptions.etcdSettings, [
      "flags",
      "environment",
    ]),
    expired: oneOf("--expired", texts.expired ?? defaultOptions.expired, ["none", "leaves", "all"]),
    etcd: oneOf("--etcd", texts.etcd ?? defaultOptions.etcd, ["3.4", "3.5", "3.6"]),
    kubernetes: oneOf("--kubernetes", texts.kubernetes ?? defaultOptions.kubernetes, [
      "1.20",
      "1.24",
      "1.30",
      "1.37",
    ]),
    programs: texts.programs === undefined ? defaultOptions.programs : parsePrograms(texts.programs),
  };
}

/**
 * A folder of programs, as an absolute path.
 * @throws when there is no such folder, or nothing in it can be run.
 */
export function parsePrograms(folder: string): string {
  const path = resolve(folder);
  if (!readdirOrNothing(path).some((name) => isProgram(join(path, name)))) {
    throw new Error(`Cannot use the programs of '${folder}'; expected a folder with executable files`);
  }
  return path;
}

function readdirOrNothing(path: string): string[] {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];
}

function isProgram(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && (found.mode & 0o111) !== 0;
}

/**
 * A lab's name becomes part of folders, machine names and network namespaces.
 * @throws when it does not fit these.
 */
export function parseName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,19}$/.test(name)) {
    throw new Error(
      `Cannot use '${name}' as the name of a lab; expected up to 20 small letters, digits and hyphens, not starting with a hyphen`,
    );
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
