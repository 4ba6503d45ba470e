import { expect, test } from "vitest";
import type { Found } from "../../components/model/found.ts";
import { keptKeys } from "../../components/model/wanted.ts";
import { changed, diskOf, foundAs, makePems, masterWith } from "./cluster.ts";
import { issue, makeKey } from "./openssl.ts";

const previous = makePems("2026-11");
const next = makePems("2026-12");
const keyPem = makeKey();

/** An authority over the one key. */
function signed(commonName: string): string {
  return issue({ subject: `/CN=${commonName}`, days: 9, keyPem }).certPem;
}

/** Masters of which one trusts that authority. */
function holding(certPem: string): Found {
  return changed(foundAs(previous), "master-2", () =>
    masterWith("master-2", { ...diskOf(previous, "master-2"), "etcd-ca": certPem }),
  );
}

test("an authority with the key of another rotation is told; one that is signed again, or has a new key, is as it should be", () => {
  const kept = { ...next, authorities: { ...next.authorities, etcd: signed("etcd-ca 2026-12") } };
  expect(keptKeys(kept, holding(signed("etcd-ca 2026-11")), "prod-**")).toEqual([
    `Cannot rotate: "etcd-ca 2026-12" has the private key of "etcd-ca 2026-11"; expected a new one. State of a Pulumi CLI before 3.211.0 has no replacementTrigger, and without it keys stay. Run: npx etcd-rotation pulumi up --replace '**$tls:index/privateKey:PrivateKey::prod-**'`,
  ]);
  expect(keptKeys(kept, holding(signed("etcd-ca 2026-12")), "**")).toEqual([]);
  expect(keptKeys(next, foundAs(previous), "**")).toEqual([]);
});
