import { exitCodeFor, type Outcome, stateOf } from "./outcome.ts";

/** All that is known, for programs; times are ISO 8601 in UTC. */
export function jsonOf(outcomes: readonly Outcome[], now: number): string {
  const clusters = outcomes.map((outcome) => {
    if ("problem" in outcome) {
      return { stack: outcome.stack, state: stateOf(outcome), problem: outcome.problem };
    }
    const { certificates, rollout = null, rotation = null, lastBackup = null, ...rest } = outcome.status;
    return {
      ...rest,
      rollout,
      rotation,
      lastBackup,
      certificates: certificates.map(({ notBefore, notAfter, port = null, issuer, ...certificate }) => ({
        ...certificate,
        port,
        issuer: { name: issuer.name, fingerprint: issuer.fingerprint ?? null },
        notBefore: new Date(notBefore).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
      })),
    };
  });
  return `${JSON.stringify({ time: new Date(now).toISOString(), exitCode: exitCodeFor(outcomes), clusters }, null, 2)}\n`;
}
