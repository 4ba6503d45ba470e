import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import {
  claimScript,
  plainScript,
  stepFunctions,
  stepScript,
  surveyScript,
} from "../../components/node/scripts.ts";
import { unpacked } from "../support/unpacked.ts";

/** Every function as bash understood it, once the lines before its call have run. */
function functionsIn(script: string): string {
  const definitions =
    script
      .split("\n")
      .slice(1)
      .join("\n")
      .split(/^main(?: <.*)?$/m)[0] ?? "";
  return execFileSync("bash", ["-s"], { input: `${definitions}\ndeclare -f\n`, encoding: "utf8" });
}

test.each([
  { kind: "step", script: `{\n${stepFunctions}` },
  { kind: "survey", script: surveyScript("") },
  { kind: "claim", script: claimScript("") },
] as const)(
  "what is packed for a $kind are the files' functions: only comments are left out",
  ({ kind, script }) => {
    const packed = functionsIn(script);
    expect(packed).toMatch(/^main \(\)/m);
    expect(packed).toBe(functionsIn(plainScript(kind, "")));
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
