import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor } from "../../components/model/contents.ts";
import type { Found } from "../../components/model/found.ts";
import { crossCertificates, decideHandover, type HandoverQuestion } from "../../components/model/handover.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import {
  changed,
  diskOf,
  foundAs,
  makeOriginalPems,
  makePems,
  masterWith,
  signedBy,
  wantedOf,
} from "./cluster.ts";
import { makeAuthority, makeCross } from "./openssl.ts";

const earlier = makePems("earlier");
const other = makePems("other");
const next = makePems("next");
const { inState, texts } = signedBy(earlier, next);
const signers = {
  etcd: { certificate: inState.etcd, key: "state" },
  "etcd-peer": { certificate: inState["etcd-peer"], key: "state" },
} as const;
const plan = planRollout(foundAs(earlier), ackLayout, [], 0);
const now = Date.parse("2026-11-28T00:00:00Z");

const question: HandoverQuestion = {
  rows: ackLayout,
  mode: "rolling",
  inState,
  wanted: wantedOf(next).authorities,
  policy: "auto",
  isRestoring: false,
  isHeld: false,
  now,
  end: now + 3600_000,
};

function decided(found: Found, change: Partial<HandoverQuestion> = {}) {
  return decideHandover(found, { ...question, ...change });
}

const [etcd] = certificatesIn(earlier.authorities.etcd);

describe("decideHandover", () => {
  test("by cross-certificates where every trust file holds an authority whose key is at hand", () => {
    expect(decided(foundAs(earlier))).toEqual({ kind: "cross", signers });
    expect(decided(foundAs(earlier), { wanted: undefined })).toEqual({ kind: "cross", signers });
  });

  test("by cross-certificates where an earlier run came to retire", () => {
    const { masters } = foundAs(earlier);
    const found = {
      masters: masters.map(({ name }) => {
        const issued = {
          ...diskOf(earlier, name),
          ...contentsFor("issue", name, ackLayout, plan, next, texts),
        };
        const retired = contentsFor("retire", name, ackLayout, plan, next, texts);
        return masterWith(name, name === "master-1" ? { ...issued, ...retired } : issued);
      }),
    };
    expect(decided(found)).toEqual({ kind: "cross", signers });
  });

  test("by cross-certificates where one role is done everywhere: its signer is not trusted there any more", () => {
    const retired = (name: string, role: typeof next) => ({
      ...diskOf(earlier, name),
      ...Object.fromEntries(
        ["etcd-peer-ca", "etcd-peer", "etcd-peer-key"].map((id) => [id, diskOf(role, name)[id] ?? ""]),
      ),
    });
    const { masters } = foundAs(earlier);
    const done = masters.map(({ name }) => masterWith(name, retired(name, next)));
    expect(decided({ masters: done })).toEqual({ kind: "cross", signers });
    // done on one master alone, and the others have an authority without a key
    const half = masters.map(({ name }, index) =>
      masterWith(name, retired(name, index === 0 ? next : other)),
    );
    const [authority] = certificatesIn(other.authorities["etcd-peer"]);
    expect(decided({ masters: half })).toEqual({ kind: "union", reason: "no-key", authority });
  });

  test.each([
    ["recovery", foundAs(earlier), { mode: "recovery" }],
    ["never", foundAs(earlier), { policy: "never" }],
    ["restore", foundAs(earlier), { isRestoring: true }],
    ["held", foundAs(earlier), { isHeld: true }],
    ["incomplete", { ...foundAs(earlier), missing: [{ name: "master-4", isAlive: true }] }, {}],
    ["incomplete", { ...foundAs(earlier), joining: [masterWith("master-3", {})] }, {}],
    ["trusted", foundAs(next), {}],
    ["mixed", changed(foundAs(earlier), "master-2", () => ({ etcd: "lagging" })), {}],
    ["mixed", changed(foundAs(earlier), "master-2", () => ({ isApiReady: false })), {}],
    [
      "mixed",
      changed(foundAs(earlier), "master-2", ({ files: { "etcd-server": _, ...files } }) => ({ files })),
      {},
    ],
    [
      "mixed",
      changed(foundAs(earlier), "master-2", ({ served }) => ({ served: { 2379: served[2379] } as never })),
      {},
    ],
  ] as const)("by both authorities (%s)", (reason, found, change) => {
    expect(decided(found, change)).toEqual({ kind: "union", reason });
  });

  test("by both where a leaf is not accepted by every master, as far as the files tell", () => {
    const leaf = diskOf(other, "master-2")["apiserver-etcd-client"] ?? "";
    const found = changed(foundAs(earlier), "master-2", ({ files }) => ({
      files: {
        ...files,
        "apiserver-etcd-client": {
          ...files["apiserver-etcd-client"],
          certificates: certificatesIn(leaf),
        } as never,
      },
    }));
    expect(decided(found)).toEqual({ kind: "union", reason: "mixed" });
  });

  test("by both where no key is at hand, or that of another authority, which is named", () => {
    const expected = { kind: "union", reason: "no-key", authority: etcd };
    expect(decided(foundAs(earlier), { inState: undefined })).toEqual(expected);
    expect(decided(foundAs(earlier), { inState: signedBy(other, next).inState })).toEqual(expected);
  });

  test("by both where one trust file alone has an authority without a key", () => {
    const strange = certificatesIn(other.authorities["etcd-peer"]);
    const found = changed(foundAs(earlier), "master-3", ({ files }) => ({
      files: { ...files, "etcd-peer-ca": { ...files["etcd-peer-ca"], certificates: strange } as never },
    }));
    expect(decided(found)).toEqual({ kind: "union", reason: "no-key", authority: strange[0] });
  });

  test("by both where the authority may have none below it", () => {
    const narrow = makeOriginalPems(
      makeAuthority("/CN=narrow", 3650, ["basicConstraints=critical,CA:TRUE,pathlen:0"]),
    );
    const signed = signedBy(narrow, next).inState;
    expect(decided(foundAs(narrow), { inState: signed })).toEqual({
      kind: "union",
      reason: "constrained",
      authority: signed.etcd,
    });
  });

  test("by both where the authority ends before the rollout may", () => {
    const end = inState.etcd.notAfter - 7 * 86_400_000;
    expect(decided(foundAs(earlier), { end: end - 1 })).toEqual({ kind: "cross", signers });
    expect(decided(foundAs(earlier), { end })).toEqual({
      kind: "union",
      reason: "ends",
      authority: inState.etcd,
    });
  });
});

