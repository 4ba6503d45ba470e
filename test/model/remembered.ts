import type { Certificate } from "../../components/model/certificate.ts";
import { remembered, rememberedForPairs } from "../../components/model/remembered.ts";

/** components/model/certificate.ts with a memory: thousands of plans look at the same few certificates. */
export function withMemory<Module extends typeof import("../../components/model/certificate.ts")>(
  real: Module,
): Module {
  return {
    ...real,
    certificatesIn: remembered(real.certificatesIn, (pem) => pem),
    publicKeyOf: remembered(real.publicKeyOf, (pem) => pem),
    mayBeAbove: remembered(real.mayBeAbove, ({ fingerprint }) => fingerprint),
    isMadeHere: remembered(real.isMadeHere, ({ fingerprint }) => fingerprint),
    hasIssued: rememberedForPairs(real.hasIssued, ({ fingerprint }: Certificate) => fingerprint),
  };
}
