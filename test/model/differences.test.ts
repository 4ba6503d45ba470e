import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import {
  differences,
  fingerprintsIn,
  isTrusted,
  renewalDifferences,
} from "../../components/model/differences.ts";
import type { FoundMaster } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { changed, fileOf, foundAs, makePems, receipt, wantedOf } from "./cluster.ts";

const pems = makePems("wanted");
const other = makePems("other");
const wanted = wantedOf(pems);
const asWanted = foundAs(pems);
const otherLeaf = certificatesIn(other.leaves["master-2"]?.["etcd-server"].certPem ?? "")[0];

test("masters that are as wanted differ in nothing", () => {
  expect(differences(asWanted, wanted, ackLayout)).toEqual([]);
  expect(differences(asWanted, undefined, ackLayout)).toEqual([]);
});

test("what a rollout cannot or need not change is no difference", () => {
  const found = foundAs(pems, {
    etcd: "lagging",
    isApiReady: false,
    clients: ["10.0.0.9"],
    lock: "someone",
    clock: 0,
    backups: [],
    isLeader: false,
    members: [],
  });
  expect(differences(found, wanted, ackLayout)).toEqual([]);
});

type Change = (master: FoundMaster) => Partial<FoundMaster>;
const processes =
  (component: string, isStale: boolean): Change =>
  (master) => ({
    processes: { ...master.processes, [component]: { identity: "x 1 2", isStale, flags: [] } },
  });

/** Deviations that show whatever is wanted. */
const always: readonly [string, Change][] = [
  ["no rollout has been recorded yet", () => ({ receipt: undefined })],
  [
    "rollout 4 was interrupted in phase issue",
    () => ({ receipt: { ...receipt, isComplete: false, phase: "issue" } }),
  ],
  [
    "/var/lib/etcd-rotation/journal is left over from an interrupted step",
    () => ({ leftovers: ["/var/lib/etcd-rotation/journal"] }),
  ],
  ["etcd is not running", (master) => ({ processes: without(master.processes, "etcd") })],
  ["kube-apiserver is not running", (master) => ({ processes: without(master.processes, "kube-apiserver") })],
  ["etcd runs with files that have changed since its start", processes("etcd", true)],
  ["kube-apiserver runs with files that have changed since its start", processes("kube-apiserver", true)],
  ["nothing is served on 2379", (master) => ({ served: only(master, 2380) })],
  ["nothing is served on 2380", (master) => ({ served: only(master, 2379) })],
];

function without(running: FoundMaster["processes"], component: string): FoundMaster["processes"] {
  return Object.fromEntries(Object.entries(running).filter(([each]) => each !== component));
}

function only(master: FoundMaster, port: number): FoundMaster["served"] {
  return Object.fromEntries(Object.entries(master.served).filter(([each]) => Number(each) === port));
}

/** Deviations that show only when it is known what is wanted. */
const againstWanted: readonly [string, Change][] = [
  ['rotation was "2025-01"', () => ({ receipt: { ...receipt, rotation: "2025-01" } })],
  [
    "the receipt belongs to etcd-rotation/before",
    () => ({ receipt: { ...receipt, owner: "etcd-rotation/before" } }),
  ],
  [
    "2379 serves another certificate than the wanted one",
    (master) => ({ served: { ...master.served, ...(otherLeaf === undefined ? {} : { 2379: otherLeaf }) } }),
  ],
  [
    "2380 serves another certificate than the wanted one",
    (master) => ({ served: { ...master.served, ...(otherLeaf === undefined ? {} : { 2380: otherLeaf }) } }),
  ],
];

/** What is told by more than words. */
const kinds: Readonly<Record<string, object>> = {
  "no rollout has been recorded yet": { isUnrecorded: true },
  "etcd-client is missing": { missing: "etcd-client" },
};

