import { type Certificate, certificatesIn, type PublicKey, publicKeysIn } from "./certificate.ts";
import type { Component, FileRow } from "./layout.ts";
import { printable } from "./printable.ts";

/** What the survey read from one master; public data only. */
export interface FoundMaster {
  readonly name: string;
  /** seconds since 1970 by the master's clock, and by the operator's at about the same moment */
  readonly clock: number;
  readonly operatorClock: number;
  /** by row id */
  readonly files: Readonly<Record<string, FoundFile>>;
  readonly processes: Readonly<Partial<Record<Component, FoundProcess>>>;
  /** by port */
  readonly served: Readonly<Record<number, Certificate>>;
  /** "healthy", or what is wrong */
  readonly etcd: string;
  /** a linearizable read through this member succeeds: what quorum is counted by */
  readonly doesAnswer: boolean;
  readonly isLeader: boolean;
  /** decimal, as etcd's status prints it; empty when the member does not answer */
  readonly clusterId: string;
  readonly version: string;
  /** of kube-apiserver, such as `v1.18.8-aliyun.1`; empty when neither its manifest nor itself tells */
  readonly kubernetes: string;
  readonly members: readonly string[];
  readonly isApiReady: boolean;
  readonly receipt: Receipt | undefined;
  /** rollout numbers with a backup on this master */
  readonly backups: readonly number[];
  /** by row id: the files of the backup that `restore` names, as far as they are as its manifest says */
  readonly saved: Readonly<Record<string, SavedFile>>;
  /** etcd's leaves in all backups on this master: whoever issued one was this cluster's authority */
  readonly earlier: readonly Certificate[];
  /** folders that an interrupted step left behind */
  readonly leftovers: readonly string[];
  /** the holder of the lock, when it is held */
  readonly lock: string | undefined;
  /** the run that has claimed this master: owner, user, machine and process */
  readonly claim: string | undefined;
  /** addresses with an established connection to etcd's client port */
  readonly clients: readonly string[];
  /** addresses of other members through which this master can read, and which it accepts as peers */
  readonly reaches: readonly string[];
  /** who may still hold an earlier certificate of cluster-ca, until when, and what to run; the first master is asked */
  readonly carriers: readonly string[];
  /** files beside those of the layout that hold or embed a certificate */
  readonly strangers: readonly Stranger[];
  /** files beside etcd's with a private key that no row has */
  readonly strangerKeys: readonly StrangerKey[];
  /** of who may be a client of etcd besides Kubernetes; of Secrets the first master tells */
  readonly holdings: readonly Holding[];
  /** holders that are connected to a member */
  readonly connected: readonly string[];
  /** why not all holders were looked at; empty when they were */
  readonly holdersCut: string;
  /** that reads and writes Secrets there */
  readonly kubeconfig: string;
}

/** A value of a Secret, or a file that a process names: certificates, a private key or both. */
export interface Holding {
  /** `Secret <namespace>/<name>`, or `process <name> in <unit>` */
  readonly holder: string;
  /** the key in the Secret, or the file as the process names it */
  readonly name: string;
  /** SHA-256 of the public key that belongs to the private one; `-` without one */
  readonly publicKey: string;
  readonly certificates: readonly Certificate[];
}

export interface FoundFile {
  readonly isPresent: boolean;
  readonly ownerAndMode: string;
  /** by the user that its reader runs as */
  readonly isReadable: boolean;
  /** for keys: SHA-256 of the public key */
  readonly publicKey: string;
  /** the layout's, or what the flags of the running process say */
  readonly path: string;
  readonly realPath: string;
  /** of a kubeconfig: the client's, where it is embedded */
  readonly certificates: readonly Certificate[];
}

/** A file that no row has. */
export interface Stranger {
  /** links followed */
  readonly path: string;
  readonly certificate: Certificate;
}

export interface StrangerKey {
  /** links followed */
  readonly path: string;
  readonly key: PublicKey;
}

/** A file of a backup; public data only. */
export type SavedFile = Pick<FoundFile, "publicKey" | "certificates">;

