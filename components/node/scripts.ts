import { readFileSync } from "node:fs";

/** What every script is made of, in the order in which a reader needs it. */
const shared = ["output", "process", "tls", "receipt", "files", "etcd", "api-server"] as const;
const step = [...shared, "lock", "apply", "backup", "recovery", "verify", "phases"] as const;
const survey = [...shared, "backup", "survey"] as const;

/** The script of a step: functions only, so that a transfer that is cut runs nothing. */
export function stepScript(data: string): string {
  return script(step, data);
}

/** The script of the survey: reads only. */
export function surveyScript(data: string): string {
  return script(survey, data);
}

/** The last line runs everything, with no way for a child to read the rest of standard input. */
function script(parts: readonly string[], data: string): string {
  const functions = parts.map((part) => readFileSync(new URL(`${part}.sh`, import.meta.url), "utf8"));
  return [...functions, data, "main </dev/null\n"].join("\n");
}
