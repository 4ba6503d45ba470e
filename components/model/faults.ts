import type { Certificate } from "./certificate.ts";
import { certificatesAt, type FoundMaster, leafAt } from "./found.ts";
import { leafProfiles, useIdentifiers } from "./layout/leaves.ts";
import { isCheckedAgainst, type KubernetesRow, type Row } from "./layout/rows.ts";
import { day, linesOf } from "./text.ts";
import { isIssuedUnder, ownerOf } from "./trust.ts";

/**
 * What is wrong with the files of a master that etcd and kube-apiserver read, in words: why a member that is out may be out.
 * @param masters all of them: each has to accept the others
 * @param now milliseconds since 1970
 */
export function certificateFaults(
  master: FoundMaster,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
  now: number,
): string[] {
  const used = rows.filter((row) => row.reader !== "none");
  const owner = ownerOf(masters, rows);
  const isOwn = (authority: Certificate) => owner(authority) !== "foreign";
  const faults = used.flatMap((row) => [
    ...fileFaults(master, row, isOwn, now),
    ...(row.kind === "cert" ? leafFaults(master, row, used) : []),
    ...(row.kind === "cert" ? acceptanceFaults(master, row, masters, used) : []),
    ...(row.kind === "trust" ? trustFaults(master, row, masters, used) : []),
  ]);
  return faults.map((fault) => `${master.name}: ${fault}`);
}

/** Why kube-apiserver, although it runs, may be refused by everybody, or refuse everybody: what it serves, or its clients' authority, has expired. */
export function apiFaults(master: FoundMaster, rows: readonly KubernetesRow[], now: number): string[] {
  const used = master.isApiReady ? [] : rows.filter(({ id }) => id === "apiserver" || id === "cluster-ca");
  return used
    .flatMap((row) => expiry(row, certificatesAt(master, row).slice(0, 1), now))
    .map((fault) => `${master.name}: ${fault}`);
}

/** Of one file by itself. */
function fileFaults(
  master: FoundMaster,
  row: Row,
  isOwn: (authority: Certificate) => boolean,
  now: number,
): string[] {
  const file = master.files[row.id];
  if (file === undefined || !file.isPresent) {
    return [`${row.id} is missing`];
  }
  if (!file.isReadable) {
    return [`${row.id} cannot be read by ${row.reader} (${file.ownerAndMode})`];
  }
  if (row.kind !== "key" && file.certificates.length === 0) {
    return [`${row.id} holds no certificate`];
  }
  // a trust file has expired when all in it have that this cluster's leaves may hang on
  return expiry(
    row,
    row.kind === "trust" ? file.certificates.filter(isOwn) : file.certificates.slice(0, 1),
    now,
  );
}

function expiry(row: Row | KubernetesRow, judged: readonly Certificate[], now: number): string[] {
  const end = Math.max(...judged.map(({ notAfter }) => notAfter));
  return judged.length > 0 && end <= now ? [`${row.id} expired on ${day(end)}`] : [];
}

function leafFaults(master: FoundMaster, row: Row, rows: readonly Row[]): string[] {
  const leaf = leafAt(master, row);
  if (leaf === undefined || row.leaf === undefined) {
    return [];
  }
  const key = rows.find((other) => other.kind === "key" && other.group === row.group);
  const isPair = key === undefined || master.files[key.id]?.publicKey === leaf.publicKey;
  // a server without client_auth serves; only its gateway, which nobody here uses, does not work
  const needed = leafProfiles[row.leaf].uses.filter(
    (use) => row.leaf !== "etcd-server" || use === "server_auth",
  );
  const lacking =
    leaf.uses.length === 0 ? [] : needed.filter((use) => !leaf.uses.includes(useIdentifiers[use]));
  return linesOf(
    !isPair && `${row.id} does not belong to its key`,
    ...lacking.map((use) => `${row.id} may not be used for ${use}`),
  );
}

/** Masters whose trust files refuse this leaf. */
function acceptanceFaults(
  master: FoundMaster,
  row: Row,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
): string[] {
  const trusts = rows.filter((trust) => isCheckedAgainst(row, trust));
  return trusts.flatMap((trust) => {
    const refusing = masters.filter((other) => refuses(other, trust, master, row));
    return refusing.length === 0
      ? []
      : `${row.id} is not accepted by ${trust.id} of ${refusing.map(({ name }) => name).join(", ")}`;
  });
}

/** Other masters whose leaves this trust file refuses. */
function trustFaults(
  master: FoundMaster,
  trust: Row,
  masters: readonly FoundMaster[],
  rows: readonly Row[],
): string[] {
  return rows
    .filter((row) => row.kind === "cert" && isCheckedAgainst(row, trust))
    .flatMap((row) => {
      const refused = masters.filter((other) => other !== master && refuses(master, trust, other, row));
      return refused.length === 0
        ? []
        : `${trust.id} does not accept ${row.id} of ${refused.map(({ name }) => name).join(", ")}`;
    });
}

/** Whether what one master has for others is not accepted by a trust file of another, and has to be. */
function refuses(checker: FoundMaster, trust: Row, holder: FoundMaster, row: Row): boolean {
  // etcd's gateway is a client of its own server, and of no other
  const isChecked = row.leaf !== "etcd-server" || trust.reader !== "etcd" || holder === checker;
  const [held, authorities] = [certificatesAt(holder, row), certificatesAt(checker, trust)];
  return isChecked && held.length > 0 && authorities.length > 0 && !isIssuedUnder(held, authorities);
}
