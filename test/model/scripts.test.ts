import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import {
  assemble,
  claimScript,
  plainScript,
  stepFunctions,
  stepScript,
  surveyScript,
} from "../../components/node/scripts.ts";
import { bareWords } from "../support/bash-words.ts";
import { unpacked } from "../support/unpacked.ts";

const node = join(import.meta.dirname, "..", "..", "components", "node");
const bin = join(node, "bin");

/** Every function as bash understood it, once the lines before its call have run. */
function functionsIn(script: string): string {
  const definitions =
    script
      .split("\n")
      .slice(1)
      .join("\n")
      .split(/^main(?: <.*)?$/m)[0] ?? "";
  return execFileSync("bash", ["--norc", "-s"], { input: `${definitions}\ndeclare -f\n`, encoding: "utf8" });
}

test.each([
  { kind: "step", script: `{\n${stepFunctions}` },
  { kind: "survey", script: surveyScript("") },
  { kind: "claim", script: claimScript("") },
  { kind: "look", script: plainScript("look", "") },
  { kind: "backups", script: plainScript("backups", "") },
] as const)(
  "a $kind is sent with the functions that bash itself finds through the lines that source them",
  ({ kind, script }) => {
    const sent = functionsIn(script);
    expect(sent).toMatch(/^main \(\)/m);
    const sourced = ["-c", 'source "$0" && declare -f', join(bin, `${kind}.sh`)];
    expect(sent).toBe(execFileSync("bash", ["--norc", ...sourced], { encoding: "utf8" }));
  },
);

/** Each function's text, by its name, as the files here or as bash writes it. */
function functionTexts(script: string): ReadonlyMap<string, string> {
  const functions = [...script.matchAll(/^(\w+) ?\(\) *\n?[({] *\n(.*?)^[)}]/gms)];
  return new Map(functions.map(([, name = "", text = ""]) => [name, text]));
}

const everyFunction = new Map(
  ["bin", "lib"].flatMap((folder) =>
    readdirSync(join(node, folder)).flatMap((file) => [
      ...functionTexts(readFileSync(join(node, folder, file), "utf8")),
    ]),
  ),
);

/** The functions of components/node that a script may come to call, beginning with those that are named. */
function reachedIn(script: string, ...first: readonly string[]): ReadonlySet<string> {
  const own = functionTexts(script);
  const reached = new Set<string>();
  const next = [...first];
  for (let name = next.pop(); name !== undefined; name = next.pop()) {
    if (!reached.has(name)) {
      reached.add(name);
      // a name with an underscore is no word of anything else: somebody hands the function on
      const called = bareWords(own.get(name) ?? "").filter(
        ({ word, isCommand }) => everyFunction.has(word) && (isCommand || word.includes("_")),
      );
      next.push(...called.map(({ word }) => word));
    }
  }
  return reached;
}

/** Runs on a worker, of functions that a step prints. */
const workerScript = execFileSync("bash", ["--norc", "-s"], {
  input: `${stepFunctions}\nSTATE_DIR=/x KUBELET_UNIT=kubelet\nworker_script ""\n`,
  encoding: "utf8",
});
const phases = [...everyFunction.keys()].filter((name) => name.startsWith("phase_"));
const begun = [
  { kind: "step", script: stepFunctions, first: ["main", ...phases] },
  { kind: "survey", script: unpacked(surveyScript("")), first: ["main"] },
  { kind: "claim", script: unpacked(claimScript("")), first: ["main"] },
  { kind: "look", script: plainScript("look", ""), first: ["main"] },
  { kind: "backups", script: plainScript("backups", ""), first: ["main"] },
  { kind: "worker", script: workerScript, first: ["renew_worker"] },
];

test.each(begun)("every function that a $kind may come to call is sent with it", ({ script, first }) => {
  const own = functionTexts(script);
  expect([...reachedIn(script, ...first)].filter((name) => !own.has(name))).toEqual([]);
});

test("every function is called by some script", () => {
  const called = new Set(begun.flatMap(({ script, first }) => [...reachedIn(script, ...first)]));
  expect([...everyFunction.keys()].filter((name) => !called.has(name))).toEqual([]);
});

test("commands are found wherever bash has them, and nothing else is", () => {
  const script = `a1() { # no
    x=$(a2 <in) y[1]="no $(a3 "$(a4)")" a5 'no' no\\
      no || ! a6 >out && { a7; } & (a8)
    for no in no; do a9; done | while a10; do :; done
    case $x in no | "no") a11 ;; (no) no=() ;; esac
    if [ "\${no:-$(a12)}" ]; then a13 < <(a14) 2>&1; elif a15; then no=(no $(a16)); fi
    $x no; printf $'\\'no' "'no $((no + $(a17)))'"; ((no = 2)); a18
  }`;
  const commands = bareWords(script).filter(({ isCommand }) => isCommand);
  expect(commands.map(({ word }) => word).filter((word) => /^(no|a\d+)$/.test(word))).toEqual(
    Array.from({ length: 17 }, (_, index) => `a${index + 2}`),
  );
});

test("a step is its data, to the byte, and the sum of the functions that a claim brings", () => {
  const data = "# a comment in a file's text\nit's \u20ac $HOME\n";
  const sum = createHash("sha256").update(stepFunctions).digest("hex");
  expect(unpacked(stepScript(data)).startsWith(`{\n${data}\nFUNCTIONS_SUM='${sum}'\n`)).toBe(true);
  const [, functions = ""] = /^FUNCTIONS='(.*)'$/m.exec(claimScript("")) ?? [];
  expect(execFileSync("bash", ["-c", "base64 -d | gunzip"], { input: functions, encoding: "utf8" })).toBe(
    stepFunctions,
  );
});

test("a file that two others source is inlined once, in place of the first line that sources it", () => {
  const folder = mkdtempSync(join(tmpdir(), "scripts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const source = (name: string) => `source "\${BASH_SOURCE%/*}/${name}.sh"\n`;
  for (const [name, text] of Object.entries({
    main: `${source("left")}${source("right")}main\n`,
    left: `${source("shared")}left\n`,
    right: `${source("shared")}right\n`,
    shared: "shared\n",
  })) {
    writeFileSync(join(folder, `${name}.sh`), text);
  }
  expect(assemble(pathToFileURL(join(folder, "main.sh")))).toBe("shared\nleft\nright\nmain\n");
});
