import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
import { unpacked } from "../support/unpacked.ts";

const bin = join(import.meta.dirname, "..", "..", "components", "node", "bin");

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
