import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import type { Handover } from "../../components/model/handover.ts";
import { crossTexts, current, type Handed, inState, pems, type Registered, run, valueIn } from "./program.ts";

const keys = { current: current.keys, previous: undefined };
const bySigners = (key: (role: string) => "state" | { master: string; path: string }): Handover => ({
  kind: "cross",
  signers: {
    etcd: { certificate: inState.etcd, key: key("etcd") },
    "etcd-peer": { certificate: inState["etcd-peer"], key: key("etcd-peer") },
  },
});
const fromState: Handed = { keys, handover: bySigners(() => "state") };

function named(registered: readonly Registered[], name: string): Registered {
  const found = registered.find((each) => each.name === name);
  if (found === undefined) {
    throw new Error(`Cannot find ${name}`);
  }
  return found;
}

/** A variable of a step's script, or of one of its rows. */
function scriptOf(registered: readonly Registered[], step: string): string {
  return String(named(registered, step).inputs["stdin"]);
}

describe("with the previous authorities' keys in the state", async () => {
  const { registered, authorityKeys } = await run({}, undefined, undefined, fromState);

  test("each signs its own successor, with a key that is a secret", () => {
    for (const [name, role] of [
      ["etcd-ca", "etcd"],
      ["etcd-peer-ca", "etcd-peer"],
    ] as const) {
      const cross = named(registered, `${name}-cross`);
      expect(cross.parent).toBe(name);
      expect(cross.inputs).toMatchObject({
        caCertPem: current.keys[role].certPem,
        caPrivateKeyPem: current.keys[role].keyPem,
        certRequestPem: `request of ${name}-cross-request`,
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours: 438_000,
      });
      expect(cross.inputs["earlyRenewalHours"]).toBeUndefined();
      expect(cross.secrets).toContain("caPrivateKeyPem");
      const request = named(registered, `${name}-cross-request`);
      expect(request.inputs["privateKeyPem"]).toBe(`key of ${name}-key`);
      const self = registered.find((each) => each.name === name && each.type.includes("selfSignedCert"));
      expect(request.inputs["subject"]).toEqual(self?.inputs["subject"] ?? "none");
    }
  });

  test("trust writes nothing, issue each leaf with the cross-certificate of its own authority behind it", () => {
    for (const [name, own] of Object.entries(pems.leaves)) {
      const trust = scriptOf(registered, `trust-${name}`);
      expect(trust).not.toContain("BEGIN CERTIFICATE");
      const issue = scriptOf(registered, `issue-${name}`);
      expect(issue).toContain(`'${own["etcd-server"].certPem}${crossTexts.etcd}'`);
      expect(issue).toContain(`'${own["etcd-peer"].certPem}${crossTexts["etcd-peer"]}'`);
      expect(issue).toContain(`'${own["etcd-client"].certPem}${crossTexts.etcd}'`);
      const verify = scriptOf(registered, `verify-${name}`);
      expect(verify).toContain(`'${own["etcd-server"].certPem}'`);
      expect(verify).not.toContain(crossTexts.etcd);
    }
  });

  test("the next run finds this one's keys, and those before, in a secret", async () => {
    expect(await pulumi.isSecret(authorityKeys)).toBe(true);
    expect(await valueIn(authorityKeys)).toEqual({
      current: {
        etcd: { certPem: pems.authorities.etcd, keyPem: "key of etcd-ca-key" },
        "etcd-peer": { certPem: pems.authorities["etcd-peer"], keyPem: "key of etcd-peer-ca-key" },
      },
      previous: current.keys,
    });
  });
});

test("no key of the state signs when the stack file says never, or when the state has none", async () => {
  for (const [change, handed] of [
    [{ crossCertificates: "never" }, { keys }],
    [{}, {}],
  ] as const) {
    const { registered } = await run(change, undefined, undefined, handed);
    expect(registered.filter(({ name }) => name.includes("cross"))).toEqual([]);
    expect(scriptOf(registered, "trust-master-1")).toContain(pems.authorities.etcd);
  }
});

test("a cross-certificate that is not the wanted authority's is not used: both are trusted", async () => {
  const other = { ...current.keys, etcd: pems.keys.etcd };
  const handover: Handover = {
    kind: "cross",
    signers: {
      etcd: { certificate: inState["etcd-peer"], key: "state" },
      "etcd-peer": { certificate: inState["etcd-peer"], key: "state" },
    },
  };
  const { registered } = await run({}, undefined, undefined, {
    keys: { current: other, previous: undefined },
    handover,
  });
  expect(scriptOf(registered, "trust-master-1")).toContain(pems.authorities.etcd);
  expect(scriptOf(registered, "issue-master-1")).not.toContain(crossTexts.etcd);
});

describe("with keys that lie on master-2", () => {
  const path = (role: string) => `/var/lib/etcd/cert/${role}-key.pem`;
  const handed: Handed = { handover: bySigners((role) => ({ master: "master-2", path: path(role) })) };
  const signed = (role: "etcd" | "etcd-peer") =>
    crossTexts[role]
      .trimEnd()
      .split("\n")
      .map((line) => `authority ${role} ${line}\n`)
      .join("");
  const answers = (said: string) => (name: string, stdout: string) =>
    name === "backup-master-2" ? `${said}${stdout}` : stdout;

  test("backup there is told what to sign, and by which key; all masters get what it says", async () => {
    const { registered } = await run(
      {},
      answers(`${signed("etcd")}${signed("etcd-peer")}`),
      undefined,
      handed,
    );
    const backup = scriptOf(registered, "backup-master-2");
    expect(backup).toContain("\nCROSS_ROLE=('etcd' 'etcd-peer')\n");
    expect(backup).toContain(`\nCROSS_KEY=('${path("etcd")}' '${path("etcd-peer")}')\n`);
    expect(backup).toContain(
      `\nCROSS_SIGNER=('${current.authorities.etcd}' '${current.authorities["etcd-peer"]}')\n`,
    );
    expect(backup).toContain(
      `\nCROSS_WANTED=('${pems.authorities.etcd}' '${pems.authorities["etcd-peer"]}')\n`,
    );
    expect(scriptOf(registered, "backup-master-1")).toContain("\nCROSS_ROLE=()\n");
    expect(scriptOf(registered, "issue-master-2")).toContain("\nCROSS_ROLE=()\n");
    for (const master of ["master-1", "master-2", "master-3"]) {
      expect(scriptOf(registered, `trust-${master}`)).not.toContain("BEGIN CERTIFICATE");
      const leaf = pems.leaves[master]?.["etcd-peer"].certPem;
      expect(scriptOf(registered, `issue-${master}`)).toContain(`'${leaf}${crossTexts["etcd-peer"]}'`);
    }
  });

  test("that could not sign one of them, both authorities are trusted", async () => {
    const { registered } = await run({}, answers(signed("etcd")), undefined, handed);
    expect(scriptOf(registered, "trust-master-3")).toContain(pems.authorities["etcd-peer"]);
    expect(scriptOf(registered, "issue-master-3")).not.toContain(crossTexts.etcd);
  });
});
