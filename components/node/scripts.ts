import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** What every script is made of, in the order in which a reader needs it. */
const shared = ["output", "process", "tls", "receipt", "files", "etcd", "api-server", "kubernetes"] as const;
const step = [...shared, "lock", "apply", "backup", "recovery", "verify", "phases"] as const;
const survey = [...shared, "backup", "survey"] as const;

/** The script of a step. */
export function stepScript(data: string): string {
  return script(step, data);
}

/** The script of the survey: reads only. */
export function surveyScript(data: string): string {
  return script(survey, data);
}

/**
 * One group, which bash reads to its end before it runs anything of it: a transfer that is cut runs nothing.
 * No child can read the rest of standard input.
 */
function script(parts: readonly string[], data: string): string {
  const functions = parts.map((part) => readFileSync(new URL(`${part}.sh`, import.meta.url), "utf8")).join("\n");
  return ["{", `eval "$(printf '%s' '${packed(functions)}' | base64 -d | gunzip)"`, data, "main </dev/null\n}\n"].join("\n");
}

/**
 * The functions are in every step's input and output, and the engine writes the whole state after each operation:
 * packed, a rotation of three masters spends a fraction of the time on that.
 */
function packed(functions: string): string {
  return gzipSync(functions, { level: 9 }).toString("base64");
}