export interface FoundProcess {
  /** boot id, pid, start ticks */
  readonly identity: string;
  readonly isStale: boolean;
  /** flags as `--name=value`, however they were given */
  readonly flags: readonly string[];
}

/** What a master remembers of the last rollout; written by components/node/receipt.sh. */
export interface Receipt {
  readonly owner: string;
  readonly cluster: string;
  readonly rollout: number;
  readonly attempt: string;
  readonly rotation: string;
  readonly authorities: string;
  readonly phase: string;
  readonly isComplete: boolean;
  /** by group of Kubernetes files: what the last renewal was for */
  readonly renewed: Readonly<Record<string, string>>;
}

export interface Found {
  /** those that were looked at */
  readonly masters: readonly FoundMaster[];
  /** those that could not be, where the stack file allows it */
  readonly missing?: readonly Missing[];
  /** new machines that are no members yet: looked at, and counted nowhere */
  readonly joining?: readonly FoundMaster[];
}

/** A master that cannot be reached over SSH. */
export interface Missing {
  readonly name: string;
  /** another master reads through its member */
  readonly isAlive: boolean;
}

/** A row that may be missing, and is missing everywhere, is none of this cluster's. */
export function presentRows<T extends FileRow>(table: readonly T[], found: Found): T[] {
  return table.filter((row) => row.optional !== true || found.masters.some((master) => master.files[row.id]?.isPresent === true));
}

/** Where a row's file lies on a master, links followed: rows at one place are one file. */
export function placeOf(master: FoundMaster, row: FileRow): string {
  return master.files[row.id]?.realPath || row.path;
}

const absent = { isPresent: false, ownerAndMode: "", publicKey: "", path: "", realPath: "", certificates: [] };

/**
 * Reads the survey script's lines (components/node/survey.sh).
 * @throws Error when the text is not a complete survey
 */
export function parseSurvey(name: string, text: string, rows: readonly FileRow[], operatorClock: number): FoundMaster {
  const facts = text.split("\n").filter((line) => line !== "");
  if (facts[0] !== "survey 1" || facts.at(-1) !== "end") {
    throw new Error(`Cannot survey ${name}: the answer is not complete; saw ${printable(JSON.stringify(text.slice(0, 200)))}, expected a survey`);
  }
  const textOf = (kind: string) => facts.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
  const of = (kind: string) => textOf(kind).map(printable);
  const one = (kind: string) => of(kind)[0] ?? "";
  const pems = new Map(textOf("pem").map((line) => splitOnce(line)));
  const files = new Map(of("file").map((line) => splitOnce(line)));
  const paths = new Map(of("path").map((line) => splitOnce(line)));
  const unreadable = new Set(of("unreadable"));
  const [receipt] = textOf("receipt");
  return {
    name,
    clock: Number(one("clock")),
    operatorClock,
    files: Object.fromEntries(
      rows.map((row, index) => {
        const file = parseFile(files.get(String(index)), pems.get(String(index)), paths.get(String(index)));
        return [row.id, { ...file, isReadable: file.isPresent && !unreadable.has(String(index)) }];
      }),
    ),
    processes: Object.fromEntries(of("process").flatMap((line) => parseProcess(line, textOf("arguments")))),
    served: Object.fromEntries(textOf("served").flatMap((line) => parseServed(line))),
    etcd: one("etcd"),
    doesAnswer: facts.includes("answers"),
    isLeader: facts.includes("leader"),
    clusterId: one("cluster"),
    version: one("version"),
    kubernetes: one("kubernetes"),
    members: of("member"),
    isApiReady: one("api") === "ready",
    receipt: receipt === undefined ? undefined : parseReceipt(linesIn(receipt)),
    backups: of("backup").map(Number),
    saved: Object.fromEntries(textOf("saved").flatMap((line) => parseSaved(line, rows))),
    earlier: textOf("earlier").flatMap((line) => certificatesIn(linesIn(line))),
    leftovers: [...new Set(of("leftover"))],
    lock: one("lock") === "" ? undefined : one("lock").trim(),
    claim: one("claim") === "" ? undefined : one("claim").trim().split(" ").slice(1).join(" "),
    clients: of("client"),
    reaches: of("reaches"),
    carriers: of("carrier"),
    strangers: textOf("stranger").flatMap(parseStranger),
    strangerKeys: textOf("stranger-key").flatMap(parseStrangerKey),
    holdings: textOf("holder").map(parseHolding),
    connected: of("connected"),
    holdersCut: of("holders-cut").join("; "),
    kubeconfig: one("kubeconfig"),
  };
}

