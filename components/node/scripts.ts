import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** What bash does when a script of bin/ is run where it lies; shellcheck follows it. */
const sourceLine = /^source "\$\{BASH_SOURCE%\/\*\}\/(.+)"\n/gm;

/**
 * What a claim leaves on its master for the steps of its run. They are the same for all of them, and the engine keeps every step's
 * script twice and writes its whole state after each operation.
 */
export const stepFunctions = assembled("step");

/** The script of a step: its data, and the sum of the functions that it expects on the master. No child can read the rest of standard input. */
export function stepScript(data: string): string {
  const sum = createHash("sha256").update(stepFunctions).digest("hex");
  return group(unpacking(data), `FUNCTIONS_SUM='${sum}'`, assembled("begin"), "main </dev/null");
}

/** The script that claims a master and leaves there what its steps begin with; what follows it on standard input keeps the claim. */
export function claimScript(data: string): string {
  return group(unpacking(assembled("claim")), `${data}FUNCTIONS='${packed(stepFunctions)}'`, "main");
}

/** The script of the survey: reads only. */
export function surveyScript(data: string): string {
  return group(unpacking(assembled("survey")), data, "main </dev/null");
}

/** The script that looks at a machine, or at the backups that it keeps. */
export function plainScript(name: "look" | "backups", data: string): string {
  return group(assembled(name), data, "main </dev/null");
}

/** One group, which bash reads to its end before it runs anything of it: a transfer that is cut runs nothing. */
function group(...lines: readonly string[]): string {
  return ["{", ...lines, "}\n"].join("\n");
}

/** A script of bin/ as one text, without comments, which no master needs. */
function assembled(name: "step" | "begin" | "claim" | "survey" | "look" | "backups"): string {
  return assemble(new URL(`bin/${name}.sh`, import.meta.url)).replace(/^\s*#.*\n/gm, "");
}

/** A script with each file in place of the first line that sources it, those that it sources itself included. */
export function assemble(file: URL, seen = new Set<string>()): string {
  if (seen.has(file.href)) {
    return "";
  }
  seen.add(file.href);
  return readFileSync(file, "utf8").replace(sourceLine, (_, path: string) =>
    assemble(new URL(path, file), seen),
  );
}

/** The line that runs a text which comes packed. */
export function unpacking(text: string): string {
  return `eval "$(printf '%s' '${packed(text)}' | base64 -d | gunzip)"`;
}

function packed(text: string): string {
  return gzipSync(text, { level: 9 }).toString("base64");
}
