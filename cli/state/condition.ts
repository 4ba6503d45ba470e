import type { CertificateSet } from "./certificate-set.ts";

/** Whether a set can be used as it is. `due`: Pulumi would sign it anew at once, since it ends within `renewBefore`. */
export type Condition = "valid" | "due" | "expired" | "incomplete";

/** @param now milliseconds since 1970 */
export function conditionOf(set: CertificateSet, now: number, renewBeforeSeconds: number): Condition {
  if (set.faults.length > 0 || set.end === undefined) {
    return "incomplete";
  }
  if (set.end.notAfter <= now) {
    return "expired";
  }
  return set.end.notAfter - renewBeforeSeconds * 1000 <= now ? "due" : "valid";
}
