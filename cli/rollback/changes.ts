import type { Change } from "../stack-file.ts";
import type { CertificateSet } from "../state/certificate-set.ts";

/** What of the stack file decides certificates; seconds. */
export interface Deciding {
  readonly rotation: string;
  readonly certificates: { readonly validity: number; readonly algorithm: string };
  /** a backup that would be wanted instead of the state's certificates */
  readonly restore?: number | undefined;
}

/**
 * What the stack file must say so that Pulumi asks for exactly that set, and for no new one.
 * @param isReSigning only its keys are to come back: its certificates are signed for the present validity
 */
export function changesTo(set: CertificateSet, present: Deciding, project: string, isReSigning: boolean): Change[] {
  const { rotation, validityHours, algorithm } = set;
  const { validity, algorithm: presentAlgorithm } = present.certificates;
  const certificates = `${project}:certificates`;
  return [
    ...(rotation === undefined || rotation === present.rotation ? [] : [{ path: [`${project}:rotation`], from: present.rotation, to: rotation }]),
    ...(present.restore === undefined ? [] : [{ path: [`${project}:restore`], from: String(present.restore), to: undefined }]),
    // the program counts in whole hours
    ...(isReSigning || validityHours === undefined || validityHours === Math.floor(validity / 3600)
      ? []
      : [{ path: [certificates, "validity"], from: durationOf(Math.floor(validity / 3600)), to: durationOf(validityHours) }]),
    ...(algorithm === undefined || algorithm === presentAlgorithm ? [] : [{ path: [certificates, "algorithm"], from: presentAlgorithm, to: algorithm }]),
  ];
}

/** Hours as a stack file says them, in the largest unit that fits. */
export function durationOf(hours: number): string {
  if (hours % 8760 === 0) {
    return `${hours / 8760}y`;
  }
  return hours % 24 === 0 ? `${hours / 24}d` : `${hours}h`;
}
