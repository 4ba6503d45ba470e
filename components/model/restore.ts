import { type Certificate, hasIssued } from "./certificate.ts";
import { day } from "./day.ts";
import { digestOf, fingerprintsIn } from "./differences.ts";
import { certificateFaults } from "./faults.ts";
import type { Found, FoundMaster, SavedFile } from "./found.ts";
import type { Authority, KubernetesRow, Row } from "./layout.ts";
import type { Hold } from "./missing.ts";
import type { RenewalPlan } from "./renewals.ts";
import type { Wanted } from "./wanted.ts";

/** What is to come back from the masters' own backups of one rollout. */
export interface Restore {
  readonly wanted: Wanted;
  /** by master: rows of Kubernetes' own files that come back too */
  readonly kubernetes: Readonly<Record<string, readonly string[]>>;
  /** Kubernetes' own files that stay as they are, and why */
  readonly notices: readonly string[];
  /** why the set cannot be restored; empty when it can */
  readonly refusals: readonly string[];
}

/** What decides a restore besides the survey. */
export interface RestoreQuestion {
  readonly rows: readonly Row[];
  readonly kubernetes: readonly KubernetesRow[];
  readonly rollout: number;
  readonly owner: string;
  readonly heldBefore: Hold | undefined;
  /** seconds */
  readonly renewBefore: number;
  /** milliseconds since 1970 */
  readonly now: number;
}

/** What the receipts call the wanted set: the stack's rotation, or the backup that was restored. */
export function rotationOf({ rotation, restore }: { readonly rotation: string; readonly restore?: number | undefined }): string {
  return restore === undefined ? rotation : `restore-${restore}`;
}

/** Decides what comes back: all of etcd's files, or nothing; of Kubernetes' own those that are still good. */
export function planRestore(found: Found, question: RestoreQuestion): Restore {
  const { rows, rollout, owner, heldBefore } = question;
  const chosen = found.masters.map((master) => ({ master, files: kubernetesOn(master, question) }));
  const [first] = found.masters;
  return {
    wanted: {
      rotation: rotationOf({ rotation: "", restore: rollout }),
      owner,
      heldBefore,
      authorities: { etcd: authorityOf("etcd", first, rows), "etcd-peer": authorityOf("etcd-peer", first, rows) },
      files: Object.fromEntries(
        found.masters.map(({ name, saved }) => [name, Object.fromEntries(rows.map((row) => [row.id, digestOf(row, saved[row.id] ?? nothing)]))]),
      ),
      restored: Object.fromEntries(
        chosen.map(({ master, files }) => [
          master.name,
          Object.fromEntries(files.flatMap(({ row, isGood }) => (isGood && row.kind !== "key" ? [[row.id, fingerprintsIn(master.saved[row.id])]] : []))),
        ]),
      ),
    },
    kubernetes: Object.fromEntries(chosen.map(({ master, files }) => [master.name, files.flatMap(({ row, isGood }) => (isGood ? row.id : []))])),
    notices: chosen.flatMap(({ master, files }) => files.flatMap(({ notice }) => (notice === undefined ? [] : `${master.name}: ${notice}`))),
    refusals: restoreRefusals(found, question),
  };
}

/** Nothing is renewed while a backup is the wanted set. */
export function noRenewals(notices: readonly string[]): RenewalPlan {
  return { leaves: {}, authorities: { "cluster-ca": { kind: "keep" }, "front-proxy-ca": { kind: "keep" } }, notices, purpose: "" };
}

const nothing: SavedFile = { publicKey: "", certificates: [] };

function authorityOf(authority: Authority, master: FoundMaster | undefined, rows: readonly Row[]): string {
  const row = rows.find((each) => each.kind === "trust" && each.authority === authority);
  return (row && master?.saved[row.id]?.certificates[0]?.fingerprint) ?? "";
}

