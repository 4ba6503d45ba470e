import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor, restoredContents, wantedRows } from "../../components/model/contents.ts";
import { differences } from "../../components/model/differences.ts";
import type { Found, FoundMaster, SavedFile } from "../../components/model/found.ts";
import type { KubernetesRow } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { noRenewals, planRestore, rotationOf } from "../../components/model/restore.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { changed, diskOf, fileOf, foundAs, makePems, receipt, signedBy, wantedOf } from "./cluster.ts";
import { makeAuthority, makeCross, makeLeaf, openssl } from "./openssl.ts";

const original = makePems("original", "shared");
const present = makePems("present");
const now = Date.now();
const question = {
  rows: ackLayout,
  kubernetes: [],
  rollout: 3,
  owner: receipt.owner,
  kept: {},
  renewBefore: 60 * 86_400,
  rolloutSeconds: 5400,
  now,
};

/** Masters that run with one set and keep another one. */
function keeping(pems: WantedPems, running: WantedPems = present): Found {
  return {
    masters: foundAs(running).masters.map((master) => ({ ...master, saved: savedOf(pems, master.name) })),
  };
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
  expect([rotationOf({ rotation: "2026-11" }), rotationOf({ rotation: "2026-11", restore: 3 })]).toEqual([
    "2026-11",
    "restore-3",
  ]);
});

test("masters that have the set again differ in nothing once the receipts say so", () => {
  const { wanted } = planRestore(keeping(original), question);
  const restored = {
    masters: keeping(original, original).masters.map((master) => ({
      ...master,
      receipt: { ...receipt, rotation: "restore-3" },
    })),
  };
  expect(differences(restored, wanted, ackLayout)).toEqual([]);
  expect(differences(keeping(original), wanted, ackLayout)).not.toEqual([]);
});

test("trust has the authorities of both sets; all other contents are the backup's own", () => {
  const found = keeping(original);
  const plan = planRollout(found, ackLayout, [], now);
  const saved = found.masters[0]?.saved ?? {};
  const trust = restoredContents("trust", "master-1", ackLayout, plan, saved);
  expect(Object.keys(trust)).toEqual(["etcd-ca", "etcd-peer-ca", "apiserver-etcd-ca"]);
  expect(fingerprints(trust["etcd-peer-ca"])).toEqual([
    ...fingerprints(original.authorities["etcd-peer"]),
    ...fingerprints(present.authorities["etcd-peer"]),
  ]);
  expect(restoredContents("issue", "master-1", ackLayout, plan, saved)).toEqual({});
  // of what neither the backup nor the plan has, nothing
  const nothing = { "etcd-ca": "", "etcd-peer-ca": "", "apiserver-etcd-ca": "" };
  expect(restoredContents("trust", "master-9", ackLayout, plan, {})).toEqual(nothing);
  // the rows are those that a rotation writes
  for (const phase of ["backup", "issue", "settle", "retire", "verify"] as const) {
    expect(wantedRows(phase, ackLayout).map(({ id }) => id)).toEqual(
      Object.keys(contentsFor(phase, "master-1", ackLayout, plan, present)),
    );
  }
});