describe("one deviation is one difference", () => {
  test.each([...always, ...againstWanted])("%s", (what, change) => {
    const found = changed(asWanted, "master-2", change);
    const between =
      found.masters[1]?.receipt === undefined
        ? [{ master: "master-1", what: "the masters' receipts name different attempts" }]
        : [];
    expect(differences(found, wanted, ackLayout)).toEqual([
      { ...kinds[what], master: "master-2", what },
      ...between,
    ]);
  });

  test.each(always)("%s, also before it is known what is wanted", (what, change) => {
    expect(differences(changed(asWanted, "master-2", change), undefined, ackLayout)).toContainEqual({
      ...kinds[what],
      master: "master-2",
      what,
    });
  });

  test.each(againstWanted)("%s, only once it is known what is wanted", (_, change) => {
    expect(differences(changed(asWanted, "master-2", change), undefined, ackLayout)).toEqual([]);
  });

  test.each(ackLayout.map((row) => row.id))("%s is missing", (id) => {
    const found = changed(asWanted, "master-3", (master) => ({
      files: Object.fromEntries(Object.entries(master.files).filter(([each]) => each !== id)),
    }));
    expect(differences(found, wanted, ackLayout)).toEqual([
      { master: "master-3", what: `${id} is missing`, missing: id },
    ]);
  });

  test.each(ackLayout)("$id is not the wanted one", (row) => {
    const text = {
      trust: other.authorities.etcd,
      cert: other.leaves["master-1"]?.["etcd-peer"].certPem ?? "",
      key: other.leaves["master-1"]?.["etcd-peer"].keyPem ?? "",
    }[row.kind];
    const found = changed(asWanted, "master-3", (master) => ({
      files: { ...master.files, [row.id]: fileOf(row, text) },
    }));
    expect(differences(found, wanted, ackLayout)).toEqual([
      { master: "master-3", what: `${row.id} is not the wanted one` },
    ]);
  });

  test.each(ackLayout.filter((row) => row.kind === "trust"))(
    "$id that trusts one authority more is not the wanted one",
    (row) => {
      const text = `${pems.authorities[row.authority]}${other.authorities.etcd}`;
      const found = changed(asWanted, "master-1", (master) => ({
        files: { ...master.files, [row.id]: fileOf(row, text) },
      }));
      expect(differences(found, wanted, ackLayout)).toEqual([
        { master: "master-1", what: `${row.id} is not the wanted one` },
      ]);
    },
  );
});

test("complete receipts of different attempts are a difference", () => {
  const found = changed(asWanted, "master-3", () => ({ receipt: { ...receipt, attempt: "a3", rollout: 3 } }));
  expect(differences(found, wanted, ackLayout)).toEqual([
    { master: "master-1", what: "the masters' receipts name different attempts" },
  ]);
});

test("a process of Kubernetes that has not read its files is a difference, one that does not run is none", () => {
  expect(differences(changed(asWanted, "master-2", processes("kubelet", true)), wanted, ackLayout)).toEqual([
    { master: "master-2", what: "kubelet runs with files that have changed since its start" },
  ]);
  expect(
    differences(
      changed(asWanted, "master-2", (master) => ({ processes: without(master.processes, "kubelet") })),
      wanted,
      ackLayout,
    ),
  ).toEqual([]);
});

test("a file that its reader cannot read is a difference, whatever it holds", () => {
  const shut = changed(asWanted, "master-2", ({ files }) => ({
    files: Object.fromEntries(
      Object.entries(files).map(([id, file]) => [id, { ...file, isReadable: id !== "apiserver-etcd-ca" }]),
    ),
  }));
  for (const known of [wanted, undefined]) {
    expect(differences(shut, known, ackLayout)).toEqual([
      { master: "master-2", what: "apiserver-etcd-ca cannot be read by kube-apiserver" },
    ]);
  }
});

test("of a master that nothing is wanted for, no file is as wanted, nor what it serves", () => {
  const { files, ...rest } = wanted;
  const without = {
    ...rest,
    files: { "master-1": files["master-1"] ?? {}, "master-2": files["master-2"] ?? {} },
  };
  expect(differences(asWanted, without, ackLayout)).toEqual([
    ...ackLayout.map(({ id }) => ({ master: "master-3", what: `${id} is not the wanted one` })),
    ...[2379, 2380].map((port) => ({
      master: "master-3",
      what: `${port} serves another certificate than the wanted one`,
    })),
  ]);
  const trust = asWanted.masters[0]?.files["etcd-ca"];
  expect([isTrusted(trust, undefined), isTrusted(undefined, wanted.authorities.etcd)]).toEqual([
    false,
    false,
  ]);
  expect(isTrusted(trust, wanted.authorities.etcd)).toBe(true);
});

test("what a backup has brought back is no difference", () => {
  const [first] = asWanted.masters;
  const digest = fingerprintsIn(first?.files["etcd-server"]);
  const restored = (own: Record<string, string>) => ({ ...wanted, restored: { "master-1": own } });
  expect(differences(asWanted, restored({ "etcd-server": digest }), ackLayout)).toEqual([]);
  expect(differences(asWanted, restored({ "etcd-server": digest, "etcd-peer": digest }), ackLayout)).toEqual([
    { master: "master-1", what: "etcd-peer is not the one of the backup" },
  ]);
});

