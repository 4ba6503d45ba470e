import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { claimScript, plainScript, stepScript, surveyScript } from "../../components/node/scripts.ts";

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
  { kind: "step", script: stepScript("") },
  { kind: "survey", script: surveyScript("") },
  { kind: "claim", script: claimScript("") },
] as const)("what is packed for a $kind are the files' functions: only comments are left out", ({ kind, script }) => {
  const packed = functionsIn(script);
  expect(packed).toMatch(/^main \(\)/m);
  expect(packed).toBe(functionsIn(plainScript(kind, "")));
});
