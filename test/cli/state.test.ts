import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { certificateSetOf, isSameSet } from "../../cli/state/certificate-set.ts";
import { parseDeployment } from "../../cli/state/deployment.ts";
import { makeAuthority, makeCross, makeLeaf } from "../model/openssl.ts";
import {
  authority,
  checkpoint,
  deploymentOf,
  exported,
  first,
  type MadeUp,
  peer,
  peerAuthority,
  server,
} from "./states.ts";

const ending =
  'expected a whole file of "pulumi stack export" or of the backend\'s history. Nothing was changed';

function setOf(made: MadeUp) {
  return certificateSetOf(parseDeployment(exported(made), "a test"));
}

describe("parseDeployment", () => {
  test("reads an export", () => {
    const { project, stack, time, pendingOperations, secretsProvider, salt } = parseDeployment(
      exported(first),
      "before.json",
    );
    expect({ project, stack, time, pendingOperations, secretsProvider, salt }).toEqual({
      project: "etcd-rotation",
      stack: "prod",
      time: "2026-11-25T01:05:26.189117675Z",
      pendingOperations: 0,
      secretsProvider: "passphrase",
      salt: "v1:7YiiHVjbKG0=:v1:kRYM/W37pDHxuIAW:Yi3jq8Ya2g880fYHcuQihHHkAPPn7g==",
    });
  });

  test("makes of a checkpoint what an import takes, and loses nothing of it", () => {
    const { importable } = parseDeployment(checkpoint(first), "x.checkpoint.json");
    expect(JSON.parse(importable)).toEqual({ version: 3, deployment: deploymentOf(first) });
  });

  test("keeps the version and the features of a newer state", () => {
    const text = JSON.stringify({
      version: 4,
      features: ["taint"],
      checkpoint: { latest: deploymentOf(first) },
    });
    expect(JSON.parse(parseDeployment(text, "x").importable)).toMatchObject({
      version: 4,
      features: ["taint"],
    });
  });

  test("counts and names what a killed run left behind", () => {
    const urn = "urn:pulumi:prod::etcd-rotation::command:remote:Command::trust-master-2";
    const left = [{ type: "creating" }, { type: "creating", resource: { urn } }];
    const { pendingOperations, pending } = parseDeployment(
      exported({ ...first, pendingOperations: left }),
      "x",
    );
    expect({ pendingOperations, pending }).toEqual({ pendingOperations: 2, pending: ["trust-master-2"] });
  });

  test.each([
    ["cut", exported(first).slice(0, 3000), "it is no JSON, so it may have been cut"],
    ["empty", "", "it is no JSON, so it may have been cut"],
    ["another file", '{"name": "etcd-rotation"}', "it lacks parts that every state has"],
    [
      "a state without its manifest",
      exported(first).replace('"manifest"', '"m"'),
      "it lacks parts that every state has",
    ],
    [
      "a checkpoint without its manifest",
      checkpoint(first).replace('"manifest"', '"m"'),
      "it lacks parts that every state has",
    ],
    [
      "a state before its first update",
      '{"version":3,"deployment":{"manifest":{}}}',
      "it holds no resources",
    ],
    [
      "a destroyed stack's checkpoint",
      '{"version":3,"checkpoint":{"latest":{"resources":[]}}}',
      "it holds no resources",
    ],
    [
      "another version under the same sum",
      exported(first).replace("v3.259.0", "v3.258.0"),
      "the checksum in its manifest is not Pulumi's, so it was changed by hand",
    ],
    [
      "a resource of nothing",
      exported(first).replace("urn:pulumi:prod::etcd-rotation::", "urn:prod:"),
      'its first resource is "urn:prod:pulumi:pulumi:Stack::etcd-rotation-prod"',
    ],
  ])("refuses %s", (_, text, seen) => {
    expect(() => parseDeployment(text, "before.json")).toThrow(
      `Cannot read the state in before.json: ${seen}; ${ending}`,
    );
  });
});

