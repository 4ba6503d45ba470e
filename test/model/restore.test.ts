import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor, restoredContents, wantedRows } from "../../components/model/contents.ts";
import { differences } from "../../components/model/differences.ts";
import type { Found, FoundMaster, SavedFile } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout, type KubernetesRow } from "../../components/model/layout.ts";
import { planRollout } from "../../components/model/plan.ts";
import { planRestore, rotationOf } from "../../components/model/restore.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { changed, diskOf, fileOf, foundAs, makePems, receipt, wantedOf } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const original = makePems("original", "shared");
const present = makePems("present");
const now = Date.now();
const question = { rows: ackLayout, kubernetes: [], rollout: 3, owner: receipt.owner, heldBefore: undefined, renewBefore: 60 * 86_400, now };

/** Masters that run with one set and keep another one. */
function keeping(pems: WantedPems, running: WantedPems = present): Found {
  return { masters: foundAs(running).masters.map((master) => ({ ...master, saved: savedOf(pems, master.name) })) };
}

function savedOf(pems: WantedPems, master: string): Record<string, SavedFile> {
  const disk = diskOf(pems, master);
  return Object.fromEntries(ackLayout.map((row) => [row.id, fileOf(row, disk[row.id] ?? "")]));
}

test("the wanted set is the one in the backup, under a name of its own", () => {
  const { wanted, refusals, kubernetes } = planRestore(keeping(original), question);
  expect(refusals).toEqual([]);
  expect(kubernetes).toEqual({ "master-1": [], "master-2": [], "master-3": [] });
  expect(wanted).toEqual({
    ...wantedOf(original),
    rotation: "restore-3",
    restored: { "master-1": {}, "master-2": {}, "master-3": {} },
  });
  expect([rotationOf({ rotation: "2026-11" }), rotationOf({ rotation: "2026-11", restore: 3 })]).toEqual(["2026-11", "restore-3"]);
});

test("masters that have the set again differ in nothing once the receipts say so", () => {
  const { wanted } = planRestore(keeping(original), question);
  const restored = { masters: keeping(original, original).masters.map((master) => ({ ...master, receipt: { ...receipt, rotation: "restore-3" } })) };
  expect(differences(restored, wanted, ackLayout)).toEqual([]);
  expect(differences(keeping(original), wanted, ackLayout)).not.toEqual([]);
});

test("trust has the authorities of both sets; all other contents are the backup's own", () => {
  const found = keeping(original);
  const plan = planRollout(found, ackLayout, [], now);
  const saved = found.masters[0]?.saved ?? {};
  const trust = restoredContents("trust", "master-1", ackLayout, plan, saved);
  expect(Object.keys(trust)).toEqual(["etcd-ca", "etcd-peer-ca", "apiserver-etcd-ca"]);
  expect(fingerprints(trust["etcd-peer-ca"])).toEqual([...fingerprints(original.authorities["etcd-peer"]), ...fingerprints(present.authorities["etcd-peer"])]);
  expect(restoredContents("issue", "master-1", ackLayout, plan, saved)).toEqual({});
  // the rows are those that a rotation writes
  for (const phase of ["backup", "issue", "settle", "retire", "verify"] as const) {
    expect(wantedRows(phase, ackLayout).map(({ id }) => id)).toEqual(Object.keys(contentsFor(phase, "master-1", ackLayout, plan, present)));
  }
});

