import type { Certificate } from "./certificate.ts";
import type { Found, FoundFile, FoundMaster, SavedFile } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import { components, type Row } from "./layout/rows.ts";
import type { Hold } from "./missing.ts";
import { mastersOf, type RenewalPlan } from "./renewals.ts";
import { linesOf } from "./text.ts";
import { hasEnded } from "./trust.ts";
import type { Wanted } from "./wanted.ts";

/** One way in which a master is not as wanted. */
export interface Difference {
  readonly master: string;
  readonly what: string;
  /** the row whose file is missing */
  readonly missing?: string;
  /** no rollout has been recorded there */
  readonly isUnrecorded?: true;
}

type Deviation = Omit<Difference, "master">;

/**
 * Everything in which the masters are not as wanted; empty exactly when there is nothing to do.
 * The one judgement behind the plan, its words and verification.
 * @param wanted undefined while it is not known yet (a rotation being previewed): then only what is wrong in any case
 * @param renewals of Kubernetes' own certificates; undefined where these are left alone
 */
export function differences(
  found: Found,
  wanted: Wanted | undefined,
  rows: readonly Row[],
  renewals?: RenewalPlan,
): Difference[] {
  return [
    ...found.masters.flatMap((master) => differencesOn(master, wanted, rows)),
    // it gets its files in issue
    ...(wanted?.heldBefore === "issue"
      ? []
      : (found.joining ?? []).flatMap((master) => joiningDifferences(master, wanted, rows))),
    // they are renewed in retire
    ...(renewals === undefined || wanted?.heldBefore !== undefined
      ? []
      : renewalDifferences(found, renewals)),
    ...differencesBetween(found),
  ];
}

/** What is to be renewed: one per master and reason. */
export function renewalDifferences(found: Found, { leaves, authorities }: RenewalPlan): Difference[] {
  return found.masters.flatMap(({ name }) => {
    const own = leaves[name] ?? [];
    const reasons = Map.groupBy(own, ({ reason }) => reason);
    const renewed = Object.entries(authorities).filter(([, plan]) => mastersOf(plan, found).includes(name));
    return [
      ...renewed.map(([authority]) => `${authority} is to be renewed with the same key`),
      ...[...reasons].map(
        ([reason, due]) => `${due.map(({ group }) => group).join(", ")}: to be renewed, since ${reason}`,
      ),
    ].map((what) => ({ master: name, what }));
  });
}

function differencesOn(master: FoundMaster, wanted: Wanted | undefined, rows: readonly Row[]): Difference[] {
  return [
    ...receiptDifferences(master, wanted),
    ...leftoverDifferences(master),
    ...processDifferences(master),
    ...fileDifferences(master, wanted, rows),
    ...restoreDifferences(master, wanted),
    ...servedDifferences(master, wanted),
  ].map((deviation) => ({ master: master.name, ...deviation }));
}

/** Nothing runs there yet: only its files are looked at. */
function joiningDifferences(
  master: FoundMaster,
  wanted: Wanted | undefined,
  rows: readonly Row[],
): Difference[] {
  return [...leftoverDifferences(master), ...fileDifferences(master, wanted, rows)].map(({ what }) => ({
    master: master.name,
    what: `${what} (joining)`,
  }));
}

function leftoverDifferences({ leftovers }: FoundMaster): Deviation[] {
  return leftovers.map((path) => ({ what: `${path} is left over from an interrupted step` }));
}

function fileDifferences(master: FoundMaster, wanted: Wanted | undefined, rows: readonly Row[]): Deviation[] {
  return rows.flatMap((row) => {
    const file = master.files[row.id];
    if (file === undefined || !file.isPresent) {
      return [{ what: `${row.id} is missing`, missing: row.id }];
    }
    if (!file.isReadable) {
      return [{ what: `${row.id} cannot be read by ${row.reader}` }];
    }
    return wanted !== undefined && !isAsWanted(row, file, master, wanted)
      ? [{ what: `${row.id} is not the wanted one` }]
      : [];
  });
}

/** Kubernetes' own files come back in retire. */
function restoreDifferences({ name, files }: FoundMaster, wanted: Wanted | undefined): Deviation[] {
  const restored = Object.entries(wanted?.heldBefore === undefined ? (wanted?.restored?.[name] ?? {}) : {});
  return restored.flatMap(([id, digest]) =>
    fingerprintsIn(files[id]) === digest ? [] : [{ what: `${id} is not the one of the backup` }],
  );
}

