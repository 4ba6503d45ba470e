import { type Certificate, hasIssued } from "./certificate.ts";
import { digestOf, fingerprintsIn } from "./differences.ts";
import { certificateFaults } from "./faults.ts";
import { authorityOn, type Found, type FoundMaster, isSameAuthority, type SavedFile } from "./found.ts";
import { type Authority, byAuthority, type FileRow, type KubernetesRow, type Row } from "./layout/rows.ts";
import type { Kept, RenewalPlan } from "./renewals.ts";
import type { ClusterArgs } from "./settings.ts";
import { day, minute } from "./text.ts";
import { notIn, ownerOf, type Trusted } from "./trust.ts";
import type { Wanted } from "./wanted.ts";

/** What is to come back from the masters' own backups of one rollout. */
export interface Restore {
  readonly wanted: Wanted;
  /** by master: rows of Kubernetes' own files that come back too */
  readonly kubernetes: Readonly<Record<string, readonly string[]>>;
  /** Kubernetes' own files that stay as they are, and why; and how long what comes back lasts, when that is not long */
  readonly notices: readonly string[];
  readonly kept: readonly Kept[];
  /** why the set cannot be restored; empty when it can */
  readonly refusals: readonly string[];
}

/** What decides a restore besides the survey. */
interface RestoreQuestion {
  readonly rows: readonly Row[];
  readonly kubernetes: readonly KubernetesRow[];
  readonly rollout: number;
  readonly owner: string;
  /** somebody else's authorities that stay in the trust files, behind the backup's own */
  readonly kept: Trusted;
  /** seconds */
  readonly renewBefore: number;
  /** of the longest rollout */
  readonly rolloutSeconds: number;
  /** milliseconds since 1970 */
  readonly now: number;
}

/** What the receipts call the wanted set: the stack's rotation, or the backup that was restored. */
export function rotationOf({ rotation, restore }: Pick<ClusterArgs, "rotation" | "restore">): string {
  return restore === undefined ? rotation : `restore-${restore}`;
}

/** Decides what comes back: all of etcd's files, or nothing; of Kubernetes' own those that are still good. */
export function planRestore(found: Found, question: RestoreQuestion): Restore {
  const { rows, rollout, owner } = question;
  const wantedIn = ({ name, saved }: FoundMaster, row: Row): SavedFile => {
    const { publicKey, certificates } = saved[row.id] ?? nothing;
    return {
      publicKey,
      certificates: [...certificates, ...notIn(certificates, question.kept[name]?.[row.id])],
    };
  };
  const chosen = found.masters.map((master) => ({ master, files: kubernetesOn(master, question) }));
  const kept = chosen.flatMap(({ master, files }) =>
    files.flatMap(({ row, why }) => (why === undefined ? [] : { master: master.name, file: row.id, why })),
  );
  const [first] = found.masters;
  return {
    wanted: {
      rotation: rotationOf({ rotation: "", restore: rollout }),
      owner,
      heldBefore: undefined,
      authorities: byAuthority((each) => authorityOf(each, first, rows, found)),
      files: Object.fromEntries(
        found.masters.map((master) => [
          master.name,
          Object.fromEntries(rows.map((row) => [row.id, digestOf(row, wantedIn(master, row))])),
        ]),
      ),
      restored: Object.fromEntries(
        chosen.map(({ master, files }) => [
          master.name,
          Object.fromEntries(
            files.flatMap(({ row, isGood }) =>
              isGood && row.kind !== "key" ? [[row.id, fingerprintsIn(master.saved[row.id])]] : [],
            ),
          ),
        ]),
      ),
    },
    kubernetes: Object.fromEntries(
      chosen.map(({ master, files }) => [
        master.name,
        files.flatMap(({ row, isGood }) => (isGood ? row.id : [])),
      ]),
    ),
    notices: [
      ...endNotices(chosen, question),
      ...kept.map(({ master, file, why }) => `${master}: ${file} ${why}`),
    ],
    kept,
    refusals: restoreRefusals(found, question),
  };
}

/** Nothing is renewed while a backup is the wanted set. */
export function noRenewals({ notices, kept }: Pick<Restore, "notices" | "kept">): RenewalPlan {
  return {
    leaves: {},
    authorities: { "cluster-ca": { kind: "keep" }, "front-proxy-ca": { kind: "keep" } },
    notices,
    kept,
    purpose: "",
  };
}

const nothing: SavedFile = { publicKey: "", certificates: [] };

function authorityOf(
  authority: Authority,
  master: FoundMaster | undefined,
  rows: readonly Row[],
  found: Found,
): string {
  const row = rows.find((each) => each.kind === "trust" && each.authority === authority);
  const owner = ownerOf(restoredMasters(found, rows), rows);
  return (
    (row && master?.saved[row.id]?.certificates.find((each) => owner(each) !== "foreign")?.fingerprint) ?? ""
  );
}

/** The masters as they would be with the backup's files. What stands behind a leaf does not count: the steps ask for the leaf alone. */
function restoredMasters({ masters }: Found, rows: readonly Row[]): FoundMaster[] {
  return masters.map((master) => ({
    ...master,
    files: Object.fromEntries(
      rows.flatMap(({ id, kind }) => {
        const [now, then] = [master.files[id], master.saved[id]];
        if (now === undefined || then === undefined) {
          return [];
        }
        const certificates = kind === "cert" ? then.certificates.slice(0, 1) : then.certificates;
        return [[id, { ...now, ...then, certificates, isPresent: true, isReadable: true }]];
      }),
    ),
  }));
}

