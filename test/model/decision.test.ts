import { describe, expect, test } from "vitest";
import { certificatesIn, publicKeyOf } from "../../components/model/certificate.ts";
import { type Decision, decide, type LastOutputs, type Observed } from "../../components/model/decision.ts";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import type { ClusterArgs } from "../../components/model/settings.ts";
import {
  changed,
  diskOf,
  fileOf,
  foundAs,
  type MadePems,
  makePems,
  receipt,
  shortSettings,
  specs,
  wantedOf,
} from "./cluster.ts";

// What each part decides has tests of its own: here, that all of them are asked, and with what.

const current = makePems("current");
const next = makePems("next");
const now = Date.UTC(2026, 10, 24);
const settings: ClusterArgs = {
  ...shortSettings,
  rotation: "2026-11",
  kubernetes: { renew: "auto", keepKeys: false, rotation: "k8s-1" },
};
const last = {
  cluster: receipt.cluster,
  rotation: "2026-11",
  authorities: Object.values(wantedOf(current).authorities),
  hasDiskSnapshots: false,
  keys: { current: undefined, previous: undefined },
};
const well = foundAs(current);

function decided(change: Partial<ClusterArgs> = {}, seen: Partial<Observed> = {}): Decision {
  return decide(
    { found: well, cloud: undefined, last, now, ...seen },
    { ...settings, ...change },
    { name: "prod", owner: receipt.owner },
  );
}

function onEach(change: (master: FoundMaster) => Partial<FoundMaster>): Found {
  return { masters: well.masters.map((master) => ({ ...master, ...change(master) })) };
}

test("a cluster that is well may begin, by the plan over the files that it has", () => {
  const { rows, plan, restore, refusals, shut, given } = decided();
  expect([refusals, shut, restore]).toEqual([[], undefined, undefined]);
  expect(rows).toEqual(ackLayout);
  expect(plan).toEqual(planRollout(well, ackLayout, [], now));
  expect(given(undefined)).toMatchObject({ clients: [], heldBefore: undefined });
  const without = onEach(({ files }) => ({ files: { ...files, "etcd-client": missing(files) } }));
  expect(decided({}, { found: without }).rows.map(({ id }) => id)).not.toContain("etcd-client");
});

function missing(files: FoundMaster["files"]) {
  const file = files["etcd-ca"];
  if (file === undefined) {
    throw new Error("Cannot find etcd-ca");
  }
  return { ...file, isPresent: false };
}

test("Kubernetes' own files are those that are there, and none where nothing renews them", () => {
  const row = ackKubernetes.filter(({ id }) => id === "apiserver");
  const found = changed(well, "master-2", ({ files }) => ({
    files: { ...files, apiserver: { ...missing(files), isPresent: true } },
  }));
  expect(decided({}, { found }).kubernetes).toEqual(row);
  const kubernetes = { renew: "never", keepKeys: false } as const;
  expect(decided({ kubernetes }, { found }).kubernetes).toEqual([]);
  expect(decided({ kubernetes: { ...kubernetes, rotation: "k8s-1" } }, { found }).kubernetes).toEqual(row);
});

test("renewals are asked for by the wanted authority and by their own rotation", () => {
  const { given } = decided();
  const wanted = wantedOf(next);
  expect(given(undefined).renewals.purpose).toBe("/k8s-1");
  expect(given(wanted).renewals.purpose).toBe(`${wanted.authorities.etcd.slice(0, 16)}/k8s-1`);
});

describe("a restore", () => {
  const found = onEach(({ name }) => {
    const disk = diskOf(current, name);
    return { saved: Object.fromEntries(ackLayout.map((row) => [row.id, fileOf(row, disk[row.id] ?? "")])) };
  });

  test("has the backup's set as the wanted one, and nothing is renewed", () => {
    const { restore, refusals, given } = decided({ restore: 3 }, { found });
    expect(refusals).toEqual([]);
    expect(restore?.wanted).toMatchObject({ rotation: "restore-3", owner: receipt.owner });
    expect(given(undefined).renewals).toMatchObject({ leaves: {}, purpose: "" });
  });

  test("of what no master keeps is refused", () => {
    expect(decided({ restore: 9 }, { found }).refusals).toEqual(
      settings.masters.map(
        ({ name }) =>
          `Cannot restore rollout 9: ${name} keeps no backup of it; expected one of 3, 4. See npx etcd-rotation backups`,
      ),
    );
  });
});

