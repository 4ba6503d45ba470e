import type { z } from "zod";

/** The key, what is allowed, and the value that was seen, unless that may be secret. */
export function describeIssue(issue: z.core.$ZodIssue, values: unknown, place: string): string {
  return `${keyOf(issue.path, values, place)}: ${issue.message}${seen(issue, values)}`;
}

function keyOf(parts: readonly PropertyKey[], values: unknown, place: string): string {
  const [first] = parts;
  const key = parts
    .map((part, index) =>
      typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`,
    )
    .join("");
  const isWhole = place.endsWith(":");
  if (first === undefined) {
    return isWhole ? (typeof values === "object" ? "stack file" : String(values)) : place;
  }
  return `${place}${isWhole ? "" : "."}${key}`;
}

/** All of `ssh` that may be shown: a value that landed on the wrong key may be a secret. */
const publicKeys: readonly unknown[] = ["user", "port", "host", "hostKey", "privateKeyPath", "agent"];

/** A private key is no name of a file. */
export function mayHoldKey(text: string): boolean {
  return text.includes("PRIVATE KEY") || text.includes("\n");
}

/** The value that was seen, unless it may be secret. */
function seen(issue: z.core.$ZodIssue, values: unknown): string {
  if (
    (issue.path[0] === "ssh" && !publicKeys.includes(issue.path.at(-1))) ||
    issue.code === "unrecognized_keys"
  ) {
    return "";
  }
  let value = values;
  for (const part of issue.path) {
    value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
  }
  if (typeof value === "object" || (typeof value === "string" && mayHoldKey(value))) {
    return "";
  }
  return value === undefined ? "; saw nothing" : `; saw ${JSON.stringify(value)}`;
}