describe("a set that would not serve is refused", () => {
  const expired = makePems("expired");
  const refusalsOf = (found: Found) => planRestore(found, question).refusals;

  test("no backup of that rollout", () => {
    expect(refusalsOf(changed(keeping(original), "master-2", () => ({ backups: [4] })))).toEqual([
      "Cannot restore rollout 3: master-2 keeps no backup of it; expected one of 4. See npm run backups",
    ]);
  });

  test("a file that is missing or damaged", () => {
    const found = changed(keeping(original), "master-2", ({ saved }) => {
      const { "etcd-peer-key": _, ...others } = saved;
      return { saved: others };
    });
    expect(refusalsOf(found)).toContain(
      "Cannot restore rollout 3: in its backup on master-2: etcd-peer-key is missing; expected a whole and valid set. Remove restore",
    );
  });

  test("masters whose backups are of different sets", () => {
    const found = changed(keeping(original), "master-2", () => ({ saved: savedOf(expired, "master-2") }));
    expect(refusalsOf(found).join("\n")).toContain("in its backup on master-2: etcd-peer is not accepted by etcd-peer-ca of master-1, master-3");
  });

  test("one that has ended, and one that ends within renewBefore unless that is made shorter", () => {
    const [end] = certificatesIn(original.leaves["master-1"]?.["etcd-server"].certPem ?? "").map(({ notAfter }) => notAfter);
    const late = (daysLeft: number, renewBefore: number) =>
      planRestore(keeping(original), { ...question, now: (end ?? 0) - daysLeft * 86_400_000, renewBefore: renewBefore * 86_400 }).refusals;
    expect(late(-1, 1).join("\n")).toContain("in its backup on master-1: etcd-server expired on ");
    expect(late(30, 60)).toHaveLength(1);
    expect(late(30, 60)[0]).toMatch(/^Cannot restore rollout 3: etcd-\w+ of master-\d would end on \d{4}-\d\d-\d\d, within certificates\.renewBefore;/);
    expect(late(30, 1)).toEqual([]);
  });
});

describe("Kubernetes' own files", () => {
  const authority = makeAuthority("/CN=kubernetes");
  const other = makeAuthority("/CN=kubernetes");
  const rows = ackKubernetes.filter(({ id }) => ["cluster-ca", "apiserver", "apiserver-key", "admin.conf"].includes(id));
  const leaf = (signer = authority) => makeLeaf(signer, { subject: "/CN=kube-apiserver", sans: "DNS:kubernetes" });
  const [then, today] = [leaf(), leaf()];

  /** On one master: what it has, and what it keeps. */
  function found(kept: ReturnType<typeof leaf>): Found {
    const files = (own: ReturnType<typeof leaf>) => ({
      "cluster-ca": file(authority.certPem),
      apiserver: file(own.certPem),
      "apiserver-key": { ...file(""), publicKey: certificatesIn(own.certPem)[0]?.publicKey ?? "" },
    });
    const base = keeping(original);
    return changed(base, "master-1", (master: FoundMaster) => ({
      files: { ...master.files, ...files(today) },
      saved: { ...master.saved, ...files(kept) },
    }));
  }

  function plan(kept: ReturnType<typeof leaf>, of: readonly KubernetesRow[] = rows) {
    return planRestore(found(kept), { ...question, kubernetes: of });
  }

  test("come back when their authority still has the same key, and are differences until then", () => {
    const { wanted, kubernetes, notices } = plan(then);
    expect([kubernetes["master-1"], notices]).toEqual([["apiserver", "apiserver-key"], []]);
    expect(wanted.restored?.["master-1"]).toEqual({ apiserver: certificatesIn(then.certPem)[0]?.fingerprint });
    expect(differences(found(then), wanted, ackLayout)).toContainEqual({ master: "master-1", what: "apiserver is not the one of the backup" });
  });

  test("stay where the authority's key is another one now, and are named", () => {
    const { kubernetes, notices } = plan(leaf(other));
    expect([kubernetes["master-1"], notices]).toEqual([[], ["master-1: apiserver is not restored: the key of cluster-ca is another one now"]]);
  });

  test("that are equal anyway are no business of a restore", () => {
    expect(plan(today)).toMatchObject({ kubernetes: { "master-1": [] }, notices: [] });
  });
});

function file(text: string) {
  return { isPresent: true, isReadable: true, ownerAndMode: "root:root 600", path: "", realPath: "", publicKey: "-", certificates: certificatesIn(text) };
}

function fingerprints(text = ""): string[] {
  return certificatesIn(text).map(({ fingerprint }) => fingerprint);
}