/** The cluster as it would be, judged like any other; and what would end before all of it is in place. */
function restoreRefusals(found: Found, { rows, rollout, rolloutSeconds, now }: RestoreQuestion): string[] {
  const absent = [...(found.missing ?? []), ...(found.joining ?? [])].map(({ name }) => name);
  if (absent.length > 0) {
    return [
      `Cannot restore rollout ${rollout} without ${absent.join(", ")}: its part of the set is in its own backup; expected all masters. Remove restore, or bring it back`,
    ];
  }
  const without = found.masters.filter(({ backups }) => !backups.includes(rollout));
  if (without.length > 0) {
    return without.map(
      ({ name, backups }) =>
        `Cannot restore rollout ${rollout}: ${name} keeps no backup of it; expected ${backups.length === 0 ? "one, and there is none" : `one of ${backups.join(", ")}`}. See npx etcd-rotation backups`,
    );
  }
  const masters = restoredMasters(found, rows);
  const faults = masters.flatMap((master) => certificateFaults(master, masters, rows, now));
  if (faults.length > 0) {
    return faults.map(
      (fault) =>
        `Cannot restore rollout ${rollout}: in its backup on ${fault}; expected a whole and valid set. Remove restore`,
    );
  }
  const first = firstToEnd(masters, rows);
  return first !== undefined && first.certificate.notAfter < now + rolloutSeconds * 1000
    ? [
        `Cannot restore rollout ${rollout}: ${first.row.id} of ${first.name} would end at ${minute(first.certificate.notAfter)}, before a rollout is sure to be done and checked; expected ${minute(now + rolloutSeconds * 1000)} or later. Remove restore and ask for a new set: pulumi config set rotation <new>`,
      ]
    : [];
}

/** A set that was rotated away in time ends soon, and it may be wanted nevertheless. */
function endNotices(
  chosen: readonly { readonly master: FoundMaster; readonly files: readonly Chosen[] }[],
  { rows, renewBefore, now }: RestoreQuestion,
): string[] {
  const ends = chosen.map(({ master, files }) =>
    firstToEnd([master], [...rows, ...files.flatMap(({ row, isGood }) => (isGood ? row : []))]),
  );
  const [first] = ends
    .flatMap((end) => end ?? [])
    .toSorted((a, b) => a.certificate.notAfter - b.certificate.notAfter);
  return first !== undefined && first.certificate.notAfter < now + renewBefore * 1000
    ? [
        `${first.row.id} of ${first.name} is the first to end of what is restored, on ${day(first.certificate.notAfter)}, within certificates.renewBefore; nothing is renewed while restore is set: before that day remove it`,
      ]
    : [];
}

/** An authority that has issued none of the leaves may end whenever it likes. */
function firstToEnd(masters: readonly FoundMaster[], rows: readonly FileRow[]) {
  const held = masters.flatMap(({ name, saved }) =>
    rows.flatMap((row) =>
      (saved[row.id]?.certificates ?? []).map((certificate) => ({ name, row, certificate })),
    ),
  );
  const leaves = held.filter(({ row }) => row.kind === "cert");
  return held
    .filter(
      ({ row, certificate }) =>
        row.kind !== "trust" || leaves.some((leaf) => hasIssued(certificate, leaf.certificate)),
    )
    .toSorted((a, b) => a.certificate.notAfter - b.certificate.notAfter)[0];
}

interface Chosen {
  readonly row: KubernetesRow;
  readonly isGood: boolean;
  readonly why?: string;
}

/** A pair comes back whole or not at all; an authority only with the key that it has now. */
function kubernetesOn(master: FoundMaster, question: RestoreQuestion): Chosen[] {
  const { kubernetes } = question;
  return kubernetes.flatMap((row): Chosen[] => {
    const saved = master.saved[row.id];
    const present = authorityOn(master, row.signer, kubernetes);
    const own =
      row.kind === "authority"
        ? saved?.certificates.find((each) => present !== undefined && isSameAuthority(each, present))
        : undefined;
    const certificate = own ?? saved?.certificates[0];
    const isAside =
      row.kind === "key" ||
      row.kind === "authority-key" ||
      fingerprintsIn(saved) === fingerprintsIn(master.files[row.id]);
    if (isAside || certificate === undefined) {
      return [];
    }
    const key = kubernetes.find((other) => other.kind === "key" && other.group === row.group);
    const problem =
      kubernetesProblem(row, certificate, present, question) ??
      keyProblem(certificate, key && (master.saved[key.id] ?? nothing));
    if (problem !== undefined) {
      return [{ row, isGood: false, why: `is not restored: ${problem}` }];
    }
    return [row, ...(key === undefined ? [] : [key])].map((each) => ({ row: each, isGood: true }));
  });
}

function kubernetesProblem(
  row: KubernetesRow,
  certificate: Certificate,
  present: Certificate | undefined,
  { rolloutSeconds, now }: RestoreQuestion,
) {
  if (certificate.notAfter < now + rolloutSeconds * 1000) {
    return `it would end at ${minute(certificate.notAfter)}`;
  }
  const isKnown =
    present !== undefined &&
    (row.kind === "authority"
      ? present.publicKey === certificate.publicKey
      : hasIssued(present, certificate));
  return isKnown ? undefined : `the key of ${row.signer} is another one now`;
}

function keyProblem(certificate: Certificate, key: SavedFile | undefined): string | undefined {
  return key === undefined || key.publicKey === certificate.publicKey
    ? undefined
    : "its key in the backup is another one";
}
