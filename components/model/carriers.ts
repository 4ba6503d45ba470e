import { day } from "./day.ts";
import type { Found } from "./found.ts";
import type { Report } from "./report.ts";

/** The list as the survey sees it, where this run had nothing to do and every master could be asked; else as verify saw it. */
export function carriersNow({ masters, missing = [] }: Found, { attempt, carriers }: Report): readonly string[] {
  const isCurrent = masters.length > 0 && missing.length === 0 && masters.every(({ receipt }) => receipt?.isComplete === true && receipt.attempt === attempt);
  return isCurrent ? masters.flatMap((master) => master.carriers.map(({ words }) => words)) : carriers;
}

const shown = 5;

/** In a line, who is known to need something: workers that are not noted as done, and ConfigMaps; those whose certificate has expired come first. */
export function carrierNotices({ masters }: Found): string[] {
  const known = masters
    .flatMap(({ carriers, clock }) => carriers.map((carrier) => ({ ...carrier, isExpired: carrier.end <= clock })))
    .filter(({ kind }) => kind !== "other")
    .toSorted((a, b) => Number(b.isExpired) - Number(a.isExpired))
    .map(
      ({ kind, name, end, isExpired }) => `${kind === "worker" ? kind : "ConfigMap"} ${name} (${isExpired ? "expired on" : "valid until"} ${day(end * 1000)})`,
    );
  const more = known.length > shown ? ` and ${known.length - shown} more` : "";
  return known.length === 0
    ? []
    : [`an earlier certificate of cluster-ca is still held by ${known.slice(0, shown).join(", ")}${more}; pulumi stack output kubernetes has the commands`];
}