function parseFile(line: string | undefined, pem: string | undefined, path: string | undefined): Omit<FoundFile, "isReadable"> {
  const [state, owner, mode, publicKey, ...realPath] = (line ?? "absent").split(" ");
  if (state !== "present") {
    return absent;
  }
  return {
    isPresent: true,
    ownerAndMode: `${owner} ${mode}`,
    publicKey: publicKey ?? "",
    path: path ?? "",
    realPath: realPath.join(" "),
    certificates: pem === undefined ? [] : certificatesIn(linesIn(pem)),
  };
}

function parseSaved(line: string, rows: readonly FileRow[]): [string, SavedFile][] {
  const [index, publicKey = "", ...pem] = line.split(" ");
  const row = rows[Number(index)];
  return row === undefined ? [] : [[row.id, { publicKey: printable(publicKey), certificates: certificatesIn(linesIn(pem.join(" "))) }]];
}

function parseProcess(line: string, argumentsLines: readonly string[]): [string, FoundProcess][] {
  const [component, state, ...identity] = line.split(" ");
  if (component === undefined || state === "absent") {
    return [];
  }
  const own = argumentsLines.filter((each) => each.startsWith(`${component} `)).map((each) => linesIn(each.slice(component.length + 1)));
  return [[component, { identity: identity.join(" "), isStale: state === "stale", flags: own.flatMap(flagsIn) }]];
}

/** `--name value` and `-name=value` become `--name=value`. */
export function flagsIn(lines: string): string[] {
  const words = lines.split("\n").map(printable);
  return words.flatMap((word, index) => {
    if (!word.startsWith("-")) {
      return [];
    }
    const name = word.replace(/^--?/, "--");
    const next = words[index + 1] ?? "";
    return [name.includes("=") || next === "" || next.startsWith("-") ? name : `${name}=${next}`];
  });
}

function parseServed(line: string): [string, Certificate][] {
  const [port, pem] = splitOnce(line);
  const certificate = certificatesIn(linesIn(pem))[0];
  return certificate === undefined ? [] : [[port, certificate]];
}

function parseStranger(line: string): Stranger[] {
  const [path, pem] = splitAt(linesIn(line), "\n");
  const [certificate] = certificatesIn(pem);
  return certificate === undefined ? [] : [{ path: printable(path), certificate }];
}

function parseStrangerKey(line: string): StrangerKey[] {
  const [path, pem] = splitAt(linesIn(line), "\n");
  return publicKeysIn(pem).map((key) => ({ path: printable(path), key }));
}

function parseHolding(line: string): Holding {
  const [holder = "", name = "", publicKey = "", ...pem] = line.split("\x1F");
  return { holder: printable(holder), name: printable(name), publicKey, certificates: certificatesIn(pem.join("\n")) };
}

function parseReceipt(text: string): Receipt {
  const values = new Map(text.split("\n").map((line): [string, string] => splitAt(printable(line), "=")));
  const get = (key: string) => values.get(key) ?? "";
  return {
    owner: get("owner"),
    cluster: get("cluster"),
    rollout: Number(get("rollout")),
    attempt: get("attempt"),
    rotation: get("rotation"),
    authorities: get("authorities"),
    phase: get("phase"),
    isComplete: get("complete") === "1",
    renewed: Object.fromEntries([...values].flatMap(([key, value]) => (key.startsWith("renewed.") ? [[key.slice("renewed.".length), value]] : []))),
  };
}

function splitOnce(line: string): [string, string] {
  return splitAt(line, " ");
}

function splitAt(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

/** The lines that `one_line` (components/node/output.sh) has put into one. */
export function linesIn(text: string): string {
  return text.replaceAll("\x1F", "\n");
}
