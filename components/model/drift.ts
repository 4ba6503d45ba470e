import type { Certificate } from "./certificate.ts";
import { differences } from "./differences.ts";
import { certificatesAt, type Found, type FoundMaster, isIssuedHere, leafAt } from "./found.ts";
import { servedLeaves } from "./layout/leaves.ts";
import { isCheckedAgainst, type KubernetesRow, type Row } from "./layout/rows.ts";
import type { Progress } from "./progress.ts";
import { day, linesOf } from "./text.ts";
import { isIssuedUnder, ownerOf } from "./trust.ts";

/** One way in which masters disagree, or a master disagrees with itself. */
export interface Drift {
  /** undefined when it is between masters */
  readonly master: string | undefined;
  /** the row whose certificate it is about; undefined when it is about none */
  readonly file: string | undefined;
  readonly what: string;
}

/** What `driftOf` needs besides the survey. */
export interface DriftInput {
  readonly found: Found;
  readonly rows: readonly Row[];
  readonly kubernetes: readonly KubernetesRow[];
  /** `<project>/<stack>`, and whom the stack takes over from */
  readonly owners: readonly string[];
  /** of a rollout that has not ended: what it accounts for is no drift */
  readonly progress: Progress["state"] | undefined;
  /** milliseconds since 1970 */
  readonly now: number;
}

/**
 * Everything that is wrong with the masters whatever is wanted: what can be told without the stack's state.
 * A cluster that no rollout has touched is not wrong for having no receipts.
 */
export function driftOf(input: DriftInput): Drift[] {
  switch (input.progress) {
    case undefined:
      return [...masterDrift(input), ...setDrift(input), ...rotationDrift(input.found)];
    case "interrupted":
      return masterDrift({ ...input, found: withoutTraces(input.found) });
    case "rotating":
      // files, processes and receipts may change while they are read
      return input.found.masters.flatMap((master) => ownerDrift(master, input));
    default:
      return input.progress satisfies never;
  }
}

/** Everything but what differs between masters. */
function masterDrift(input: DriftInput): Drift[] {
  const { found, rows, kubernetes } = input;
  const isNew = found.masters.every((master) => master.receipt === undefined);
  const general = differences(found, undefined, rows).filter(({ isUnrecorded }) => !(isNew && isUnrecorded));
  return [
    ...general.map(({ master, what, missing }) => ({ master, file: missing, what })),
    ...found.masters.flatMap((master) => [
      ...ownerDrift(master, input),
      ...rows.filter((row) => row.kind === "cert").flatMap((row) => leafDrift(row, master, input)),
      ...kubernetes.flatMap((row) => kubernetesDrift(row, master, kubernetes)),
    ]),
  ];
}

/** The masters as if nothing told of a rollout that was interrupted: its receipts, its journal, and processes that it was yet to restart. */
function withoutTraces(found: Found): Found {
  const last = found.masters.flatMap((master) => master.receipt ?? [])[0];
  return {
    ...found,
    masters: found.masters.map((master) => ({
      ...master,
      receipt: last && { ...last, owner: (master.receipt ?? last).owner, isComplete: true },
      leftovers: [],
      processes: Object.fromEntries(
        Object.entries(master.processes).map(([name, process]) => [name, { ...process, isStale: false }]),
      ),
    })),
  };
}

function ownerDrift({ name, receipt }: FoundMaster, { owners }: DriftInput): Drift[] {
  if (receipt === undefined || owners.includes(receipt.owner)) {
    return [];
  }
  const what = `the receipt belongs to ${receipt.owner}, not to ${owners[0]}`;
  return [{ master: name, file: undefined, what }];
}

