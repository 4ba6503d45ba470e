import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** What every script is made of, in the order in which a reader needs it. */
const shared = [
  "output",
  "process",
  "arguments",
  "tls",
  "receipt",
  "files",
  "etcd",
  "api-server",
  "renewal",
  "kubernetes",
] as const;
const step = [
  ...shared,
  "lock",
  "apply",
  "backup",
  "recovery",
  "worker-authority",
  "verify",
  "phases",
] as const;
const survey = [...shared, "backup", "clients", "survey"] as const;
const claim = ["output", "claim"] as const;
const begin = ["begin"] as const;

/**
 * What a claim leaves on its master for the steps of its run. They are the same for all of them, and the engine keeps every step's
 * script twice and writes its whole state after each operation.
 */
export const stepFunctions = bare(step);

/** The script of a step: its data, and the sum of the functions that it expects on the master. No child can read the rest of standard input. */
export function stepScript(data: string): string {
  const sum = createHash("sha256").update(stepFunctions).digest("hex");
  return group(unpacking(data), `FUNCTIONS_SUM='${sum}'`, bare(begin), "main </dev/null");
}

/** The script that claims a master and leaves there what its steps begin with; what follows it on standard input keeps the claim. */
export function claimScript(data: string): string {
  return group(unpacking(bare(claim)), `${data}FUNCTIONS='${packed(stepFunctions)}'`, "main");
}

/** The script of the survey: reads only. */
export function surveyScript(data: string): string {
  return group(unpacking(bare(survey)), data, "main </dev/null");
}

/** A script as bash sees it once all of it is there, for a look at it. */
export function plainScript(kind: "step" | "survey" | "claim" | "begin", data: string): string {
  const parts = { step, survey, claim, begin }[kind];
  return group(functionsOf(parts), data, "main");
}

/** One group, which bash reads to its end before it runs anything of it: a transfer that is cut runs nothing. */
function group(...lines: readonly string[]): string {
  return ["{", ...lines, "}\n"].join("\n");
}

function functionsOf(parts: readonly string[]): string {
  return parts.map((part) => readFileSync(new URL(`${part}.sh`, import.meta.url), "utf8")).join("\n");
}

/** Without comments, which no master needs. */
function bare(parts: readonly string[]): string {
  return functionsOf(parts).replace(/^\s*#.*\n/gm, "");
}

/** The line that runs a text which comes packed. */
export function unpacking(text: string): string {
  return `eval "$(printf '%s' '${packed(text)}' | base64 -d | gunzip)"`;
}

function packed(text: string): string {
  return gzipSync(text, { level: 9 }).toString("base64");
}
