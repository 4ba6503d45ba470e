import { type Certificate, hasIssued, shownName } from "./certificate.ts";
import { type Drift, type DriftInput, portOf } from "./drift.ts";
import {
  authorityOn,
  certificatesAt,
  type FoundMaster,
  isIssuedHere,
  isSameAuthority,
  leafAt,
} from "./found.ts";
import { isCheckedAgainst, type KubernetesRow, type Row } from "./layout/rows.ts";

/** From the gravest to the mildest, as they decide the exit code; `other` is shown and never counted: nothing hangs on it, or others renew it. */
export const states = [
  "expired",
  "drifted",
  "interrupted",
  "unreachable",
  "rotating",
  "due",
  "expiring",
  "ok",
  "other",
] as const;
export type State = (typeof states)[number];

/** One certificate of one master. */
export interface CertificateStatus extends Pick<Certificate, "fingerprint" | "notBefore" | "notAfter"> {
  readonly master: string;
  /** id of its row in the layout */
  readonly file: string;
  readonly path: string;
  readonly isOnDisk: boolean;
  /** where it is served; undefined when it is only on disk */
  readonly port: number | undefined;
  readonly subject: string;
  readonly issuer: Issuer;
  /** whole days; negative once it has expired */
  readonly daysLeft: number;
  readonly state: State;
}

/** The authority that has issued a certificate; its fingerprint tells apart two of one name, and is undefined when it lies on no master. */
interface Issuer {
  readonly name: string;
  readonly fingerprint: string | undefined;
}

export interface CertificateInput extends Omit<DriftInput, "owners" | "progress"> {
  readonly drift: readonly Drift[];
  /** seconds */
  readonly renewBefore: number;
  /** seconds: what ends within them calls for attention, due or not */
  readonly expiringWithin: number;
}

const dayMilliseconds = 86_400_000;

/** Every certificate of one master, on disk or served. */
export function certificateStatuses(master: FoundMaster, input: CertificateInput): CertificateStatus[] {
  return [...input.rows, ...input.kubernetes].flatMap((row): CertificateStatus[] => {
    const file = master.files[row.id];
    if (file === undefined) {
      return [];
    }
    const port = portOf(row);
    const served = port === undefined ? undefined : master.served[port];
    const onDisk =
      row.kind === "trust" || row.kind === "authority" ? file.certificates : file.certificates.slice(0, 1);
    const all = [
      ...onDisk,
      ...(served !== undefined && onDisk.every((each) => each.fingerprint !== served.fingerprint)
        ? [served]
        : []),
    ];
    return all.map((certificate) => ({
      master: master.name,
      file: row.id,
      path: file.path === "" ? file.realPath : file.path,
      isOnDisk: onDisk.includes(certificate),
      port: certificate.fingerprint === served?.fingerprint ? port : undefined,
      subject: shownName(certificate.subject),
      issuer: issuerOf(certificate, input),
      fingerprint: certificate.fingerprint,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      daysLeft: Math.floor((certificate.notAfter - input.now) / dayMilliseconds),
      state: stateOf(certificate, row, master, input),
    }));
  });
}

function stateOf(
  certificate: Certificate,
  row: Row | KubernetesRow,
  master: FoundMaster,
  input: CertificateInput,
): State {
  const { found, kubernetes, drift, renewBefore, expiringWithin, now } = input;
  const isEverywhere = found.masters.every((each) =>
    certificatesAt(each, row).some((other) => other.fingerprint === certificate.fingerprint),
  );
  const isDrifted = drift.some(
    (each) =>
      each.file === row.id && (each.master === master.name || (each.master === undefined && !isEverywhere)),
  );
  const isServed = Object.values(master.served).some((each) => each.fingerprint === certificate.fingerprint);
  const isOthers =
    "signer" in row
      ? !isRenewedHere(certificate, row, master, kubernetes)
      : isSpare(certificate, row, master, input);
  if (certificate.notAfter <= now && (!isOthers || isServed)) {
    return "expired";
  }
  if (isDrifted || isOthers) {
    return isDrifted ? "drifted" : "other";
  }
  if (certificate.notAfter < now + renewBefore * 1000) {
    return "due";
  }
  return certificate.notAfter < now + expiringWithin * 1000 ? "expiring" : "ok";
}

/** An authority beside others in a trust file that has issued no leaf that is checked against it. */
function isSpare(
  certificate: Certificate,
  row: Row,
  master: FoundMaster,
  { found, rows }: CertificateInput,
): boolean {
  const checked = rows.filter((other) => other.kind === "cert" && isCheckedAgainst(other, row));
  const issued = found.masters.flatMap((each) => checked.flatMap((other) => leafAt(each, other) ?? []));
  const others = certificatesAt(master, row).filter((other) => other !== certificate);
  return row.kind === "trust" && others.length > 0 && !issued.some((leaf) => hasIssued(certificate, leaf));
}

/** Whether it is an authority of this master, or on its disk and issued by one. */
function isRenewedHere(
  certificate: Certificate,
  row: KubernetesRow,
  master: FoundMaster,
  rows: readonly KubernetesRow[],
): boolean {
  const isOnDisk = certificatesAt(master, row).includes(certificate);
  const authority = authorityOn(master, row.signer, rows);
  const isAuthority =
    row.kind === "authority" && authority !== undefined && isSameAuthority(certificate, authority);
  return isOnDisk && (isAuthority || isIssuedHere(row, certificate, master, rows));
}

function issuerOf(certificate: Certificate, { found, rows, kubernetes }: CertificateInput): Issuer {
  const authorities = [...rows, ...kubernetes].filter(
    (row) => row.kind === "trust" || row.kind === "authority",
  );
  const known = found.masters.flatMap((master) => authorities.flatMap((row) => certificatesAt(master, row)));
  const issuer = known.find(
    (authority) =>
      authority.subject.join() === certificate.issuer.join() && hasIssued(authority, certificate),
  );
  return { name: shownName(certificate.issuer), fingerprint: issuer?.fingerprint };
}