function leafDrift(row: Row, master: FoundMaster, { found, rows, now }: DriftInput): Drift[] {
  const leaf = leafAt(master, row);
  if (leaf === undefined) {
    return master.files[row.id]?.isPresent === true
      ? [{ master: master.name, file: row.id, what: `${row.id} is not a certificate` }]
      : [];
  }
  const key = rows.find((other) => other.kind === "key" && other.group === row.group);
  const keyFile = key && master.files[key.id];
  const refusing = refusingFiles(row, certificatesAt(master, row), found, rows);
  const isPair = keyFile?.isPresent !== true || keyFile.publicKey === leaf.publicKey;
  const wrong = linesOf(
    !isPair && `${row.id} does not belong to its key`,
    leaf.notBefore > now && `${row.id} is not valid before ${new Date(leaf.notBefore).toISOString()}`,
    refusing.length > 0 && `${row.id} is not issued by any authority in ${refusing.join(", ")}`,
  );
  return [
    ...wrong.map((what) => ({ master: master.name, file: row.id, what })),
    ...servedDrift(row, leaf, master),
  ];
}

/** The trust files, on any master, whose readers would refuse what lies in this row's file. */
function refusingFiles(row: Row, held: readonly Certificate[], found: Found, rows: readonly Row[]): string[] {
  const trust = rows.filter((other) => isCheckedAgainst(row, other));
  return trust.flatMap((other) => {
    const masters = found.masters.filter((each) => {
      const file = each.files[other.id];
      return file?.isPresent === true && !isIssuedUnder(held, file.certificates);
    });
    return masters.length === 0 ? [] : [`${other.id} of ${masters.map((each) => each.name).join(", ")}`];
  });
}

/** The port on which a row's certificate is served; undefined for one that only clients show. */
export function portOf(row: Row | KubernetesRow): number | undefined {
  if ("port" in row) {
    return row.port;
  }
  const [port] = Object.entries(servedLeaves).find(([, id]) => id === row.id) ?? [];
  return port === undefined ? undefined : Number(port);
}

function servedDrift(row: Row | KubernetesRow, leaf: Certificate, master: FoundMaster): Drift[] {
  const port = portOf(row);
  const served = port === undefined ? undefined : master.served[port];
  if (served === undefined || served.fingerprint === leaf.fingerprint) {
    return [];
  }
  const what = `${port} serves another certificate (until ${day(served.notAfter)}) than ${row.id} on disk (until ${day(leaf.notAfter)})`;
  return [{ master: master.name, file: row.id, what }];
}

/** Of Kubernetes' files: only what its own authority has issued is in use for sure. */
function kubernetesDrift(row: KubernetesRow, master: FoundMaster, rows: readonly KubernetesRow[]): Drift[] {
  const leaf = leafAt(master, row);
  return leaf === undefined || !isIssuedHere(row, leaf, master, rows) ? [] : servedDrift(row, leaf, master);
}

/** Trust files and authorities, which are to be the same on every master, but for what is somebody else's. */
function setDrift({ found, rows, kubernetes }: DriftInput): Drift[] {
  const owner = ownerOf(found.masters, rows);
  return [...rows, ...kubernetes].flatMap((row): Drift[] => {
    if (row.kind !== "trust" && row.kind !== "authority") {
      return [];
    }
    const holders = found.masters.filter((each) => each.files[row.id]?.isPresent === true);
    const sets = Map.groupBy(holders, (master) =>
      certificatesAt(master, row)
        .filter((certificate) => row.kind !== "trust" || owner(certificate) !== "foreign")
        .map((certificate) => certificate.fingerprint.slice(0, 8))
        .sort()
        .join("+"),
    );
    const held = [...sets].map(
      ([set, masters]) => `${masters.map(({ name }) => name).join(", ")}: ${set || "none"}`,
    );
    return sets.size <= 1
      ? []
      : [{ master: undefined, file: row.id, what: `${row.id} differs between masters (${held.join("; ")})` }];
  });
}

function rotationDrift(found: Found): Drift[] {
  const named = found.masters.flatMap(({ name, receipt }) =>
    receipt === undefined ? [] : [`${name} "${receipt.rotation}"`],
  );
  const rotations = new Set(found.masters.flatMap(({ receipt }) => receipt?.rotation ?? []));
  const what = `the masters' receipts name different rotations: ${named.join(", ")}`;
  return rotations.size <= 1 ? [] : [{ master: undefined, file: undefined, what }];
}