describe("a client with a leaf of the present authority", () => {
  const leaf = current.leaves["master-1"]?.["etcd-client"] ?? { certPem: "", keyPem: "" };
  const holder = { kind: "Secret", namespace: "monitoring", name: "etcd-client" } as const;
  const found = changed(well, "master-1", () => ({
    holdings: [
      { holder, name: "tls.crt", publicKey: "-", certificates: certificatesIn(leaf.certPem) },
      { holder, name: "tls.key", publicKey: publicKeyOf(leaf.keyPem), certificates: [] },
    ],
    kubeconfig: "/etc/kubernetes/admin.conf",
  }));
  const before = { ...last, rotation: "2025-01" };

  test("is cut off by a rotation that is only asked for, and by its certificates once they are known", () => {
    const asked = decided({}, { found, last: before });
    expect(asked.given(undefined)).toMatchObject({ clients: [{ isCutOff: true }], heldBefore: "retire" });
    expect(asked.given(wantedOf(next)).heldBefore).toBe("retire");
    expect(asked.given(wantedOf(current))).toMatchObject({
      clients: [{ isCutOff: false }],
      heldBefore: undefined,
    });
  });

  test("is not cut off while the last update's authorities stay", () => {
    expect(decided({}, { found }).given(undefined).heldBefore).toBeUndefined();
    expect(decided({}, { found }).given(wantedOf(next)).heldBefore).toBe("retire");
  });

  test("is told to nobody when the stack file ignores it", () => {
    const clients = { ignore: ["monitoring/etcd-client"] };
    expect(decided({ clients }, { found, last: before }).given(undefined)).toMatchObject({
      clients: [],
      heldBefore: undefined,
    });
  });
});

test("a rollout is held where the stack file says", () => {
  expect(decided({ holdBefore: "issue" }).given(undefined).heldBefore).toBe("issue");
});

describe("what signs the new authorities", () => {
  const keysOf = ({ keys: { etcd, "etcd-peer": peer } }: MadePems) => ({ etcd, "etcd-peer": peer });
  const kept = { current: keysOf(current), previous: keysOf(next) };
  const handover = (change: Partial<ClusterArgs>, found = well, keys: LastOutputs["keys"] = kept) =>
    decided(change, { found, last: { ...last, keys } }).given(undefined).handover;
  const signedBy = (pems: MadePems) => ({
    kind: "cross",
    signers: {
      etcd: { certificate: { pem: pems.authorities.etcd }, key: "state" },
      "etcd-peer": { certificate: { pem: pems.authorities["etcd-peer"] }, key: "state" },
    },
  });

  test("is the last update's, when another rotation is asked for", () => {
    expect(handover({ rotation: "2026-12" })).toMatchObject(signedBy(current));
    expect(handover({ rotation: "2026-12" }, foundAs(next))).toMatchObject({ reason: "no-key" });
  });

  test("is what the last update had, while its rotation is asked for: it may not have come to the end", () => {
    expect(handover({}, foundAs(next))).toMatchObject(signedBy(next));
  });

  test("is nobody where the last update's authorities are trusted, and leaves alone are due", () => {
    expect(handover({})).toMatchObject({ reason: "trusted" });
  });

  test("is nobody without keys, by word of the stack file, while held, or for a backup", () => {
    const none = { current: undefined, previous: undefined };
    expect(handover({ rotation: "2026-12" }, well, none)).toMatchObject({ reason: "no-key" });
    expect(handover({ rotation: "2026-12", crossCertificates: "never" })).toMatchObject({ reason: "never" });
    expect(handover({ rotation: "2026-12", holdBefore: "retire" })).toMatchObject({ reason: "held" });
    expect(handover({ rotation: "2026-12", restore: 3 })).toMatchObject({ reason: "restore" });
  });

  test("does not when it ends within a week of the longest rollout", () => {
    const [{ notAfter } = { notAfter: 0 }] = certificatesIn(current.authorities.etcd);
    // leaves that end later than their authority, so that nothing else is the matter
    const found = onEach(({ files }) => ({
      files: Object.fromEntries(
        Object.entries(files).map(([id, file]) => [
          id,
          id.endsWith("-ca")
            ? file
            : {
                ...file,
                certificates: file.certificates.map((each) => ({
                  ...each,
                  notAfter: Number.POSITIVE_INFINITY,
                })),
              },
        ]),
      ),
    }));
    const at = (left: number) =>
      decided(
        { rotation: "2026-12", gate: 10, pauseBetweenMasters: 0 },
        { found, last: { ...last, keys: kept }, now: notAfter - left * 1000 },
      ).given(undefined).handover;
    // six phases on three masters, at most 10 s each
    const week = 7 * 86_400;
    expect(at(week + 180)).toMatchObject({ reason: "ends" });
    expect(at(week + 181)).toMatchObject({ kind: "cross" });
  });
});

