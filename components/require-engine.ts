import * as pulumi from "@pulumi/pulumi";

/**
 * Asks for an engine that knows `replacementTrigger`: an older one ignores it, and a rotation would re-sign every certificate with
 * the key that it has.
 * @throws pulumi.RunError with an older one
 */
export function requireEngine(): Promise<void> {
  return pulumi.requirePulumiVersion(">=3.211.0").catch((error: unknown) => {
    throw new pulumi.RunError(
      `Cannot rotate with this Pulumi CLI: ${error instanceof Error ? error.message : String(error)}; expected 3.211.0 or later, since an older one keeps every private key. Install that, or run: npx etcd-rotation pulumi, which gets one`,
    );
  });
}