/** The cluster as it would be, judged like any other; and what would have to be replaced at once. */
function restoreRefusals(found: Found, { rows, rollout, renewBefore, now }: RestoreQuestion): string[] {
  const absent = [...(found.missing ?? []), ...(found.joining ?? [])];
  if (absent.length > 0) {
    return [
      `Cannot restore rollout ${rollout} without ${absent.map(({ name }) => name).join(", ")}: expected every master, since each has the only backup of its own leaves; bring it back, or remove restore`,
    ];
  }
  const without = found.masters.filter(({ backups }) => !backups.includes(rollout));
  if (without.length > 0) {
    return without.map(
      ({ name, backups }) =>
        `Cannot restore rollout ${rollout}: ${name} keeps no backup of it; expected ${backups.length === 0 ? "one, and there is none" : `one of ${backups.join(", ")}`}. See npm run backups`,
    );
  }
  const masters = found.masters.map((master) => ({ ...master, files: filesOf(master, rows) }));
  const faults = masters.flatMap((master) => certificateFaults(master, masters, rows, now));
  if (faults.length > 0) {
    return faults.map((fault) => `Cannot restore rollout ${rollout}: in its backup on ${fault}; expected a whole and valid set. Remove restore`);
  }
  const [first] = masters
    .flatMap(({ name, saved }) => rows.flatMap((row) => (saved[row.id]?.certificates ?? []).map(({ notAfter }) => ({ name, row, notAfter }))))
    .toSorted((a, b) => a.notAfter - b.notAfter);
  return first !== undefined && first.notAfter < now + renewBefore * 1000
    ? [
        `Cannot restore rollout ${rollout}: ${first.row.id} of ${first.name} would end on ${day(first.notAfter)}, within certificates.renewBefore; expected longer. Set a shorter renewBefore if it is meant, or remove restore and ask for a new set: pulumi config set rotation <new>`,
      ]
    : [];
}

function filesOf({ files, saved }: FoundMaster, rows: readonly Row[]): FoundMaster["files"] {
  return Object.fromEntries(
    rows.flatMap((row) => {
      const [now, then] = [files[row.id], saved[row.id]];
      return now === undefined || then === undefined ? [] : [[row.id, { ...now, ...then, isPresent: true, isReadable: true }]];
    }),
  );
}

interface Chosen {
  readonly row: KubernetesRow;
  readonly isGood: boolean;
  readonly notice?: string;
}

/** A pair comes back whole or not at all; an authority only with the key that it has now. */
function kubernetesOn(master: FoundMaster, question: RestoreQuestion): Chosen[] {
  const { kubernetes } = question;
  return kubernetes.flatMap((row): Chosen[] => {
    const saved = master.saved[row.id];
    const [certificate] = saved?.certificates ?? [];
    const isAside = row.kind === "key" || row.kind === "authority-key" || fingerprintsIn(saved) === fingerprintsIn(master.files[row.id]);
    if (isAside || certificate === undefined) {
      return [];
    }
    const key = kubernetes.find((other) => other.kind === "key" && other.group === row.group);
    const problem = kubernetesProblem(row, certificate, master, question) ?? keyProblem(certificate, key && (master.saved[key.id] ?? nothing));
    if (problem !== undefined) {
      return [{ row, isGood: false, notice: `${row.id} is not restored: ${problem}` }];
    }
    return [row, ...(key === undefined ? [] : [key])].map((each) => ({ row: each, isGood: true }));
  });
}

function kubernetesProblem(row: KubernetesRow, certificate: Certificate, master: FoundMaster, { kubernetes, renewBefore, now }: RestoreQuestion) {
  const authority = kubernetes.find((other) => other.kind === "authority" && other.group === row.signer);
  const [present] = (authority && master.files[authority.id]?.certificates) ?? [];
  if (certificate.notAfter < now + renewBefore * 1000) {
    return `it would end on ${day(certificate.notAfter)}`;
  }
  const isKnown = present !== undefined && (row.kind === "authority" ? present.publicKey === certificate.publicKey : hasIssued(present, certificate));
  return isKnown ? undefined : `the key of ${row.signer} is another one now`;
}

function keyProblem(certificate: Certificate, key: SavedFile | undefined): string | undefined {
  return key === undefined || key.publicKey === certificate.publicKey ? undefined : "its key in the backup is another one";
}