function processDifferences({ processes }: FoundMaster): Deviation[] {
  return components.flatMap((component) => {
    const process = processes[component];
    if (process === undefined) {
      // whether the others run is their own business
      return component === "etcd" || component === "kube-apiserver"
        ? [{ what: `${component} is not running` }]
        : [];
    }
    return process.isStale
      ? [{ what: `${component} runs with files that have changed since its start` }]
      : [];
  });
}

function receiptDifferences(master: FoundMaster, wanted: Wanted | undefined): Deviation[] {
  const { receipt } = master;
  if (receipt === undefined) {
    return [{ what: "no rollout has been recorded yet", isUnrecorded: true }];
  }
  if (!(receipt.isComplete || isDoneBefore(wanted?.heldBefore, receipt.phase))) {
    return [{ what: `rollout ${receipt.rollout} was interrupted in phase ${receipt.phase}` }];
  }
  return linesOf(
    wanted !== undefined && receipt.rotation !== wanted.rotation && `rotation was "${receipt.rotation}"`,
    wanted !== undefined && receipt.owner !== wanted.owner && `the receipt belongs to ${receipt.owner}`,
  ).map((what) => ({ what }));
}

/** While a rollout is held, its receipts stay incomplete: the phases before it are done. What follows trust may have been done earlier. */
function isDoneBefore(heldBefore: Hold | undefined, phase: string): boolean {
  switch (heldBefore) {
    case undefined:
      return false;
    case "issue":
      return phase === "trust" || phase === "issue" || phase === "settle";
    case "retire":
      return phase === "settle";
    default:
      return heldBefore satisfies never;
  }
}

function servedDifferences(master: FoundMaster, wanted: Wanted | undefined): Deviation[] {
  return Object.entries(servedLeaves).flatMap(([port, row]) => {
    const served = master.served[Number(port)];
    if (served === undefined) {
      return [{ what: `nothing is served on ${port}` }];
    }
    return wanted !== undefined &&
      wanted.heldBefore !== "issue" &&
      served.fingerprint !== wanted.files[master.name]?.[row]
      ? [{ what: `${port} serves another certificate than the wanted one` }]
      : [];
  });
}

/** Receipts that are complete, but of different rollouts: a master was restored, reinstalled or left out. */
function differencesBetween(found: Found): Difference[] {
  const attempts = new Set(found.masters.map((master) => master.receipt?.attempt));
  const [first] = found.masters;
  return attempts.size > 1 && first !== undefined
    ? [{ master: first.name, what: "the masters' receipts name different attempts" }]
    : [];
}

/**
 * A trust file holds what is wanted in any order, and nothing else that anybody is accepted by. While the rollout is held, it may hold
 * others besides, and before issue a leaf may be the earlier one.
 */
function isAsWanted(row: Row, file: FoundFile, master: FoundMaster, { files, heldBefore }: Wanted): boolean {
  const wanted = files[master.name]?.[row.id];
  if (row.kind !== "trust") {
    return heldBefore === "issue" || digestOf(row, file) === wanted;
  }
  const isNeeded = ({ fingerprint }: Certificate) => wanted?.split("+").includes(fingerprint) === true;
  return (
    isTrusted(file, wanted) &&
    (heldBefore !== undefined || file.certificates.every((each) => isNeeded(each) || hasEnded(each, master)))
  );
}

/** Whether a trust file holds all that is wanted in it, whatever else it holds. */
export function isTrusted(file: SavedFile | undefined, wanted: string | undefined): boolean {
  return (wanted?.split("+") ?? [""]).every((each) =>
    (file?.certificates ?? []).some(({ fingerprint }) => fingerprint === each),
  );
}

/** What `Wanted` calls a file by. */
export function digestOf(row: Row, file: SavedFile): string {
  return row.kind === "key" ? file.publicKey : fingerprintsIn(file);
}

/** The fingerprints of a file's certificates, in their order. */
export function fingerprintsIn(file: SavedFile | undefined): string {
  return (file?.certificates ?? []).map((certificate) => certificate.fingerprint).join("+");
}
