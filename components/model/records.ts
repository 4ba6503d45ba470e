import { etcdStates, type Holder } from "./found.ts";
import { layoutKinds } from "./layout/tables.ts";
import { printable } from "./text.ts";

/** A part of a record: what it looks like, and how it is read. */
interface Field<T> {
  readonly pattern: string;
  readonly read: (text: string) => T;
  /** only the last one of a record may be left out */
  readonly isOptional?: true;
}
type Shape = Readonly<Record<string, Field<unknown>>>;
export type Table = Readonly<Record<string, Shape>>;

/** What was read of an answer, by the name of the record. */
export type Records<T extends Table> = {
  readonly [Name in keyof T]: readonly {
    readonly [Key in keyof T[Name]]: ReturnType<T[Name][Key]["read"]>;
  }[];
};

const word = { pattern: "[^ \\x1f]+", read: printable };
/** may be empty */
const maybe = { pattern: "[^ \\x1f]*", read: printable };
const number = { pattern: "\\d+", read: Number };
const hash = { pattern: "[0-9a-f]{64}", read: printable };
/** of a receipt, which may not have it */
const flag = { pattern: "[01]?", read: (own: string) => own === "1" };
const text = { pattern: ".*", read: printable };
const remark = { ...text, isOptional: true } as const;
/** may hold spaces, and stands before others */
const path = { pattern: "[^\\x1f]*", read: printable };
/** what `one_line` and `certificates_in` (components/node/lib/output.sh, survey.sh) have put into one */
const lines = { pattern: ".*", read: (own: string) => own.replaceAll("\x1F", "\n") };
const holder = { pattern: "Secret [^/]*/[^\\x1f]*|process [^\\x1f]* in [^\\x1f]*", read: holderIn };

function oneOf<T extends string>(...values: readonly [T, ...T[]]): Field<T> {
  return { pattern: values.join("|"), read: (own) => values.find((value) => value === own) ?? values[0] };
}

/**
 * What the scripts on a master print for this program: a record is a line, its name and then its fields, each behind a space, or behind
 * the character US of ASCII where the one before it may hold spaces. `row` is the id of a row of the layout.
 */
export const surveyRecords = {
  survey: { version: oneOf("1") },
  clock: { seconds: number },
  path: { row: word, path: text },
  file: {
    row: word,
    owner: word,
    mode: word,
    access: oneOf("readable", "unreadable"),
    publicKey: maybe,
    realPath: text,
  },
  pem: { row: word, pem: lines },
  saved: { row: word, publicKey: maybe, pem: { ...lines, isOptional: true } },
  earlier: { pem: lines },
  leftover: { path: text },
  process: { component: word, state: oneOf("fresh", "stale"), identity: text },
  arguments: { component: word, words: lines },
  served: { port: number, pem: lines },
  etcd: { state: oneOf(...etcdStates), problem: remark },
  answers: {},
  leader: {},
  cluster: { id: text },
  version: { version: text },
  database: { bytes: number },
  member: { row: text },
  client: { address: text },
  reaches: { address: text },
  api: { state: oneOf("ready", "not-ready") },
  kubernetes: { version: text },
  receipt: { text: lines },
  recorded: { seconds: number },
  backup: { rollout: number },
  lock: { holder: text },
  claim: { since: maybe, holder: remark },
  carrier: { kind: oneOf("worker", "config-map", "other"), name: word, end: number, words: text },
  stranger: { path, pem: lines },
  "stranger-key": { path, pem: lines },
  holder: { holder, name: path, publicKey: word, pem: lines },
  connected: { holder },
  "holders-cut": { why: text },
  kubeconfig: { path: text },
  end: {},
} as const satisfies Table;

export const claimRecords = { claimed: {}, taken: { by: text } } as const satisfies Table;