test("renewals are told by their reasons, on the masters that have some", () => {
  const told = renewalDifferences(asWanted, {
    leaves: {
      "master-2": [
        { group: "apiserver", reason: "it ends" },
        { group: "admin.conf", reason: "it was asked for" },
        { group: "kubelet.conf", reason: "it ends" },
      ],
    },
    authorities: { "cluster-ca": { kind: "keep" }, "front-proxy-ca": { kind: "keep" } },
    notices: [],
    kept: [],
    purpose: "",
  });
  expect(told).toEqual([
    { master: "master-2", what: "apiserver, kubelet.conf: to be renewed, since it ends" },
    { master: "master-2", what: "admin.conf: to be renewed, since it was asked for" },
  ]);
});

describe("while a rollout is held before issue", () => {
  const held = { ...wanted, heldBefore: "issue" as const };
  const at = (phase: string) => foundAs(pems, { receipt: { ...receipt, isComplete: false, phase } });

  test("receipts of trust and of what follows it are done, of backup not yet, and of retire no more", () => {
    for (const phase of ["trust", "issue", "settle"]) {
      expect(differences(at(phase), held, ackLayout)).toEqual([]);
    }
    for (const phase of ["backup", "retire"]) {
      expect(differences(at(phase), held, ackLayout)).toContainEqual({
        master: "master-1",
        what: `rollout 4 was interrupted in phase ${phase}`,
      });
    }
  });

  test("earlier leaves, new machines, renewals and what a backup brings back wait", () => {
    const earlier = changed(at("trust"), "master-2", ({ files, served }) => {
      const leaf = ackLayout.find(({ id }) => id === "etcd-server");
      const text = other.leaves["master-2"]?.["etcd-server"].certPem ?? "";
      return {
        files: { ...files, ...(leaf === undefined ? {} : { "etcd-server": fileOf(leaf, text) }) },
        served: { ...served, ...(otherLeaf === undefined ? {} : { 2379: otherLeaf }) },
      };
    });
    const joining = earlier.masters.slice(2).map((master) => ({ ...master, name: "master-4", files: {} }));
    const restored = { ...held, restored: { "master-1": { apiserver: "ab" } } };
    const renewals = {
      leaves: { "master-1": [{ group: "apiserver", reason: "it ends" }] },
      authorities: {
        "cluster-ca": { kind: "sign" as const, on: "master-1" },
        "front-proxy-ca": { kind: "keep" as const },
      },
      notices: [],
      kept: [],
      purpose: "",
    };
    expect(differences({ ...earlier, joining }, restored, ackLayout, renewals)).toEqual([]);
    const later = { ...restored, heldBefore: undefined };
    const told = differences({ ...earlier, joining }, later, ackLayout, renewals).map(
      ({ master, what }) => `${master} ${what}`,
    );
    expect(told).toEqual(
      expect.arrayContaining([
        "master-4 etcd-ca is missing (joining)",
        "master-1 apiserver is not the one of the backup",
        "master-3 cluster-ca is to be renewed with the same key",
        "master-1 apiserver: to be renewed, since it ends",
        "master-2 etcd-server is not the wanted one",
      ]),
    );
    expect(told.filter((each) => each.includes("front-proxy-ca"))).toEqual([]);
  });
});

describe("while a rollout is held before retire", () => {
  const held = { ...wanted, heldBefore: "retire" as const };
  const settled = foundAs(pems, { receipt: { ...receipt, isComplete: false, phase: "settle" } });
  const trusting = (row: string, text: string) =>
    changed(settled, "master-2", (master) => ({
      files: { ...master.files, [row]: { ...master.files[row], ...fileOf(rowOf(row), text) } },
    }));
  const rowOf = (id: string) => {
    const row = ackLayout.find((each) => each.id === id);
    if (row === undefined) {
      throw new Error(id);
    }
    return row;
  };

  test("nothing differs when the earlier authorities are still trusted", () => {
    const both = trusting("etcd-ca", pems.authorities.etcd + other.authorities.etcd);
    expect(differences(both, held, ackLayout)).toEqual([]);
    expect(differences(both, wanted, ackLayout).map(({ what }) => what)).toEqual([
      "rollout 4 was interrupted in phase settle",
      "rollout 4 was interrupted in phase settle",
      "etcd-ca is not the wanted one",
      "rollout 4 was interrupted in phase settle",
    ]);
  });

  test("a trust file without the wanted authority differs, and so does a rollout that ended earlier", () => {
    expect(differences(trusting("etcd-ca", other.authorities.etcd), held, ackLayout)).toEqual([
      { master: "master-2", what: "etcd-ca is not the wanted one" },
    ]);
    const early = foundAs(pems, { receipt: { ...receipt, isComplete: false, phase: "issue" } });
    expect(differences(early, held, ackLayout).map(({ what }) => what)).toContain(
      "rollout 4 was interrupted in phase issue",
    );
  });
});
