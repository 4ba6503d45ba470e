import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** What every script is made of, in the order in which a reader needs it. */
const shared = ["output", "process", "tls", "receipt", "files", "etcd", "api-server", "renewal", "kubernetes"] as const;
const step = [...shared, "lock", "apply", "backup", "recovery", "worker-authority", "verify", "phases"] as const;
const survey = [...shared, "backup", "survey"] as const;
const claim = ["output", "claim"] as const;

/** The script of a step. */
export function stepScript(data: string): string {
  return script(step, data);
}

/** The script that claims a master; what follows it on standard input keeps the claim. */
export function claimScript(data: string): string {
  return group(claim, data, "main");
}

/** The script of the survey: reads only. */
export function surveyScript(data: string): string {
  return script(survey, data);
}

/** No child can read the rest of standard input. */
function script(parts: readonly string[], data: string): string {
  return group(parts, data, "main </dev/null");
}

/** A script as bash sees it once its functions are unpacked, for a look at it. */
export function plainScript(kind: "step" | "survey" | "claim", data: string): string {
  const parts = { step, survey, claim }[kind];
  return ["{", functionsOf(parts), data, "main\n}\n"].join("\n");
}

/** One group, which bash reads to its end before it runs anything of it: a transfer that is cut runs nothing. */
function group(parts: readonly string[], data: string, call: string): string {
  return ["{", `eval "$(printf '%s' '${packed(functionsOf(parts))}' | base64 -d | gunzip)"`, data, `${call}\n}\n`].join("\n");
}

function functionsOf(parts: readonly string[]): string {
  return parts.map((part) => readFileSync(new URL(`${part}.sh`, import.meta.url), "utf8")).join("\n");
}

/**
 * The functions are in every step's input and output, and the engine writes the whole state after each operation:
 * packed and without comments, a rotation of three masters spends a fraction of the time on that.
 */
function packed(functions: string): string {
  return gzipSync(functions.replace(/^\s*#.*\n/gm, ""), { level: 9 }).toString("base64");
}