describe("a set that would not serve is refused", () => {
  const expired = makePems("expired");
  const refusalsOf = (found: Found) => planRestore(found, question).refusals;

  test("no backup of that rollout", () => {
    expect(refusalsOf(changed(keeping(original), "master-2", () => ({ backups: [4] })))).toEqual([
      "Cannot restore rollout 3: master-2 keeps no backup of it; expected one of 4. See npx etcd-rotation backups",
    ]);
  });

  test("no backup at all; others, of which there are several", () => {
    const some = changed(
      changed(keeping(original), "master-1", () => ({ backups: [] })),
      "master-2",
      () => ({ backups: [4, 5] }),
    );
    expect(refusalsOf(some)).toEqual([
      "Cannot restore rollout 3: master-1 keeps no backup of it; expected one, and there is none. See npx etcd-rotation backups",
      "Cannot restore rollout 3: master-2 keeps no backup of it; expected one of 4, 5. See npx etcd-rotation backups",
    ]);
  });

  test("a master that is still to join, beside one that is missing", () => {
    const { masters } = keeping(original);
    expect(
      refusalsOf({
        masters: masters.slice(0, 2),
        missing: [{ name: "master-4", isAlive: false }],
        joining: masters.slice(2),
      })[0],
    ).toContain("Cannot restore rollout 3 without master-4, master-3: ");
  });

  test("a master that is missing", () => {
    expect(refusalsOf({ ...keeping(original), missing: [{ name: "master-4", isAlive: true }] })).toEqual([
      "Cannot restore rollout 3 without master-4: its part of the set is in its own backup; expected all masters. Remove restore, or bring it back",
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
    expect(refusalsOf(found).join("\n")).toContain(
      "in its backup on master-2: etcd-peer is not accepted by etcd-peer-ca of master-1, master-3",
    );
  });

  test("of a rollout that was cut while cross-certificates stood behind its leaves", () => {
    const next = makePems("next");
    const { texts } = signedBy(original, next);
    const found = {
      masters: keeping(original).masters.map((master) => {
        const rows = ackLayout.filter(({ kind }) => kind !== "trust");
        const issued = rows.map((row) => {
          const text = `${diskOf(next, master.name)[row.id]}${row.kind === "cert" ? texts[row.authority] : ""}`;
          return [row.id, fileOf(row, text)];
        });
        return { ...master, saved: { ...master.saved, ...Object.fromEntries(issued) } };
      }),
    };
    expect(refusalsOf(found).join("\n")).toContain(
      "in its backup on master-2: etcd-peer is not accepted by etcd-peer-ca of master-1",
    );
  });

  test("one that has ended, or would before a rollout is done and checked", () => {
    expect(late(-1).refusals.join("\n")).toContain("in its backup on master-1: etcd-server expired on ");
    expect(late(5399).refusals).toEqual([
      expect.stringMatching(
        /^Cannot restore rollout 3: etcd-\w+ of master-\d would end at [\d-]+ [\d:]+ UTC, before a rollout is sure to be done and checked; expected [\d-]+ [\d:]+ UTC or later\. Remove restore and ask for a new set: pulumi config set rotation <new>$/,
      ),
    ]);
  });
});

/** With so many seconds left of the first leaf. */
function late(secondsLeft: number) {
  const ends = Object.values(original.leaves).flatMap((own) =>
    Object.values(own).flatMap(({ certPem }) => certificatesIn(certPem).map(({ notAfter }) => notAfter)),
  );
  return planRestore(keeping(original), { ...question, now: Math.min(...ends) - secondsLeft * 1000 });
}

test("a set that ends within renewBefore, which is why it was rotated, comes back; the day is told", () => {
  const { refusals, notices } = late(5401);
  expect(refusals).toEqual([]);
  expect(notices).toEqual([
    expect.stringMatching(
      /^(apiserver-)?etcd-\w+ of master-\d is the first to end of what is restored, on \d{4}-\d\d-\d\d, within certificates\.renewBefore; nothing is renewed while restore is set: before that day remove it$/,
    ),
  ]);
  expect(late(61 * 86_400).notices).toEqual([]);
});

const separate = makePems("separate");

/** One file of master-2's backup with another end. */
function ending(id: string, notAfter: number): Found {
  return changed(keeping(separate), "master-2", ({ saved }) => {
    const file = saved[id];
    const certificates = file?.certificates.map((each) => ({ ...each, notAfter })) ?? [];
    return { saved: file === undefined ? saved : { ...saved, [id]: { ...file, certificates } } };
  });
}

test("what ends first of all masters and files is named, and its last moment counts", () => {
  const end = now + 20 * 86_400_000;
  const at = (change: Partial<typeof question>, found = ending("etcd-peer", end)) =>
    planRestore(found, { ...question, ...change });
  const first = expect.stringContaining("etcd-peer of master-2 is the first to end");
  expect(at({}).notices).toEqual([first]);
  expect(at({ renewBefore: 20 * 86_400 }).notices).toEqual([]);
  // a master without any does not hide it
  expect(
    at(
      {},
      changed(ending("etcd-peer", end), "master-1", () => ({ saved: {} })),
    ).notices,
  ).toEqual([first]);
  // an authority that has issued a leaf counts as well
  expect(at({}, ending("etcd-peer-ca", end)).notices).toEqual([
    expect.stringContaining("etcd-peer-ca of master-2 is the first to end"),
  ]);
  expect(at({ rolloutSeconds: 20 * 86_400 }).refusals).toEqual([]);
  const minute = (time: number) => `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  expect(at({ rolloutSeconds: 21 * 86_400 }).refusals).toEqual([
    expect.stringContaining(
      `etcd-peer of master-2 would end at ${minute(end)}, before a rollout is sure to be done and checked; expected ${minute(now + 21 * 86_400_000)} or later`,
    ),
  ]);
});

describe("the authorities that are wanted", () => {
  const foreign = certificatesIn(makeAuthority("/CN=somebody").certPem);
  const withForeign = (more: (own: SavedFile["certificates"]) => SavedFile["certificates"]) =>
    changed(keeping(original), "master-1", ({ saved }) => {
      const file = saved["etcd-ca"];
      return file === undefined
        ? {}
        : { saved: { ...saved, "etcd-ca": { ...file, certificates: more(file.certificates) } } };
    });

  test("are the cluster's own, also where the backup has somebody else's before them", () => {
    const { wanted, refusals } = planRestore(
      withForeign((own) => [...foreign, ...own]),
      question,
    );
    expect([wanted.authorities, refusals]).toEqual([wantedOf(original).authorities, []]);
  });

  test("are each role's own, from a trust file wherever that stands in the table", () => {
    for (const rows of [ackLayout, ackLayout.toReversed()]) {
      const { wanted } = planRestore(keeping(separate), { ...question, rows });
      expect(wanted.authorities).toEqual(wantedOf(separate).authorities);
    }
  });

  test("are none where there is no master, or its backup has none", () => {
    const none = { etcd: "", "etcd-peer": "" };
    const bare = changed(keeping(original), "master-1", () => ({ saved: {} }));
    expect(planRestore(bare, question).wanted.authorities).toEqual(none);
    expect(planRestore({ masters: [] }, question).wanted.authorities).toEqual(none);
    const others = planRestore(
      withForeign(() => foreign),
      question,
    );
    expect(others.wanted.authorities.etcd).toBe("");
  });
});

test("nothing is renewed while a backup is wanted, and what stays as it is is told", () => {
  const told = { notices: ["one"], kept: [{ master: "master-1", file: "apiserver", why: "is another" }] };
  expect(noRenewals(told)).toEqual({
    ...told,
    leaves: {},
    authorities: { "cluster-ca": { kind: "keep" }, "front-proxy-ca": { kind: "keep" } },
    purpose: "",
  });
});

test("an authority in a trust file that has issued none of the leaves may end when it likes", () => {
  const [foreign] = certificatesIn(makeAuthority("/CN=somebody", 1).certPem);
  const found = changed(keeping(original), "master-2", ({ saved }) => {
    const file = saved["etcd-ca"];
    return file === undefined || foreign === undefined
      ? {}
      : { saved: { ...saved, "etcd-ca": { ...file, certificates: [...file.certificates, foreign] } } };
  });
  const { refusals, notices } = planRestore(found, { ...question, now: (foreign?.notAfter ?? 0) - 1000 });
  expect([refusals, notices]).toEqual([[], []]);
});

describe("Kubernetes' own files", () => {
  const authority = makeAuthority("/CN=kubernetes");
  const other = makeAuthority("/CN=kubernetes");
  const rows = ackKubernetes.filter(({ id }) =>
    ["cluster-ca", "apiserver", "apiserver-key", "admin.conf"].includes(id),
  );
  const leaf = (signer = authority) =>
    makeLeaf(signer, { subject: "/CN=kube-apiserver", sans: "DNS:kubernetes" });
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
    expect(wanted.restored?.["master-1"]).toEqual({
      apiserver: certificatesIn(then.certPem)[0]?.fingerprint,
    });
    expect(differences(found(then), wanted, ackLayout)).toContainEqual({
      master: "master-1",
      what: "apiserver is not the one of the backup",
    });
  });

  test("stay where the authority's key is another one now, and are named", () => {
    const { kubernetes, notices } = plan(leaf(other));
    expect([kubernetes["master-1"], notices]).toEqual([
      [],
      ["master-1: apiserver is not restored: the key of cluster-ca is another one now"],
    ]);
  });

  test("come back within renewBefore as well, and stay when they would end during the rollout", () => {
    const [end] = certificatesIn(then.certPem).map(({ notAfter }) => notAfter);
    const at = (secondsLeft: number) =>
      planRestore(found(then), {
        ...question,
        rows: [],
        kubernetes: rows,
        now: (end ?? 0) - secondsLeft * 1000,
      });
    expect([at(5401).kubernetes["master-1"], at(5401).notices]).toEqual([
      ["apiserver", "apiserver-key"],
      [expect.stringMatching(/^apiserver of master-1 is the first to end of what is restored, on /)],
    ]);
    expect(at(5400).kubernetes["master-1"]).toEqual(["apiserver", "apiserver-key"]);
    expect([at(5399).kubernetes["master-1"], at(5399).notices]).toEqual([
      [],
      [expect.stringMatching(/^master-1: apiserver is not restored: it would end at [\d-]+ [\d:]+ UTC$/)],
    ]);
  });

  test("stay where the key in the backup is not the certificate's, and are named", () => {
    const torn = changed(found(then), "master-1", ({ saved }) => ({
      saved: { ...saved, "apiserver-key": { publicKey: "another", certificates: [] } },
    }));
    const { kubernetes, notices } = planRestore(torn, { ...question, kubernetes: rows });
    expect([kubernetes["master-1"], notices]).toEqual([
      [],
      ["master-1: apiserver is not restored: its key in the backup is another one"],
    ]);
  });

  test("stay where the backup has the certificate and not its key, and are named", () => {
    const torn = changed(found(then), "master-1", ({ saved: { "apiserver-key": _, ...saved } }) => ({
      saved,
    }));
    expect(planRestore(torn, { ...question, kubernetes: rows }).notices).toEqual([
      "master-1: apiserver is not restored: its key in the backup is another one",
    ]);
  });

  test("are judged by the leaf, where its authority stands behind it as in ACK's, and stay without a word where the backup has none", () => {
    const apiserver = file(`${then.certPem}${authority.certPem}`);
    const chained = changed(found(then), "master-1", ({ saved }) => ({ saved: { ...saved, apiserver } }));
    expect(planRestore(chained, { ...question, kubernetes: rows }).kubernetes["master-1"]).toEqual([
      "apiserver",
      "apiserver-key",
    ]);
    const none = changed(found(then), "master-1", ({ saved: { apiserver: _, ...saved } }) => ({ saved }));
    expect(planRestore(none, { ...question, kubernetes: rows })).toMatchObject({
      kubernetes: { "master-1": [] },
      notices: [],
    });
  });

  test("that have no key of their own come back alone: an embedded one cannot be apart", () => {
    const inside = changed(found(today), "master-1", ({ saved, files }) => ({
      saved: { ...saved, "admin.conf": file(then.certPem) },
      files: { ...files, "admin.conf": file(today.certPem) },
    }));
    const { kubernetes, wanted, notices } = planRestore(inside, { ...question, kubernetes: rows });
    expect([kubernetes["master-1"], notices]).toEqual([["admin.conf"], []]);
    expect(wanted.restored?.["master-1"]).toEqual({
      "admin.conf": certificatesIn(then.certPem)[0]?.fingerprint,
    });
  });

  describe("an authority", () => {
    const again = openssl(["x509", "-in", "ca.pem", "-signkey", "key.pem", "-days", "3000"], {
      "ca.pem": authority.certPem,
      "key.pem": authority.keyPem,
    });
    const kept = (text: string) =>
      planRestore(
        changed(found(today), "master-1", ({ saved }) => ({ saved: { ...saved, "cluster-ca": file(text) } })),
        { ...question, kubernetes: rows },
      );

    test("comes back with the key that it has now, wherever it stands in its file", () => {
      expect([kept(again).kubernetes["master-1"], kept(again).notices]).toEqual([["cluster-ca"], []]);
      expect(kept(`${other.certPem}${again}`).kubernetes["master-1"]).toEqual(["cluster-ca"]);
    });

    test("comes back with that key whoever has signed it", () => {
      expect(kept(makeCross(other, authority)).kubernetes["master-1"]).toEqual(["cluster-ca"]);
    });

    test("stays with another key, and is named", () => {
      expect([kept(other.certPem).kubernetes["master-1"], kept(other.certPem).notices]).toEqual([
        [],
        ["master-1: cluster-ca is not restored: the key of cluster-ca is another one now"],
      ]);
    });

    test("that is not on the master lets nothing of its own back", () => {
      const without = changed(found(then), "master-1", ({ files: { "cluster-ca": _, ...files } }) => ({
        files,
      }));
      expect(planRestore(without, { ...question, kubernetes: rows }).notices).toEqual([
        "master-1: cluster-ca is not restored: the key of cluster-ca is another one now",
        "master-1: apiserver is not restored: the key of cluster-ca is another one now",
      ]);
    });
  });

  test("that are equal anyway are no business of a restore", () => {
    expect(plan(today)).toMatchObject({ kubernetes: { "master-1": [] }, notices: [] });
  });
});

function file(text: string) {
  return {
    isPresent: true,
    isReadable: true,
    ownerAndMode: "root:root 600",
    path: "",
    realPath: "",
    publicKey: "-",
    certificates: certificatesIn(text),
  };
}

function fingerprints(text = ""): string[] {
  return certificatesIn(text).map(({ fingerprint }) => fingerprint);
}