describe("keys that lie on a master", () => {
  const pem = (text: string) =>
    new X509Certificate(text).publicKey.export({ type: "spki", format: "pem" }).toString();
  /** The key of the authority in a file that no row has. */
  const withKeys = (found: Found, name: string, roles: readonly ("etcd" | "etcd-peer")[]) =>
    changed(found, name, () => ({
      strangerKeys: roles.map((role) => ({
        path: `/var/lib/etcd/cert/${role}-key.pem`,
        key: { pem: pem(earlier.authorities[role]), hash: inState[role].publicKey },
      })),
    }));
  const onMaster = (role: "etcd" | "etcd-peer", master = "master-2") => ({
    certificate: inState[role],
    key: { master, path: `/var/lib/etcd/cert/${role}-key.pem` },
  });
  const found = withKeys(foundAs(earlier), "master-2", ["etcd", "etcd-peer"]);
  const without = { inState: undefined };

  test("sign where the state has none, or others", () => {
    const expected = {
      kind: "cross",
      signers: { etcd: onMaster("etcd"), "etcd-peer": onMaster("etcd-peer") },
    };
    expect(decided(found, without)).toEqual(expected);
    expect(decided(found, { inState: signedBy(other, next).inState })).toEqual(expected);
    expect(decided(found)).toEqual({ kind: "cross", signers });
  });

  test("are needed for both authorities: the one that has none is named", () => {
    const half = withKeys(foundAs(earlier), "master-2", ["etcd"]);
    expect(decided(half, without)).toEqual({
      kind: "union",
      reason: "no-key",
      authority: inState["etcd-peer"],
    });
  });

  /** With these in the peers' trust file of a master. */
  const holding = (of: Found, name: string, ...texts: readonly string[]) =>
    changed(of, name, ({ files }) => ({
      files: {
        ...files,
        "etcd-peer-ca": { ...files["etcd-peer-ca"], certificates: certificatesIn(texts.join("")) } as never,
      },
    }));
  const own = earlier.authorities["etcd-peer"];
  const strange = makeAuthority("/CN=strange");
  const noKey = (authority: Certificate | undefined) => ({
    ...{ kind: "union", reason: "no-key" },
    ...(authority === undefined ? {} : { authority }),
  });

  test("are missing of the authority in use, not of somebody else's that stands before it, nor of the wanted one", () => {
    const half = withKeys(foundAs(earlier), "master-2", ["etcd"]);
    const of = (...texts: readonly string[]) => holding(half, "master-1", ...texts);
    expect([
      decided(of(strange.certPem, own), without),
      decided(of(next.authorities["etcd-peer"]), without),
      decided(half, { ...without, wanted: undefined }),
    ]).toEqual([noKey(inState["etcd-peer"]), noKey(inState["etcd-peer"]), noKey(inState["etcd-peer"])]);
    expect(decided(withKeys(foundAs(earlier), "master-2", ["etcd-peer"]), without)).toEqual(noKey(etcd));
  });

  test("are missing of what one file alone has, not of what is trusted beside one that has a key", () => {
    const [theirs] = certificatesIn(other.authorities["etcd-peer"]);
    const apart = holding(
      holding(found, "master-1", own, strange.certPem),
      "master-3",
      other.authorities["etcd-peer"],
    );
    expect(decided(apart, without)).toEqual(noKey(theirs));
  });

  test("of two authorities, each trusted by some, sign nothing: none of them is missing", () => {
    const [certificate] = certificatesIn(other.authorities["etcd-peer"]);
    const both = changed(holding(found, "master-3", other.authorities["etcd-peer"]), "master-1", () => ({
      strangerKeys: [{ path: "/x-key.pem", key: { pem: "", hash: certificate?.publicKey ?? "" } }],
    }));
    expect(decided(both, without)).toEqual(noKey(undefined));
  });

  test("of somebody else's authority sign nothing, though every file has it and its key lies beside", () => {
    const everywhere = ["master-1", "master-2", "master-3"].reduce(
      (of, name) => holding(of, name, strange.certPem, own),
      found,
    );
    const [certificate] = certificatesIn(strange.certPem);
    const beside = changed(everywhere, "master-1", () => ({
      strangerKeys: [{ path: "/x-key.pem", key: { pem: "", hash: certificate?.publicKey ?? "" } }],
    }));
    expect(decided(beside, without)).toEqual({
      kind: "cross",
      signers: { etcd: onMaster("etcd"), "etcd-peer": onMaster("etcd-peer") },
    });
  });

  test("one may lie here and the other there; what backup has signed counts for its own role alone", () => {
    const apart = withKeys(withKeys(foundAs(earlier), "master-3", ["etcd"]), "master-1", ["etcd-peer"]);
    const handover = decided(apart, without);
    expect(handover).toEqual({
      kind: "cross",
      signers: { etcd: onMaster("etcd", "master-3"), "etcd-peer": onMaster("etcd-peer", "master-1") },
    });
    expect(crossCertificates(handover, next.authorities, {}, texts)).toEqual(texts);
    expect(crossCertificates(handover, next.authorities, texts, {})).toBeUndefined();
    expect(crossCertificates(handover, next.authorities, {}, { etcd: texts.etcd })).toBeUndefined();
  });
});

