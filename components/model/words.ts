import { clientCommands, clientNotices } from "./clients.ts";
import type { Decision } from "./decision.ts";
import { differences } from "./differences.ts";
import { certificatesAt } from "./found.ts";
import { minorOf } from "./layout/rows.ts";
import { ackSurroundings } from "./layout/tables.ts";
import { type Hold, obstaclesOf } from "./missing.ts";
import { carrierNotices } from "./report.ts";
import { handoverInWords, namesIn, type StepsInput, stepsInWords } from "./step-words.ts";
import { oldKeyNotices, strangerNotices } from "./strangers.ts";
import { day, linesOf } from "./text.ts";
import { type ForeignPolicy, ownerOf, recordedAuthorities, trustNotices } from "./trust.ts";

/** What the words need besides the survey. */
export interface WordsInput extends StepsInput, Pick<Decision, "shut"> {
  readonly rollout: number;
  readonly rotation: string;
  /** of the state that this run begins with; undefined before the first update */
  readonly lastRotation: string | undefined;
  readonly foreignAuthorities: ForeignPolicy | undefined;
  /** whose backup is wanted, instead of the state's certificates */
  readonly restore: number | undefined;
  /** how long snapshots of system disks are kept; undefined without any */
  readonly diskSnapshotDays?: number | undefined;
  /** addresses of the masters and of clients that are ignored, to tell foreign etcd clients apart */
  readonly addresses: readonly string[];
}

/** The plan for a person: why, which master, in which order, which restarts, what expires when. */
export function describePlan(input: WordsInput): string[] {
  if (isNothingToDo(input)) {
    if (
      input.heldBefore !== undefined &&
      input.found.masters.some(({ receipt }) => receipt?.isComplete === false)
    ) {
      return [describeHold(input), ...clientCommands(input.clients), ...stays(input), ...notices(input)];
    }
    return linesOf(
      "Nothing to do: every master serves the wanted certificates.",
      restoring(input),
      ...expiries(input),
      ...stays(input),
      ...absences(input),
    );
  }
  return linesOf(
    `Rollout ${input.rollout} (rotation "${input.rotation}", ${input.plan.mode}):`,
    input.shut !== undefined && `  CAUTION: ${input.shut}`,
    ...olderState(input),
    restoring(input),
    ...reasonsFor(input).map((reason) => `  because ${reason}`),
    handoverInWords(input),
    diskSnapshots(input),
    ...stepsInWords(input),
    ...expiries(input),
    ...stays(input),
    ...notices(input),
  );
}

/** What holds on the masters while a rollout waits. */
const heldStates: Readonly<Record<Hold, string>> = {
  issue: "every master that could be reached trusts the wanted authorities and the earlier ones too",
  retire: "every master serves the wanted certificates, and trusts the earlier authorities too",
};

/** What is said of a rollout that waits, at the end of its update and in every preview until it goes on. */
export function describeHold({
  found,
  heldBefore = "retire",
  clients,
}: Pick<WordsInput, "found" | "heldBefore" | "clients">): string {
  const obstacles = obstaclesOf(found, heldBefore, clients);
  const goOn =
    obstacles.length === 0
      ? "To go on, remove holdBefore and run pulumi up."
      : `Run pulumi up again when ${obstacles.join(", and ")}.`;
  return `Held before ${heldBefore}: ${heldStates[heldBefore]}. ${goOn}`;
}

/** No master will be changed. */
export function isNothingToDo({ found, wanted, rows, renewals }: WordsInput): boolean {
  return wanted !== undefined && differences(found, wanted, rows, renewals).length === 0;
}

/** Why there is a rollout. */
export function reasonsFor({ plan, found, wanted, rows, renewals }: WordsInput): string[] {
  return linesOf(
    ...plan.causes,
    wanted === undefined && "new certificates will be issued",
    ...differences(found, wanted, rows, renewals).map(({ master, what }) => `${master}: ${what}`),
  );
}

function diskSnapshots({ diskSnapshotDays: days, found }: WordsInput): string | undefined {
  return days === undefined
    ? undefined
    : `  first:  a snapshot of the system disk of ${namesIn({ found })}, kept for ${days} ${days === 1 ? "day" : "days"}`;
}

