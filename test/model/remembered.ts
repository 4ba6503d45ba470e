import type { Certificate } from "../../components/model/certificate.ts";

/** The same function, computing each answer once: thousands of plans look at the same few certificates. */
export function remembered<Args extends readonly unknown[], Result>(of: (...args: Args) => Result, key: (...args: Args) => string): (...args: Args) => Result {
  const answers = new Map<string, Result>();
  return (...args) => {
    const name = key(...args);
    const known = answers.get(name);
    if (known !== undefined) {
      return known;
    }
    const answer = of(...args);
    answers.set(name, answer);
    return answer;
  };
}

/** components/model/certificate.ts with a memory. */
export function withMemory<Module extends typeof import("../../components/model/certificate.ts")>(real: Module): Module {
  return {
    ...real,
    certificatesIn: remembered(real.certificatesIn, (pem) => pem),
    publicKeyOf: remembered(real.publicKeyOf, (pem) => pem),
    isMadeHere: remembered(real.isMadeHere, ({ fingerprint }) => fingerprint),
    hasIssued: remembered(real.hasIssued, (authority: Certificate, leaf: Certificate) => `${authority.fingerprint} ${leaf.fingerprint}`),
  };
}
