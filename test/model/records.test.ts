import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { etcdStates } from "../../components/model/found.ts";
import {
  backupsRecords,
  claimRecords,
  lookRecords,
  readRecords,
  stepRecords,
  surveyRecords,
  type Table,
} from "../../components/model/records.ts";

// Each record that a script prints is in its table, with all its fields, and each of a table is printed.

const root = join(import.meta.dirname, "..", "..");
const text = (file: string) => readFileSync(join(root, file), "utf8").replace(/^\s*#.*$/gm, "");

/** Stands for what a script finds only when it runs; whatever a field may look like, it looks like this. */
const value = "0".repeat(64);

/** Words that stand for several fields. */
const several = { "$(fingerprint_and_end": "$sum $(end", $figures: "$1 $2 $3 $4 $5 $6" };

/** What a script's `result`s print, with `value` in place of what is found only when it runs. */
function printedBy(script: string): string[] {
  return [...script.matchAll(/\bresult (?=["'a-z])/g)].map(({ index, 0: { length } }) =>
    wordAt(script, index + length),
  );
}

/** The word of bash that begins there. */
function wordAt(script: string, start: number): string {
  let word = "";
  let quote = "";
  for (let at = start; at < script.length; at += 1) {
    const sign = script[at] ?? "";
    if (sign === quote || (quote === "" && /["']/.test(sign))) {
      quote = quote === "" ? sign : "";
    } else if (quote === "" && /[\s;)]/.test(sign)) {
      break;
    } else if (sign === "$" && quote !== "'" && script[at + 1] !== "'") {
      word += value;
      at = endOfExpansion(script, at + 1);
    } else if (!(sign === "$" && quote === "")) {
      word += sign;
    }
  }
  return word.replaceAll(String.raw`\037`, "\x1f");
}

/** The last character of `(…)`, `{…}` or a name. */
function endOfExpansion(script: string, start: number): number {
  const [name = ""] = /^[\w@*]+/.exec(script.slice(start, start + 40)) ?? [];
  let at = start;
  for (let depth = 0; name === "" && at < script.length; at += 1) {
    depth += /[({]/.test(script[at] ?? "") ? 1 : /[)}]/.test(script[at] ?? "") ? -1 : 0;
    if (depth === 0) {
      return at;
    }
  }
  return start + name.length - 1;
}

function isIn(table: Table, line: string): boolean {
  const [name = ""] = line.split(" ", 1);
  const fields = Object.values(table[name] ?? { none: { pattern: "(?!)", read: String } });
  const parts = fields.map(
    ({ pattern, isOptional }) => `(?:[ \\x1f](?:${pattern}|${value}))${isOptional ? "?" : ""}`,
  );
  return new RegExp(`^${name}${parts.join("")}$`, "s").test(line);
}

test.each([
  {
    of: "survey",
    files: [
      "components/node/bin/survey.sh",
      ...["clients", "survey-files"].map((name) => `components/node/lib/${name}.sh`),
    ],
    table: surveyRecords,
  },
  { of: "claim", files: ["components/node/bin/claim.sh"], table: claimRecords },
  { of: "look", files: ["components/node/bin/look.sh"], table: lookRecords },
  { of: "list of backups", files: ["components/node/bin/backups.sh"], table: backupsRecords },
  {
    of: "step",
    files: [
      "components/node/bin/step.sh",
      ...["verify", "renewal", "probe"].map((name) => `components/node/lib/${name}.sh`),
    ],
    table: stepRecords,
  },
])("the records of a $of are those of its table, with all fields", ({ files, table }) => {
  const script = Object.entries(several).reduce(
    (whole, [word, fields]) => whole.replaceAll(word, () => fields),
    files.map(text).join("\n"),
  );
  // what connected_files and secret_values print reaches `result` as it is, and what etcdutl prints does so by sed
  const indirect = [
    ...script.matchAll(/(?:%s\\037|%s)(connected|kubeconfig|holders-cut) ([^\n'\\]*)|\/(snapshot-\w+ \$2) /g),
  ].map(([, name, words, line]) =>
    (line === undefined ? `${name} ${words}` : `${line} ${value}`)
      .replaceAll("connected %s", `connected process ${value} in ${value}`)
      .replaceAll("$2", value),
  );
  const printed = [
    ...printedBy(script).filter((line) => line !== value),
    ...indirect.map((line) => line.replaceAll("%s", value)),
  ];
  expect(printed.filter((line) => !isIn(table, line))).toEqual([]);
  const names = new Set(printed.map((line) => line.split(" ", 1)[0]));
  expect(Object.keys(table).filter((name) => !names.has(name))).toEqual([]);
});

test("no other script prints any", () => {
  const others = globSync("components/node/*/*.sh", { cwd: root }).filter(
    (file) =>
      !/\/(survey|survey-files|clients|claim|look|backups|step|verify|renewal|probe|output)\.sh$/.test(file),
  );
  expect(others.length).toBeGreaterThan(10);
  expect(others.filter((file) => printedBy(text(file)).length > 0)).toEqual([]);
});

test("etcd's problems have a code each, and the model knows all of them", () => {
  const functions = /^no_etcd\(\) \{\n.*?^\}|^etcd_problem\(\) \{\n.*?^\}|^etcd_alarm\(\) \{\n.*?^\}/gms;
  const said = [...text("components/node/lib/etcd.sh").matchAll(functions)].flatMap(([body]) =>
    [...body.matchAll(/(?:printf |PROBLEM=)['"]([a-z-]+) [a-z]/g)].map(([, code]) => code),
  );
  expect([...new Set(said), "healthy"].toSorted()).toEqual([...etcdStates].toSorted());
});

describe("a record", () => {
  test("may lack its last field, which is empty then, where that is a remark", () => {
    expect(readRecords(["etcd healthy"], surveyRecords).etcd).toEqual([{ state: "healthy", problem: "" }]);
    expect(readRecords(["receipt 4"], backupsRecords).receipt).toEqual([]);
  });

  test("of a backup says whether it is whole: 1, or else it is not, as one whose receipt does not tell", () => {
    const lines = ["1", "0", ""].map((isComplete) => `present 4 ${isComplete} 2026-11`);
    expect(readRecords(lines, backupsRecords).present.map(({ isComplete }) => isComplete)).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("names a Secret or a process as a whole, whatever either is called", () => {
    const holders = [
      "Secret monitoring/etcd-certs",
      "Secret a/process b in c",
      "process cat Secret a/b in d in e",
    ];
    const lines = holders.map((holder) => `connected ${holder}`);
    expect(readRecords(lines, surveyRecords).connected.map(({ holder }) => holder)).toEqual([
      { kind: "Secret", namespace: "monitoring", name: "etcd-certs" },
      { kind: "Secret", namespace: "a", name: "process b in c" },
      { kind: "process", name: "cat Secret a/b in d", unit: "e" },
    ]);
  });

  test("is a line, whatever other ends of lines are in it", () => {
    expect(readRecords(["leftover /a\r\u2028b"], surveyRecords).leftover).toEqual([{ path: "/a b" }]);
  });

  test("that is none is shown in an error no longer than two lines", () => {
    const read = () => readRecords(["x".repeat(1000)], surveyRecords, (line) => new Error(line));
    expect(read).toThrow(new Error("x".repeat(200)));
  });
});
