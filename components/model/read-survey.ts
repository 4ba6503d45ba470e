import { type Certificate, certificatesIn, publicKeysIn } from "./certificate.ts";
import {
  type Carrier,
  etcdStates,
  type FoundFile,
  type FoundMaster,
  type FoundProcess,
  type Holder,
  type Holding,
  type Receipt,
  type SavedFile,
  type Stranger,
  type StrangerKey,
} from "./found.ts";
import type { FileRow } from "./layout.ts";
import { printable } from "./printable.ts";

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
    etcd: etcdStates.find((state) => state === one("etcd").split(" ")[0]) ?? "silent",
    etcdProblem: splitOnce(one("etcd"))[1],
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
    carriers: of("carrier").map(parseCarrier),
    strangers: textOf("stranger").flatMap(parseStranger),
    strangerKeys: textOf("stranger-key").flatMap(parseStrangerKey),
    holdings: textOf("holder").map(parseHolding),
    connected: textOf("connected").map(parseHolder),
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

function parseHolder(text: string): Holder {
  const [kind, rest] = splitOnce(printable(text));
  const [name, other] = kind === "Secret" ? splitAt(rest, "/") : splitAt(rest, " in ");
  return kind === "Secret" ? { kind, namespace: name, name: other } : { kind: "process", name, unit: other };
}

function parseCarrier(line: string): Carrier {
  const [kind, name = "", end, ...words] = line.split(" ");
  return { kind: kind === "worker" || kind === "config-map" ? kind : "other", name, end: Number(end), words: words.join(" ") };
}

function parseHolding(line: string): Holding {
  const [holder = "", name = "", publicKey = "", ...pem] = line.split("\x1F");
  return { holder: parseHolder(holder), name: printable(name), publicKey, certificates: certificatesIn(pem.join("\n")) };
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
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + separator.length)];
}

/** The lines that `one_line` (components/node/output.sh) has put into one. */
export function linesIn(text: string): string {
  return text.replaceAll("\x1F", "\n");
}
