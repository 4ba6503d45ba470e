import type { Attempt } from "./attempt.ts";
import type { Found } from "./found.ts";
import type { LayoutKind } from "./layout/tables.ts";
import { type Before, judge, type Listing } from "./listings.ts";
import { type PlannedStep, stepName } from "./plan.ts";
import { answerLines, readRecords, stepRecords } from "./records.ts";
import { oldKeyNotices } from "./strangers.ts";
import { day, linesOf, printable } from "./text.ts";

/** What the steps of a finished rollout said; public. */
export interface Report {
  readonly rollout: number;
  readonly attempt: string;
  /** by `<master> <role>`: the SHA-256 that is served, or used by the client, and the ISO day of its end */
  readonly served: Readonly<Record<string, string>>;
  /** who still holds an earlier certificate of a Kubernetes authority, until when, and what to run */
  readonly carriers: readonly string[];
  /** the three listings of the official page */
  readonly listings: readonly Listing[];
  /** the rollout has stopped before a phase */
  readonly isHeld: boolean;
  /** ISO day of the first certificate to end, over all masters */
  readonly expires: string;
}

/**
 * Reads the steps' standard outputs.
 * @throws Error when a step did not finish in this attempt: a wiring mistake must not make a rotation silently do nothing
 */
export function readReports(
  attempt: Attempt,
  planned: readonly PlannedStep[],
  stdouts: Readonly<Record<string, string>>,
): Report {
  const lines = planned.flatMap((step) => {
    const own = answerLines(stdouts[stepName(step)] ?? "").map(printable);
    const wanted = `done ${attempt.id} ${step.phase} ${step.master}`;
    if (own.at(-1) !== wanted) {
      throw new Error(
        `Cannot finish rollout ${attempt.rollout}: ${stepName(step)} ended with "${own.at(-1) ?? ""}", expected "${wanted}"; the step did not run in this attempt. Run pulumi up again`,
      );
    }
    return own;
  });
  // an earlier program has said neither where a listed file really lies nor what it holds
  const { served, held, carrier, listing } = readRecords(lines, stepRecords);
  const ends = served.map(({ end }) => dayIn(end)).toSorted();
  return {
    rollout: attempt.rollout,
    attempt: attempt.id,
    served: Object.fromEntries(
      served.map(({ master, role, fingerprint, end }) => [
        `${master} ${role}`,
        `${fingerprint} until ${dayIn(end)}`,
      ]),
    ),
    isHeld: held.length > 0,
    carriers: carrier.map(({ words }) => words),
    listings: listing,
    expires: ends[0] ?? "",
  };
}

/** `2076-11-10` of OpenSSL's `Nov 10 12:00:00 2076 GMT`. */
function dayIn(text: string): string {
  return day(Date.parse(text));
}

/**
 * The summary that a person reads at the end.
 * @param held what to say of a rollout that has stopped before a phase
 * @param before what was found on the masters when the rollout began
 */
export function describeReport(report: Report, held: string, before: Before, layout: LayoutKind): string[] {
  if (report.isHeld) {
    return [held];
  }
  const judged = report.listings.map((listing) => ({ ...listing, ...judge(listing, before) }));
  const open = judged.filter(({ isOpen }) => isOpen);
  return linesOf(
    ...judged.map(({ master, path, end, verdict }) => `${master} ${path} notAfter=${end}: ${verdict}`),
    report.carriers.length > 0 &&
      "Earlier certificates of the Kubernetes authorities, same key, are still held by:",
    ...report.carriers,
    ...oldKeyNotices(before.found, before.rows),
    open.length === 0
      ? "etcd CA and certs have successfully rotated!"
      : `etcd serves the wanted certificates, and the official check still finds certificates that nothing manages: ${open.map(({ master, path }) => `${path} of ${master}`).join(", ")}. Renew or remove it by hand`,
    layout === "ack" &&
      "Alibaba Cloud's console does not know about this rotation: do not press its button that updates certificates, and open a ticket to have its reminder removed (docs/alibaba-cloud.md).",
  );
}

/** The list as the survey sees it, where this run had nothing to do and every master could be asked; else as verify saw it. */
export function carriersNow(
  { masters, missing = [] }: Found,
  { attempt, carriers }: Report,
): readonly string[] {
  const isCurrent =
    masters.length > 0 &&
    missing.length === 0 &&
    masters.every(({ receipt }) => receipt?.isComplete === true && receipt.attempt === attempt);
  return isCurrent ? masters.flatMap((master) => master.carriers.map(({ words }) => words)) : carriers;
}

const shown = 5;

/** In a line, who is known to need something: workers that are not noted as done, and ConfigMaps; those whose certificate has expired come first. */
export function carrierNotices({ masters }: Found): string[] {
  const known = masters
    .flatMap(({ carriers, clock }) =>
      carriers.map((carrier) => ({ ...carrier, isExpired: carrier.end <= clock })),
    )
    .filter(({ kind }) => kind !== "other")
    .toSorted((a, b) => Number(b.isExpired) - Number(a.isExpired))
    .map(
      ({ kind, name, end, isExpired }) =>
        `${kind === "worker" ? kind : "ConfigMap"} ${name} (${isExpired ? "expired on" : "valid until"} ${day(end * 1000)})`,
    );
  const more = known.length > shown ? ` and ${known.length - shown} more` : "";
  return known.length === 0
    ? []
    : [
        `an earlier certificate of cluster-ca is still held by ${known.slice(0, shown).join(", ")}${more}; pulumi stack output kubernetes has the commands`,
      ];
}
