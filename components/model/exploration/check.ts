import { certificatesIn, standIn } from "../certificate.ts";
import type { Decision, Given } from "../decision.ts";
import { certificatesAt, type Found, type FoundFile, type FoundMaster, leafAt } from "../found.ts";
import type { CrossPolicy } from "../handover.ts";
import { leafProfiles, servedLeaves } from "../layout/leaves.ts";
import {
  type Authority,
  authorities,
  byAuthority,
  byLeaf,
  isCheckedAgainst,
  type Leaf,
  type Row,
} from "../layout/rows.ts";
import { rememberedForPairs } from "../remembered.ts";
import { certificatesOf, type ForeignPolicy, isIssuedUnder, textOf, trustedBy, unique } from "../trust.ts";
import type { Wanted } from "../wanted.ts";
import { explore, type Limits, type Taken } from "./explore.ts";
import type { Accepts } from "./refused.ts";
import type { Ways } from "./runs.ts";
import { type Masters, restarted, type World } from "./world.ts";

/** Set to anything, a preview that writes its plan checks it first. */
export const planCheckVariable = "ETCD_ROTATION_PLAN_CHECK";

export interface CheckQuestion
  extends Pick<Decision, "rows" | "authorities" | "inState" | "now" | "end">,
    Pick<Given, "handover" | "heldBefore"> {
  readonly found: Found;
  /** as the layout says */
  readonly hasPeerAuthority: boolean;
  /** undefined while a rotation is previewed */
  readonly wanted: Wanted | undefined;
  readonly crossPolicy: CrossPolicy | undefined;
  readonly foreignAuthorities: ForeignPolicy | undefined;
}

/** What a walk through the states that a rollout can reach on these masters has seen. */
export interface Check {
  /** different contents of the masters' files, with what is out */
  readonly states: number;
  /** all of them were walked, or the walk ended at a refusal */
  readonly isComplete: boolean;
  /** the connections that are refused in the nearest state that has any; empty when none has */
  readonly refused: readonly string[];
  /** the shortest way to that state: one operation each, and where a run ends before its time */
  readonly way: readonly string[];
}

/** Of a restore: what comes back is none of the state's certificates. */
export const notWalked: Check = { states: 0, isComplete: false, refused: [], way: [] };

/** Walks every state that interrupted runs can reach from what was found, as far as the limits allow. */
export function checkRollout(question: CheckQuestion, limits: Limits, change: Ways = {}): Check {
  const { found, rows, handover, inState, heldBefore, foreignAuthorities, now, end } = question;
  // later runs decide again, so whoever may sign then is taken to have signed
  const signersOf = (role: Authority) => [
    ...(handover.kind === "cross" ? [handover.signers[role].certificate.fingerprint] : []),
    ...(inState === undefined ? [] : [inState[role].fingerprint]),
  ];
  const pems = standInsFor(question, signersOf);
  const ways: Ways = {
    ...{ foreignAuthorities, heldBefore, crossPolicy: question.crossPolicy, end },
    ...(signersOf("etcd").length === 0
      ? {}
      : { signed: { ...(inState === undefined ? {} : { inState }), texts: pems.cross } }),
    ...change,
  };
  const { disks, isComplete, nearest } = explore(
    worldOf(found, rows, now),
    pems,
    acceptsAt(now),
    ways,
    limits,
  );
  return {
    states: disks,
    isComplete,
    refused: nearest?.refused ?? [],
    way: nearest === undefined ? [] : nearest.taken.flatMap(wordsFor),
  };
}

/** For a person. */
export function describeCheck({ states, isComplete, refused, way }: Check): string[] {
  const walked = `${states} states, by runs that end anywhere and processes that restart at any time`;
  if (refused.length === 0) {
    return isComplete
      ? [`Check: no connection is refused in any of ${walked}.`]
      : [`Check: no connection is refused in ${walked}. There are more: the walk was not finished.`];
  }
  return [
    way.length === 0
      ? "Check: connections are refused as it is now:"
      : "Check: connections are refused after this:",
    ...way.map((each) => `  ${each}`),
    ...refused.map((each) => `  then ${each}`),
  ];
}

function wordsFor({ operation, ill, isFirst }: Taken, index: number): string[] {
  const { phase, master } = operation;
  const without = ill === undefined ? "" : ` while etcd on ${ill} is out`;
  const run =
    isFirst && (index > 0 || ill !== undefined)
      ? [`${index > 0 ? "the run ends, another" : "a run"} begins${without}`]
      : [];
  const what =
    operation.kind === "write"
      ? `${Object.keys(operation.texts).join(" and ")} written`
      : `${operation.component} restarted`;
  return [...run, `${phase} on ${master}: ${what}`];
}