test("the cluster's id is the first that a master tells, else the last update's, else none", () => {
  const silent = onEach(() => ({ clusterId: "" }));
  const first = changed(well, "master-1", () => ({ clusterId: "" }));
  expect(decided({}, { found: first, last: { ...last, cluster: "7" } }).clusterId).toBe(receipt.cluster);
  expect(decided({}, { found: silent, last: { ...last, cluster: "7" } }).clusterId).toBe("7");
  expect(decided({}, { found: silent, last: { ...last, cluster: undefined } }).clusterId).toBe("");
});

describe("reasons not to begin", () => {
  /** What each says first, up to the colon. */
  const reasons = (change: Partial<ClusterArgs>, seen: Partial<Observed> = {}) =>
    decided(change, seen).refusals.map((each) => each.replace(/:.*/, ""));

  test("who the masters belong to, unless the stack file takes them over", () => {
    const found = onEach(() => ({ receipt: { ...receipt, owner: "etcd-rotation/before" } }));
    const told = specs.map(({ name }) => `Cannot rotate ${name} as etcd-rotation/test`);
    expect(reasons({}, { found })).toEqual(told);
    expect(reasons({ takeOver: "etcd-rotation/before" }, { found })).toEqual([]);
    expect(reasons({}, { last: { ...last, cluster: "7" } })).toEqual(["Cannot rotate as etcd-rotation/test"]);
  });

  test("two rows that are one file", () => {
    const found = changed(well, "master-3", ({ files }) => ({
      files: Object.fromEntries(
        Object.entries(files).map(([id, file]) => [id, { ...file, realPath: `/${id}` }]),
      ),
    }));
    expect(reasons({}, { found })).toEqual([]);
    const shared = changed(found, "master-3", ({ files }) => ({
      files: Object.fromEntries(
        Object.entries(files).map(([id, file]) => [
          id,
          id === "etcd-peer-key" ? { ...file, realPath: "/etcd-server-key" } : file,
        ]),
      ),
    }));
    expect(reasons({}, { found: shared })).toEqual(["Cannot rotate master-3"]);
  });

  test("a master that is missing, where a restart would leave no quorum", () => {
    const found = { masters: well.masters.slice(0, 2), missing: [{ name: "master-3", isAlive: false }] };
    expect(reasons({}, { found })).toEqual([]);
    expect(reasons({ rotation: "2026-12" }, { found })).toEqual(["Cannot rotate without master-3"]);
  });

  const cloud = (count: number, systemDisk?: string) => ({
    clusterId: "c1",
    region: "cn-hangzhou",
    masters: specs
      .slice(0, count)
      .map(({ name, address }) => ({ instanceId: `i-${name}`, address, systemDisk })),
  });
  const backup = { ...settings.backup, diskSnapshot: true };

  test("a master that Alibaba Cloud does not know", () => {
    expect(reasons({}, { cloud: cloud(3) })).toEqual([]);
    expect(reasons({}, { cloud: cloud(2) })).toEqual(["Cannot rotate cluster 'c1'"]);
  });

  test("a system disk that is not known, where snapshots are asked for", () => {
    expect(reasons({ backup }, { cloud: cloud(3, "d-1") })).toEqual([]);
    expect(reasons({ backup }, { cloud: cloud(3) })).toEqual(
      specs.map(() => "Cannot take a snapshot for cluster 'c1'"),
    );
    expect(reasons({ backup })).toEqual([]);
  });
});

test("outside the window a rollout is shut, but not a recovery", () => {
  // the 24th of November 2026 is a Tuesday
  const window = { days: ["sat"], from: 0, to: 60, timeZone: "UTC" } as const;
  expect(decided({ window }).shut).toMatch(/^Cannot begin a rollout of prod now: /);
  const found = onEach(() => ({ doesAnswer: false, etcd: "silent" }));
  expect(decided({ window }, { found }).plan.mode).toBe("recovery");
  expect(decided({ window }, { found }).shut).toBeUndefined();
});