/** Of a step. The engine keeps them in the state, so an earlier program may have printed them. */
export const stepRecords = {
  authority: { group: word, line: text },
  served: { master: word, role: word, fingerprint: hash, end: text },
  listing: {
    master: word,
    path: word,
    /** links followed */
    realPath: { pattern: "/.*", read: printable },
    /** of the first certificate in the file */
    fingerprint: hash,
    end: text,
  },
  carrier: { words: text },
  refused: { master: word, leaves: number },
  held: { master: word },
  probe: {
    master: word,
    target: oneOf("etcd", "kube-apiserver"),
    state: oneOf("answers", "silent", "refused"),
    tries: number,
    failures: number,
    gapMilliseconds: number,
    endedBeforeMilliseconds: number,
    slowestMilliseconds: number,
  },
  done: { attempt: word, phase: word, master: word },
} as const satisfies Table;

/** Of components/node/bin/look.sh. */
export const lookRecords = {
  look: { version: oneOf("1") },
  hostname: { name: text },
  layout: { kind: oneOf(...layoutKinds) },
  arguments: { component: word, words: lines },
  member: { row: text },
  end: {},
} as const satisfies Table;

/** Of components/node/bin/backups.sh: with a rollout it is about the backup of that one. */
export const backupsRecords = {
  present: { rollout: maybe, isComplete: flag, rotation: text },
  leftover: { path: text },
  backup: { rollout: number },
  taken: { rollout: number, seconds: number },
  files: { rollout: number, count: number },
  damaged: { rollout: number, path: text },
  receipt: { rollout: number, isComplete: flag, rotation: text },
  snapshot: { rollout: number, bytes: number },
  "snapshot-hash": { rollout: number, hash: text },
  "snapshot-revision": { rollout: number, revision: number },
  "data-kib": { rollout: number, kib: number },
  removed: {},
  absent: {},
  end: { master: text },
} as const satisfies Table;

/** The fields of a line that is such a record; undefined when it is none, or lacks one. */
function fieldsIn(line: string, name: string, shape: Shape): Readonly<Record<string, unknown>> | undefined {
  const parts = Object.values(shape).map(({ pattern, isOptional }) =>
    isOptional ? `(?:[ \\x1f](${pattern}))?` : `[ \\x1f](${pattern})`,
  );
  const values = new RegExp(`^${name}${parts.join("")}$`, "s").exec(line)?.slice(1);
  return (
    values &&
    Object.fromEntries(
      Object.entries(shape).map(([key, { read }], index) => [key, read(values[index] ?? "")]),
    )
  );
}

/**
 * @param refuse makes the error for a line that is no record of the table, or lacks a field; without it such a line is left out
 * @throws that error
 */
export function readRecords<T extends Table>(
  answer: readonly string[],
  table: T,
  refuse?: (line: string) => Error,
): Records<T>;
export function readRecords(
  answer: readonly string[],
  table: Table,
  refuse?: (line: string) => Error,
): Records<Table> {
  const all = Object.fromEntries(
    Object.keys(table).map((name): [string, Records<Table>[string][number][]] => [name, []]),
  );
  for (const line of answer) {
    const [name = ""] = line.split(" ", 1);
    const shape = Object.hasOwn(table, name) ? table[name] : undefined;
    const fields = shape && fieldsIn(line, name, shape);
    if (fields !== undefined) {
      all[name]?.push(fields);
    } else if (refuse !== undefined) {
      throw refuse(printable(line.slice(0, 200)));
    }
  }
  return all;
}

/** What the steps that have ended in an attempt have said, from their standard outputs. */
export function recordsOf(stdouts: readonly string[], attempt: string): Records<typeof stepRecords> {
  const own = stdouts.map(answerLines).filter((said) => said.at(-1)?.startsWith(`done ${attempt} `));
  return readRecords(own.flat(), stepRecords);
}

/** The lines of an answer, without empty ones. */
export function answerLines(answer: string): string[] {
  return answer.split("\n").filter((line) => line !== "");
}

function holderIn(own: string): Holder {
  const [, namespace = "", name = ""] = /^Secret ([^/]*)\/(.*)$/s.exec(own) ?? [];
  const [, program, unit = ""] = /^process (.*) in (.*)$/s.exec(own) ?? [];
  return program === undefined
    ? { kind: "Secret", namespace: printable(namespace), name: printable(name) }
    : { kind: "process", name: printable(program), unit: printable(unit) };
}
