import { readFileSync } from "node:fs";
import { assignments } from "../../components/model/shell.ts";
import { renderStepData, type StepData } from "../../components/model/step-data.ts";

/** Read only, or the removal of one backup. */
export type Action = { readonly kind: "list" } | { readonly kind: "purge"; readonly rollout: number; readonly lockSeconds: number };

/** The functions of the steps that this needs too, and its own. */
const parts = [
  "../../components/node/output.sh",
  "../../components/node/receipt.sh",
  "../../components/node/lock.sh",
  "../../components/node/backup.sh",
  "../node/backups.sh",
] as const;

/** The script for one master. One group, which bash reads to its end before it runs anything of it. */
export function backupsScript(data: StepData, action: Action): string {
  const functions = parts.map((part) => readFileSync(new URL(part, import.meta.url), "utf8"));
  const own = assignments({
    ACTION: action.kind,
    PHASE: `backups-${action.kind}`,
    ...(action.kind === "purge" ? { PURGED: action.rollout, GATE_SECONDS: action.lockSeconds, ATTEMPT: "none" } : {}),
  });
  return ["{", ...functions, renderStepData(data), own, "main </dev/null\n}\n"].join("\n");
}