describe("certificateSetOf", () => {
  test("reads rotation, authority, end and what made them", () => {
    const set = setOf(first);
    expect({ ...set, certificates: Object.keys(set.certificates) }).toEqual({
      rotation: "2026-11",
      certificates: ["etcd-ca", "etcd-peer-ca", "master-1-etcd-server", "master-1-etcd-peer"],
      authority: new X509Certificate(authority.certPem).fingerprint256.replaceAll(":", "").toLowerCase(),
      validityHours: 438_000,
      algorithm: "ECDSA-P256",
      rollout: 1,
      cluster: "4242",
      end: {
        name: "master-1-etcd-server",
        notAfter: Date.parse(new X509Certificate(server.certPem).validTo),
      },
      faults: [],
    });
  });

  test("takes the rotation from the trigger, and from the subject where there is none", () => {
    expect(setOf({ ...first, rotation: "2027-01" }).rotation).toBe("2027-01");
    const text = exported(first).replaceAll('"replacementTrigger": "2026-11"', '"other": 1');
    expect(certificateSetOf(parseDeployment(text, "x")).rotation).toBe("2026-11");
  });

  test("leaves out cross-certificates, which an authority that is not in the state has signed", () => {
    const more = ["etcd-ca", "etcd-peer-ca"].map((name) => ({
      urn: `urn:pulumi:prod::etcd-rotation::etcd-rotation:index:CertificateAuthority$tls:index/locallySignedCert:LocallySignedCert::${name}-cross`,
      custom: true,
      type: "tls:index/locallySignedCert:LocallySignedCert",
      inputs: { isCaCertificate: true },
      outputs: {
        certPem: makeCross(
          makeAuthority("/CN=etcd-ca 2026-10"),
          name === "etcd-ca" ? authority : peerAuthority,
        ),
      },
    }));
    expect(setOf({ ...first, more })).toEqual(setOf(first));
  });

  test("leaves out what a replacement has still to delete", () => {
    const old = makeAuthority("/CN=etcd-ca 2026-10");
    const more = deploymentOf({ ...first, authorities: { "etcd-ca": old }, leaves: {} })["resources"];
    const deleted = Array.isArray(more)
      ? more.slice(1).map((resource) => ({ ...resource, delete: true }))
      : [];
    expect(deleted).toHaveLength(2);
    expect(isSameSet(setOf({ ...first, more: deleted }), setOf(first))).toBe(true);
  });

  test("finds nothing missing where one authority is for clients and members", () => {
    const { "master-1-etcd-server": own } = first.leaves ?? {};
    expect(
      setOf({
        ...first,
        authorities: { "etcd-ca": authority },
        leaves: own === undefined ? {} : { "master-1-etcd-server": own },
      }).faults,
    ).toEqual([]);
  });

  test("takes a leaf that was made anew for another set", () => {
    const other = makeLeaf(authority, { subject: "/CN=etcd-server", days: 365 });
    expect(
      isSameSet(
        setOf(first),
        setOf({ ...first, leaves: { ...first.leaves, "master-1-etcd-server": other } }),
      ),
    ).toBe(false);
  });

  test.each<[string, MadeUp, string[]]>([
    [
      "an authority",
      { ...first, authorities: { "etcd-ca": authority } },
      ["etcd-peer-ca is missing", "master-1-etcd-peer is of another authority"],
    ],
    ["all leaves", { ...first, leaves: {} }, ["it has no leaf"]],
    [
      "the leaf's own authority",
      {
        ...first,
        authorities: { "etcd-ca": makeAuthority("/CN=etcd-ca 2026-11"), "etcd-peer-ca": peerAuthority },
      },
      ["master-1-etcd-server is of another authority"],
    ],
    [
      "a readable leaf",
      {
        ...first,
        leaves: { "master-1-etcd-server": { ...server, certPem: "-----BEGIN" }, "master-1-etcd-peer": peer },
      },
      ["master-1-etcd-server cannot be read"],
    ],
    [
      "the leaf's own key",
      {
        ...first,
        leaves: { "master-1-etcd-server": { ...server, keyPem: peer.keyPem }, "master-1-etcd-peer": peer },
      },
      ["master-1-etcd-server has another key"],
    ],
  ])("finds that %s is missing", (_, made, faults) => {
    expect(setOf(made).faults).toEqual(faults);
  });
});
