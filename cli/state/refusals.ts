import { day, linesOf } from "../../components/model/text.ts";
import { type CertificateSet, conditionOf, isSameSet } from "./certificate-set.ts";
import type { Deployment } from "./deployment.ts";
import type { ListedState } from "./list.ts";

/** A state to go back to, or the one that the stack has now. */
interface Candidate {
  readonly deployment: Pick<Deployment, "project" | "stack" | "secretsProvider">;
  readonly set: CertificateSet;
}

export interface RefusalInput {
  /** as the user named it */
  readonly name: string;
  readonly chosen: Candidate;
  /** undefined when the stack has no resources */
  readonly present: Candidate | undefined;
  readonly project: string;
  readonly stack: string;
  /** milliseconds since 1970 */
  readonly now: number;
  readonly renewBeforeSeconds: number;
  /** certificates that have ended, or are about to, may be signed anew with the keys of that state */
  readonly isReSigning: boolean;
  readonly others: readonly ListedState[];
}

/** Why not to go back to a state; empty when nothing speaks against it. */
export function refusalsOf(input: RefusalInput): string[] {
  const { chosen, present, project, stack } = input;
  const { deployment, set } = chosen;
  const other = (what: string, seen: string, expected: string) =>
    seen !== expected && `it is of ${what} "${seen}"; expected "${expected}"`;
  const cluster = present?.set.cluster ?? set.cluster;
  const mismatches = linesOf(
    other("project", deployment.project, project),
    other("stack", deployment.stack, stack),
    set.cluster !== undefined && cluster !== undefined && other("etcd cluster", set.cluster, cluster),
    deployment.secretsProvider === "service" &&
      "its keys are encrypted by Pulumi Cloud, so it cannot be tried out here; expected a passphrase or a key service",
  );
  // a state of something else is not examined any further
  if (mismatches.length > 0) {
    return mismatches;
  }
  return linesOf(
    set.faults.length > 0 &&
      `its set is not whole (${set.faults.join(", ")}), as after an update that failed; expected one that is: npx etcd-rotation rollback ${stack} --list`,
    present !== undefined &&
      isSameSet(set, present.set) &&
      `it has the certificates that the stack has now; expected others. If masters do not serve them: npx etcd-rotation pulumi up --stack ${stack}`,
    expiry(input),
  );
}

function expiry(input: RefusalInput): string | undefined {
  const { name, now, renewBeforeSeconds, isReSigning, stack, others } = input;
  const { set } = input.chosen;
  const condition = conditionOf(set, now, renewBeforeSeconds);
  if (isReSigning || set.end === undefined || (condition !== "expired" && condition !== "due")) {
    return undefined;
  }
  const date = day(set.end.notAfter);
  const usable = others.filter(
    ({ condition: each, isPresent, number }) => each === "valid" && !isPresent && number !== undefined,
  );
  const seen =
    condition === "expired"
      ? `its ${set.end.name} ended on ${date}`
      : `its ${set.end.name} ends on ${date}, which is within renewBefore, so that Pulumi would replace it`;
  return linesOf(
    `${seen}; expected a set that lasts longer. Instead:`,
    usable.length === 0
      ? "  no other state of the list can be used as it is"
      : `  another state: ${usable.map(({ number, notAfter }) => `--to ${number} (until ${notAfter?.slice(0, 10)})`).join(", ")}`,
    condition === "due" &&
      `  exactly these certificates: a shorter certificates.renewBefore in the stack file, then --to ${name}`,
    `  the keys of that state, re-signed: --to ${name} --re-sign`,
    `  or new ones: npx etcd-rotation pulumi config set --stack ${stack} rotation <a new string>`,
  ).join("\n");
}
