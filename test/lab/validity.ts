import { labLayouts } from "./layouts.ts";
import type { LabOptions } from "./options.ts";

/** From when to when the lab's certificates are valid, in milliseconds since 1970. */
export interface Validity {
  readonly etcdLeaf: Period;
  readonly etcdCa: Period;
  readonly kubernetesLeaf: Period;
  readonly kubernetesCa: Period;
}

export interface Period {
  readonly start: number;
  readonly end: number;
}

const day = 86_400_000;

/** Decides every validity of a lab that starts at `now`. */
export function decideValidity(
  { expired, lifetimeSeconds, layout }: Pick<LabOptions, "expired" | "lifetimeSeconds" | "layout">,
  now: number,
): Validity {
  const lifetime = lifetimeSeconds * 1000;
  const { leafYears } = labLayouts[layout];
  // Started early enough for a leaf that has expired to have been valid for a month.
  const start = now - 32 * day;
  const current = { start, end: now + lifetime };
  return {
    etcdLeaf: {
      start,
      end:
        expired !== "none"
          ? now - day
          : leafYears === undefined
            ? current.end
            : start + leafYears * 365 * day,
    },
    etcdCa: {
      start,
      end: expired === "all" ? now - day / 2 : now + (leafYears === undefined ? 1.5 : 1) * lifetime,
    },
    kubernetesLeaf: current,
    kubernetesCa: { start, end: now + 3650 * day },
  };
}

/** The period as `openssl ca` wants it: two times of the form YYYYMMDDHHMMSSZ. */
export function formatPeriod({ start, end }: Period): string {
  return `${formatTime(start)} ${formatTime(end)}`;
}

function formatTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().replace(/\D/g, "").slice(0, 14)}Z`;
}