/** The state was put back, and the stack file was not: what is planned is neither the older set nor the newer one. */
function olderState({ found, wanted, rotation, lastRotation }: WordsInput): string[] {
  const isBehind = wanted === undefined && lastRotation !== undefined && lastRotation !== rotation;
  // a run that has failed leaves an incomplete receipt, and keys that are known
  return isBehind &&
    found.masters.some(({ receipt }) => receipt?.isComplete === true && receipt.rotation === rotation)
    ? [
        `  CAUTION: the masters have rotation "${rotation}" already, and this state is an older one, of rotation "${lastRotation}": up makes a third set of authorities.`,
        `  To go back to the certificates of this state: pulumi config set rotation ${lastRotation}`,
      ]
    : [];
}

function restoring({ restore }: WordsInput): string | undefined {
  return restore === undefined
    ? undefined
    : `  restore: the files that the masters kept from before rollout ${restore}, Kubernetes' own among them, byte for byte; to go forward to the certificates of this stack, remove restore`;
}

/** What a rollout cannot change, or drops besides the authorities in use. */
function stays({ wanted, foreignAuthorities, clients, ...input }: WordsInput): string[] {
  const { found, rows } = input;
  const authorities = wanted === undefined ? recordedAuthorities(found) : Object.values(wanted.authorities);
  return [
    ...input.renewals.notices,
    ...carrierNotices(found),
    ...trustNotices(found, rows, authorities, foreignAuthorities),
    ...strangerNotices(found, rows, input.kubernetes),
    ...oldKeyNotices(found, rows),
    ...clientNotices(found, clients),
  ].map((notice) => `  notice: ${notice}`);
}

function expiries(input: WordsInput): string[] {
  return firstToExpire(input).map(({ master, first }) =>
    first === undefined
      ? `  ${master}: no certificate could be read`
      : `  ${master}: first to expire is ${first.certificate}, on ${day(first.notAfter)}`,
  );
}

/** By master, the certificate that ends first and is ours to renew; undefined where none could be read. */
export function firstToExpire({ found, rows, kubernetes }: WordsInput): {
  readonly master: string;
  readonly first: { readonly certificate: string; readonly notAfter: number } | undefined;
}[] {
  const owner = ownerOf(found.masters, rows);
  return found.masters.map((master) => {
    const ends = [...rows, ...kubernetes]
      .filter(({ kind }) => kind !== "key")
      .flatMap((row) =>
        certificatesAt(master, row)
          // what stands behind a leaf of etcd is none of its own
          .filter((_, index) => "signer" in row || row.kind === "trust" || index === 0)
          .filter((certificate) => row.kind !== "trust" || owner(certificate) !== "foreign")
          .map(({ notAfter }) => ({ certificate: row.id, notAfter })),
      );
    const [first] = ends.toSorted((a, b) => a.notAfter - b.notAfter);
    return { master: master.name, first };
  });
}

/** Masters that are no part of the plan; the steps of one that is missing leave the state, which runs nothing. */
function absences({ found }: WordsInput): string[] {
  const joining = (found.joining ?? []).map(
    ({ name }) => `  notice: ${name} is joining: it gets its files in issue, and nothing is started there`,
  );
  const missing = (found.missing ?? []).map(
    ({ name, isAlive }) =>
      `  notice: ${name} cannot be reached over SSH and is left out (skipUnreachable); its etcd ${isAlive ? "serves" : "does not answer"}. Its steps leave the state, which runs nothing there`,
  );
  return [...missing, ...joining];
}

function notices(input: WordsInput): string[] {
  const { found, addresses } = input;
  const foreign = [...new Set(found.masters.flatMap((master) => master.clients))].filter(
    (address) => !addresses.includes(address) && address !== "127.0.0.1" && address !== "::1",
  );
  const held = found.masters.flatMap(({ name, claim, lock }) =>
    linesOf(
      claim !== undefined && `  notice: ${name} is being worked on by ${claim}`,
      lock !== undefined && `  notice: ${name} is locked by ${lock}`,
    ),
  );
  const unknown = found.masters.filter(({ kubernetes }) => minorOf(kubernetes) === undefined);
  return linesOf(
    ...absences(input),
    unknown.length > 0 &&
      `  notice: the version of Kubernetes on ${unknown.map(({ name }) => name).join(", ")} is not known, neither from the image in ${ackSurroundings.apiManifest} nor from /version: kube-apiserver is assumed to read its new certificates without a restart, as it does since 1.19`,
    foreign.length > 0 &&
      `  notice: other clients of etcd, which must trust the new authority before retire: ${foreign.join(", ")}`,
    ...held,
  );
}