/** The masters as they were found. A process has read what lies there; one that is stale may have no more than what it needs now. */
function worldOf(found: Found, rows: readonly Row[], now: number): World {
  const names = found.masters.map(({ name }) => name);
  const textAt = (master: FoundMaster, row: Row) =>
    row.kind === "key" ? (master.files[row.id]?.publicKey ?? "") : textOf(certificatesAt(master, row));
  const loadedBy = (master: FoundMaster, row: Row) => {
    const process = restarted.find((component) => component === row.reader);
    const isStale = process !== undefined && master.processes[process]?.isStale === true;
    const least = isStale ? leastFor(row, found, rows) : "";
    return [...new Set([textAt(master, row), ...(least === "" ? [] : [least])])].sort();
  };
  return {
    masters: { names, rows, now, masterWith: masterIn(found, rows) },
    disks: Object.fromEntries(
      found.masters.map((master) => [
        master.name,
        Object.fromEntries(rows.map((row) => [row.id, textAt(master, row)])),
      ]),
    ),
    loaded: Object.fromEntries(
      found.masters.flatMap((master) =>
        rows.flatMap((row) =>
          row.kind === "trust" ? [[`${master.name} ${row.id}`, loadedBy(master, row)]] : [],
        ),
      ),
    ),
    backups: textOf(
      unique(found.masters.flatMap((master) => [...certificatesOf(master, rows, "cert"), ...master.earlier])),
    ),
    out: found.masters.flatMap((master) => [
      ...(master.doesAnswer ? [] : [`etcd@${master.name}`]),
      ...(master.isApiReady ? [] : [`kube-apiserver@${master.name}`]),
    ]),
  };
}

/** The authorities that what is checked against a trust file hangs on now: a process that works has them. */
function leastFor(trust: Row, { masters }: Found, rows: readonly Row[]): string {
  const checked = masters.flatMap((master) =>
    rows.flatMap((row) =>
      row.kind === "cert" && isCheckedAgainst(row, trust) ? [certificatesAt(master, row)] : [],
    ),
  );
  const known = trustedBy(masters, rows);
  return textOf(known.filter((authority) => checked.some((file) => isIssuedUnder(file, [authority]))));
}

/** A master as the survey would find it with other files; whatever was wrong with it is a matter of what is out. */
function masterIn(found: Found, rows: readonly Row[]): Masters["masterWith"] {
  return (name, disk, change) => {
    const master = found.masters.find((each) => each.name === name);
    if (master === undefined) {
      throw new Error(`Cannot find ${name} among the masters`);
    }
    const files = Object.fromEntries(rows.map((row) => [row.id, fileWith(row, disk[row.id] ?? "", master)]));
    const served = Object.fromEntries(
      Object.entries(servedLeaves).flatMap(([port, id]) =>
        (files[id]?.certificates ?? []).slice(0, 1).map((leaf) => [port, leaf]),
      ),
    );
    const { clusterId, members, saved } = master;
    return {
      ...master,
      ...{ files: { ...master.files, ...files }, served, clusterId, members, saved },
      ...{ etcd: "healthy", doesAnswer: true, isApiReady: true, leftovers: [] },
      ...change,
    };
  };
}

function fileWith(row: Row, text: string, { files }: FoundMaster): FoundFile {
  const held = files[row.id];
  return {
    ownerAndMode: `${row.owner} ${row.mode}`,
    isReadable: true,
    path: row.path,
    realPath: row.path,
    ...held,
    isPresent: held?.isPresent === true || text !== "",
    ...(row.kind === "key"
      ? { publicKey: text, certificates: [] }
      : { publicKey: "-", certificates: certificatesIn(text) }),
  };
}

/** By who issued whom, through an authority that stands behind a leaf too, and by dates; not by names and uses. */
function acceptsAt(now: number): Accepts {
  const valid = (text: string) => certificatesIn(text).filter(({ notAfter }) => notAfter > now);
  return rememberedForPairs(
    (trust, leaf) => isIssuedUnder(valid(leaf), valid(trust)),
    (text: string) => text,
  );
}

/**
 * What is wanted, as far as it lies on the masters, and stand-ins for what is still to be made. A key is named by its public one.
 * @param signersOf the new authorities: fingerprints
 */
function standInsFor(
  { found, rows, hasPeerAuthority, wanted, authorities: known }: CheckQuestion,
  signersOf: (role: Authority) => readonly string[],
) {
  const held = trustedBy(found.masters, rows);
  const authorityFor = (role: Authority) => {
    const asked = wanted === undefined ? known[authorities.indexOf(role)] : wanted.authorities[role];
    return held.find(({ fingerprint }) => fingerprint === asked) ?? standIn(`${role} authority`, []);
  };
  const etcd = authorityFor("etcd");
  const made = { etcd, "etcd-peer": hasPeerAuthority ? authorityFor("etcd-peer") : etcd };
  const crossFor = (role: Authority) => {
    const { subject, publicKey } = made[role];
    return standIn(`${role} cross`, signersOf(role), { subject, publicKey });
  };
  const cross = byAuthority(crossFor);
  const leafFor = (master: FoundMaster, leaf: Leaf) => {
    const row = rows.find((each) => each.kind === "cert" && each.leaf === leaf);
    const present = row && leafAt(master, row);
    const { authority: role } = leafProfiles[leaf];
    const isWanted = row !== undefined && wanted?.files[master.name]?.[row.id] === present?.fingerprint;
    const certificate =
      isWanted && present !== undefined
        ? present
        : standIn(`${master.name} ${leaf}`, [made[role].fingerprint, cross[role].fingerprint]);
    return { certPem: certificate.pem, keyPem: certificate.publicKey };
  };
  return {
    authorities: byAuthority((role) => made[role].pem),
    leaves: Object.fromEntries(
      found.masters.map((master) => [master.name, byLeaf((leaf) => leafFor(master, leaf))]),
    ),
    cross: byAuthority((role) => cross[role].pem),
  };
}
