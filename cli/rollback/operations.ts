import { readFileSync } from "node:fs";
import { z } from "zod";

const event = z.looseObject({
  resourcePreEvent: z.looseObject({ metadata: z.looseObject({ op: z.string(), urn: z.string(), type: z.string() }) }).optional(),
});

/** Keys and certificates that a preview would make anew. */
export interface NewMaterial {
  readonly authorities: readonly string[];
  readonly leaves: readonly string[];
}

/** Reads the engine's event log of a preview. */
export function newMaterialIn(file: string): NewMaterial {
  return newMaterialOf(
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== ""),
  );
}

/** @param lines JSON, one event each */
export function newMaterialOf(lines: readonly string[]): NewMaterial {
  const made = lines
    .flatMap((line) => event.parse(JSON.parse(line)).resourcePreEvent?.metadata ?? [])
    .filter(({ op, type }) => /^(create|replace|create-replacement)$/.test(op) && /^tls:index\/(privateKey|selfSignedCert|locallySignedCert):/.test(type));
  const names = (isAuthority: boolean) => [
    ...new Set(made.filter(({ urn }) => urn.includes(":CertificateAuthority$") === isAuthority).map(({ urn }) => urn.slice(urn.lastIndexOf("::") + 2))),
  ];
  return { authorities: names(true), leaves: names(false) };
}