describe("crossCertificates", () => {
  const [wanted] = certificatesIn(next.authorities.etcd);
  const sameName = makeAuthority(`/${wanted?.subject.join("/")}`);
  const sameKey = { certPem: makeAuthority("/CN=another").certPem, keyPem: next.keys.etcd.keyPem };
  const cross = { kind: "cross", signers } as const;

  test("are the texts, when each is the wanted authority's, signed by the one in use", () => {
    expect(crossCertificates(cross, next.authorities, texts, {})).toEqual(texts);
    expect(crossCertificates({ kind: "union", reason: "held" }, next.authorities, texts, {})).toBeUndefined();
    expect(crossCertificates(cross, { ...next.authorities, etcd: "" }, texts, {})).toBeUndefined();
  });

  test.each([
    ["missing", {}],
    ["of the other authority", { ...texts, "etcd-peer": texts.etcd }],
    ["of another rotation", signedBy(earlier, other).texts],
    ["signed by another", signedBy(other, next).texts],
    ["of another key under the wanted name", { ...texts, etcd: makeCross(earlier.keys.etcd, sameName) }],
    ["of the wanted key under another name", { ...texts, etcd: makeCross(earlier.keys.etcd, sameKey) }],
  ])("are none when one is %s", (_, some) => {
    expect(crossCertificates(cross, next.authorities, some, {})).toBeUndefined();
  });
});
