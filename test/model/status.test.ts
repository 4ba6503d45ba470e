import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import type { Disk } from "../../components/model/exploration/world.ts";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import type { Row } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import {
  type ClusterStatus,
  clusterStatus,
  exitCodeOf,
  gravest,
  type StatusInput,
} from "../../components/model/status.ts";
import {
  changed,
  diskOf,
  fileOf,
  foundAs,
  makePems,
  masterWith,
  names,
  receipt,
  specs,
  withOldKey,
} from "./cluster.ts";
import { makeAuthority, makeCross, makeLeaf } from "./openssl.ts";

const pems = makePems("steady");
const other = makePems("other");
const steady = foundAs(pems);
/** an hour after the youngest was made; leaves last 365 days, authorities 3650 */
const now =
  3_600_000 +
  Math.max(
    ...steady.masters.flatMap((master) =>
      Object.values(master.files).flatMap((file) => file.certificates.map(({ notBefore }) => notBefore)),
    ),
  );
const day = 86_400_000;

function statusOf(found: Found, change: Partial<StatusInput> = {}): ClusterStatus {
  return clusterStatus({
    stack: "test",
    found,
    unreachable: [],
    masters: specs,
    rows: ackLayout,
    kubernetes: [],
    policy: {
      renew: "never",
      rotation: undefined,
      keepKeys: false,
      validity: 50 * 365 * 86_400,
      renewBefore: 60 * 86_400,
    },
    identity: { owner: receipt.owner, takeOver: undefined, lastClusterId: undefined },
    isOutageAllowed: false,
    foreignAuthorities: undefined,
    ignoredClients: [],
    rotation: receipt.rotation,
    restore: undefined,
    expiringWithin: 0,
    now,
    ...change,
  });
}

/** `state master what`, as a person reads it */
function findingsOf(status: ClusterStatus): string[] {
  return status.findings.map(({ state, master = "-", what }) => `${state} ${master} ${what}`);
}

/** by `master file`, whatever is not ok */
function oddCells(status: ClusterStatus): Record<string, string> {
  return Object.fromEntries(
    status.certificates
      .filter(({ state }) => state !== "ok")
      .map(({ master, file, state }) => [`${master} ${file}`, state]),
  );
}

function withFile(id: string, text: string): (master: FoundMaster) => Partial<FoundMaster> {
  return (master) => ({ files: { ...master.files, [id]: fileOf(rowOf(id), text) } });
}

function rowOf(id: string): Row {
  const row = ackLayout.find((each) => each.id === id);
  if (row === undefined) {
    throw new Error(`Cannot find the row ${id}`);
  }
  return row;
}

describe("a steady cluster", () => {
  test("is ok, in every certificate", () => {
    const status = statusOf(steady);
    expect({
      state: status.state,
      findings: status.findings,
      notes: status.notes,
      odd: oddCells(status),
    }).toEqual({
      state: "ok",
      findings: [],
      notes: [],
      odd: {},
    });
    expect({
      rollout: status.rollout,
      rotation: status.rotation,
      isComplete: status.isComplete,
      lastBackup: status.lastBackup,
    }).toEqual({
      rollout: 4,
      rotation: "2026-11",
      isComplete: true,
      lastBackup: 4,
    });
  });

  test("tells what runs there, each master of its own, and the members as the leader lists them", () => {
    const found = changed(
      changed(steady, "master-3", () => ({ version: "", kubernetes: "", databaseBytes: undefined })),
      "master-1",
      () => ({ members: [] }),
    );
    const { masters, members } = statusOf(
      changed(found, "master-2", (master) => ({ members: master.members.slice(1) })),
    );
    expect(
      masters.map(({ etcdVersion, kubernetesVersion, databaseBytes }) => [
        etcdVersion,
        kubernetesVersion,
        databaseBytes,
      ]),
    ).toEqual([
      ["3.5.21", "v1.30.14", 20_480],
      ["3.5.21", "v1.30.14", 20_480],
      [undefined, undefined, undefined],
    ]);
    expect(members).toBe(2);
    expect(statusOf(changed(steady, "master-2", () => ({ members: ["alone"] }))).members).toBe(1);
    // without a leader whoever lists them
    expect(statusOf(changed(found, "master-2", () => ({ members: [], isLeader: false }))).members).toBe(3);
    expect(statusOf(foundAs(pems, { members: [] })).members).toBeUndefined();
  });

  test("has a note of the keys that an installer has left", () => {
    const { state, notes } = statusOf(withOldKey(steady));
    expect({ state, notes }).toEqual({
      state: "ok",
      notes: [
        expect.stringContaining("master-1 has private keys that its etcd does not read: /cert/two-key.pem"),
      ],
    });
  });

  test("has these certificates on each master", () => {
    const own = statusOf(steady).certificates.filter(({ master }) => master === "master-2");
    expect(
      own.map(({ file, port, isOnDisk, issuer, daysLeft }) => [file, port, isOnDisk, issuer.name, daysLeft]),
    ).toEqual([
      ["etcd-ca", undefined, true, "etcd-ca steady", 3649],
      ["etcd-peer-ca", undefined, true, "etcd-peer-ca steady", 3649],
      ["apiserver-etcd-ca", undefined, true, "etcd-ca steady", 3649],
      ["etcd-server", 2379, true, "etcd-ca steady", 364],
      ["etcd-peer", 2380, true, "etcd-peer-ca steady", 364],
      ["etcd-client", undefined, true, "etcd-ca steady", 364],
      ["apiserver-etcd-client", undefined, true, "etcd-ca steady", 364],
    ]);
    const [authority] = certificatesIn(pems.authorities.etcd);
    expect(own[3]?.issuer.fingerprint).toBe(authority?.fingerprint);
  });

  test("names each by its path as it is used, its subject, and its times", () => {
    const [leaf] = certificatesIn(pems.leaves["master-2"]?.["etcd-server"].certPem ?? "");
    const own = (change: Partial<FoundMaster["files"][string]>) =>
      statusOf(
        changed(steady, "master-2", ({ files }) => ({
          files: Object.fromEntries(
            Object.entries(files).map(([id, file]) => [
              id,
              { ...file, path: "/link", realPath: "/real", ...change },
            ]),
          ),
        })),
      ).certificates.find(({ master, file }) => master === "master-2" && file === "etcd-server");
    expect(own({})).toMatchObject({
      path: "/link",
      subject: "etcd-server",
      notBefore: leaf?.notBefore,
      notAfter: leaf?.notAfter,
    });
    expect(own({})?.fingerprint).toBe(leaf?.fingerprint);
    expect(own({ path: "" })?.path).toBe("/real");
    // without a common name the whole of it
    const nameless = certificatesIn(pems.authorities.etcd).map((each) => ({
      ...each,
      subject: ["O=a", "OU=b"],
    }));
    expect(own({ certificates: nameless })?.subject).toBe("O=a, OU=b");
  });

  test("has of a leaf's file the leaf alone, of an authority's file all that it holds", () => {
    const leaf = pems.leaves["master-2"]?.["etcd-server"].certPem ?? "";
    const authority = ackKubernetes.filter(({ id }) => id === "cluster-ca");
    const found = changed(steady, "master-2", ({ files }) => ({
      files: {
        ...files,
        "etcd-server": fileOf(rowOf("etcd-server"), leaf + pems.authorities.etcd),
        "cluster-ca": fileOf(rowOf("etcd-ca"), pems.authorities.etcd + other.authorities.etcd),
      },
    }));
    const own = statusOf(found, { kubernetes: authority }).certificates.filter(
      ({ master, file }) => master === "master-2" && (file === "etcd-server" || file === "cluster-ca"),
    );
    expect(own.map(({ state, file, subject }) => `${state} ${file} ${subject}`)).toEqual([
      "ok etcd-server etcd-server",
      "ok cluster-ca etcd-ca steady",
      "other cluster-ca etcd-ca other",
    ]);
  });

  test("has what is served where its file holds none", () => {
    const found = changed(steady, "master-2", withFile("etcd-server", ""));
    const own = statusOf(found).certificates.filter(
      ({ master, file }) => master === "master-2" && file === "etcd-server",
    );
    expect(own.map(({ isOnDisk, port }) => [isOnDisk, port])).toEqual([[false, 2379]]);
  });

  test("has none in an authority of somebody else's, which is named", () => {
    const text = `${pems.authorities.etcd}${makeAuthority("/CN=backup-ca", 30).certPem}`;
    const status = statusOf(changed(steady, "master-2", withFile("etcd-ca", text)));
    const until = new Date(certificatesIn(text)[1]?.notAfter ?? 0).toISOString().slice(0, 10);
    expect({
      state: status.state,
      findings: status.findings,
      notes: status.notes,
      odd: oddCells(status),
    }).toEqual({
      state: "ok",
      findings: [],
      notes: [
        `etcd-ca of master-2 trusts "CN=backup-ca" (until ${until}), which has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted; set foreignAuthorities: keep if that is meant, else drop`,
      ],
      odd: { "master-2 etcd-ca": "other" },
    });
  });

  test("has no fault in never having been rotated", () => {
    const status = statusOf(foundAs(pems, { receipt: undefined, backups: [] }));
    expect([status.state, status.findings, status.rollout, status.lastBackup]).toEqual([
      "ok",
      [],
      undefined,
      undefined,
    ]);
    expect(status.notes).toEqual([
      "No rollout has been recorded: the first pulumi up takes this cluster over.",
    ]);
  });
});

describe("the end comes near", () => {
  test("within renewBefore a leaf is due; an authority with ten years is not", () => {
    const status = statusOf(steady, { now: now + 306 * day });
    expect(status.state).toBe("due");
    expect(
      new Set(status.certificates.filter(({ state }) => state === "due").map(({ file }) => file)),
    ).toEqual(new Set(["etcd-server", "etcd-peer", "etcd-client", "apiserver-etcd-client"]));
    expect(statusOf(steady, { now: now + 304 * day }).state).toBe("ok");
  });

  test("what ends within the time that was asked for is expiring, and due where that is nearer", () => {
    const leaves = new Set(["etcd-server", "etcd-peer", "etcd-client", "apiserver-etcd-client"]);
    const at = (days: number, within: number) => {
      const status = statusOf(steady, { now: now + days * day, expiringWithin: within * 86_400 });
      const odd = status.certificates.filter(({ state }) => state !== "ok");
      return [
        status.state,
        exitCodeOf(status.state),
        new Set(odd.map(({ file, state }) => `${state} ${file}`)),
      ];
    };
    const all = (state: string) => new Set([...leaves].map((file) => `${state} ${file}`));
    expect(at(264, 100)).toEqual(["ok", 0, new Set()]);
    expect(at(265, 100)).toEqual(["expiring", 1, all("expiring")]);
    expect(at(306, 100)).toEqual(["due", 1, all("due")]);
    expect(at(304, 30)).toEqual(["ok", 0, new Set()]);
  });

  test("the last moment of each time is not in it yet, that of the certificate is", () => {
    const end = steady.masters[0]?.files["etcd-server"]?.certificates[0]?.notAfter ?? 0;
    const at = (moment: number, expiringWithin = 0) =>
      oddCells(statusOf(steady, { now: moment, expiringWithin }))["master-1 etcd-server"] ?? "ok";
    expect([at(end - 100 * day, 100 * 86_400), at(end - 100 * day + 1, 100 * 86_400)]).toEqual([
      "ok",
      "expiring",
    ]);
    expect([at(end - 60 * day), at(end - 60 * day + 1)]).toEqual(["ok", "due"]);
    expect([at(end - 1), at(end)]).toEqual(["due", "expired"]);
  });

  test("past the end it is expired, with days below zero", () => {
    const status = statusOf(steady, { now: now + 366 * day });
    const server = status.certificates.find(
      ({ master, file }) => master === "master-1" && file === "etcd-server",
    );
    expect([status.state, server?.state, server?.daysLeft]).toEqual(["expired", "expired", -2]);
  });

  test("another rotation that is asked for is due", () => {
    const status = statusOf(steady, { rotation: "2026-12" });
    expect([status.state, findingsOf(status)]).toEqual([
      "due",
      ['due - rotation "2026-12" is asked for; the masters have "2026-11"'],
    ]);
    expect(status.masters.map(({ state }) => state)).toEqual(["due", "due", "due"]);
  });
});

describe("what the next update would renew of Kubernetes' certificates", () => {
  const authority = makeAuthority("/CN=kubernetes");
  const kubernetes = ackKubernetes.filter(({ id }) =>
    ["cluster-ca", "cluster-ca-key", "admin.conf"].includes(id),
  );
  const [ca] = certificatesIn(authority.certPem);
  const [etcd] = certificatesIn(pems.authorities.etcd);
  const file = (text: string) => fileOf(rowOf("etcd-ca"), text);
  const held = {
    "cluster-ca": file(authority.certPem),
    "cluster-ca-key": { ...file(""), isPresent: true, publicKey: ca?.publicKey ?? "" },
    "admin.conf": file(makeLeaf(authority, { subject: "/CN=kubernetes-admin" }).certPem),
  };
  const renewed = { "admin.conf": `${etcd?.fingerprint.slice(0, 16)}/` };
  const found: Found = {
    masters: steady.masters.map((master) => ({
      ...master,
      files: { ...master.files, ...held },
      receipt: { ...receipt, renewed },
    })),
  };
  const auto = {
    renew: "auto",
    rotation: undefined,
    keepKeys: false,
    validity: 86_400,
    renewBefore: 0,
  } as const;
  const statusWith = (
    policy: Partial<StatusInput["policy"]>,
    change: Partial<StatusInput> = {},
    of = found,
  ) => statusOf(of, { kubernetes, policy: { ...auto, ...policy }, ...change });
  const asked = names.map(
    (name) => `due ${name} admin.conf: to be renewed, since kubernetes.rotation is "2"`,
  );
  const never = "kubernetes.renew is never: pulumi up leaves Kubernetes' own certificates as they are.";

  test("is due, by the authority of etcd that lies on the masters and by what the stack file asks for", () => {
    expect([statusWith({}).state, statusWith({}).notes]).toEqual(["ok", []]);
    const { state, masters, ...status } = statusWith({ rotation: "2" });
    expect([state, findingsOf({ state, masters, ...status })]).toEqual(["due", asked]);
    expect(masters.map((master) => master.state)).toEqual(["due", "due", "due"]);
  });

  test("is nothing where nothing asks for it, which is a note, and none where the stack file has a rotation", () => {
    expect([statusWith({ renew: "never" }).state, statusWith({ renew: "never" }).notes]).toEqual([
      "ok",
      [never],
    ]);
    expect(statusWith({ renew: "never", rotation: "2" })).toMatchObject({ state: "due", notes: [] });
  });

  test("is nothing while a backup is wanted", () => {
    expect(findingsOf(statusWith({ rotation: "2" }, { restore: 3 }))).toEqual([
      'due - rotation "restore-3" is asked for; the masters have "2026-11"',
    ]);
  });

  test("is not told while masters have different authorities of etcd; somebody else's beside it is no other", () => {
    const both = (text: string) =>
      changed(found, "master-3", withFile("etcd-ca", pems.authorities.etcd + text));
    const due = (of: Found) =>
      findingsOf(statusWith({ rotation: "2" }, {}, of)).filter((each) => asked.includes(each));
    expect(due(both(other.authorities.etcd))).toEqual([]);
    expect(due(both(makeAuthority("/CN=backup-ca", 30).certPem))).toEqual(asked);
  });

  test("is nothing before the first rollout", () => {
    const fresh = { masters: found.masters.map((master) => ({ ...master, receipt: undefined })) };
    expect(statusWith({ rotation: "2" }, {}, fresh)).toMatchObject({ state: "ok", findings: [] });
  });
});

test("what restore asks for is due until the masters have it, and no longer", () => {
  const restored = {
    masters: steady.masters.map((master) => ({ ...master, receipt: { ...receipt, rotation: "restore-3" } })),
  };
  expect(findingsOf(statusOf(steady, { restore: 3 }))).toEqual([
    'due - rotation "restore-3" is asked for; the masters have "2026-11"',
  ]);
  expect(findingsOf(statusOf(restored))).toEqual([
    'due - rotation "2026-11" is asked for; the masters have "restore-3"',
  ]);
  expect(statusOf(restored, { restore: 3 })).toMatchObject({
    state: "ok",
    findings: [],
    notes: [
      "restore: the files from before rollout 3 are wanted, and nothing is renewed; remove restore to go forward to the stack's own.",
    ],
  });
});

describe("drift", () => {
  const foreignLeaf = other.leaves["master-2"]?.["etcd-server"] ?? { certPem: "", keyPem: "" };

  test("a leaf replaced by hand, with its key, that nobody's trust file has issued", () => {
    const disk: Disk = {
      ...diskOf(pems, "master-2"),
      "etcd-server": foreignLeaf.certPem,
      "etcd-server-key": foreignLeaf.keyPem,
    };
    const status = statusOf(changed(steady, "master-2", () => masterWith("master-2", disk)));
    expect(status.state).toBe("drifted");
    expect(findingsOf(status)).toEqual([
      "drifted master-2 etcd-server is not issued by any authority in etcd-ca of master-1, master-2, master-3, apiserver-etcd-ca of master-1, master-2, master-3",
    ]);
    expect(oddCells(status)).toEqual({ "master-2 etcd-server": "drifted" });
    expect(status.masters.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "master-1 ok",
      "master-2 drifted",
      "master-3 ok",
    ]);
    expect(
      status.certificates.find(({ master, file }) => master === "master-2" && file === "etcd-server")?.issuer,
    ).toEqual({
      name: "etcd-ca other",
      fingerprint: undefined,
    });
  });

  test("a key that does not belong to its certificate", () => {
    const status = statusOf(changed(steady, "master-1", withFile("etcd-client-key", foreignLeaf.keyPem)));
    expect(findingsOf(status)).toEqual(["drifted master-1 etcd-client does not belong to its key"]);
    expect(oddCells(status)).toEqual({ "master-1 etcd-client": "drifted" });
  });

  test("what is served is not what lies on disk: both are shown", () => {
    const served = steady.masters[1]?.served[2379];
    const found = changed(steady, "master-1", (master) => ({
      served: { ...master.served, ...(served === undefined ? {} : { 2379: served }) },
    }));
    const status = statusOf(found);
    expect(findingsOf(status)).toHaveLength(1);
    expect(findingsOf(status)[0]).toMatch(
      /^drifted master-1 2379 serves another certificate \(until \d{4}-\d\d-\d\d\) than etcd-server on disk \(until/,
    );
    const own = status.certificates.filter(
      ({ master, file }) => master === "master-1" && file === "etcd-server",
    );
    expect(own.map(({ state, isOnDisk, port }) => [state, isOnDisk, port])).toEqual([
      ["drifted", true, undefined],
      ["drifted", false, 2379],
    ]);
  });

  test("one more authority on one master: it has issued nothing, and only its own cell is odd", () => {
    const status = statusOf(
      changed(steady, "master-3", withFile("etcd-ca", pems.authorities.etcd + other.authorities.etcd)),
    );
    const [authority] = certificatesIn(other.authorities.etcd);
    const [own] = certificatesIn(pems.authorities.etcd);
    const both = [own?.fingerprint.slice(0, 8), authority?.fingerprint.slice(0, 8)].sort().join("+");
    expect(findingsOf(status)).toEqual([
      `drifted - etcd-ca differs between masters (master-1, master-2: ${own?.fingerprint.slice(0, 8)}; master-3: ${both})`,
    ]);
    expect(
      status.certificates
        .filter(({ state }) => state !== "ok")
        .map(({ state, master, file, subject }) => `${state} ${master} ${file} ${subject}`),
    ).toEqual(["drifted master-3 etcd-ca etcd-ca other"]);
  });

  test("an authority that is held everywhere, issued nothing and has expired is shown and not counted", () => {
    const found = foundAs(pems);
    const all = names.reduce(
      (each, name) =>
        changed(each, name, withFile("etcd-ca", pems.authorities.etcd + other.authorities.etcd)),
      found,
    );
    const status = statusOf(all);
    expect(status.state).toBe("ok");
    expect(oddCells(status)).toEqual({
      "master-1 etcd-ca": "other",
      "master-2 etcd-ca": "other",
      "master-3 etcd-ca": "other",
    });
  });

  const cases: readonly [string, string, (master: FoundMaster) => Partial<FoundMaster>][] = [
    [
      "an earlier rollout that has not ended there, where the last one has",
      "drifted master-2 rollout 3 was interrupted in phase issue",
      () => ({ receipt: { ...receipt, rollout: 3, isComplete: false, phase: "issue" } }),
    ],
    [
      "another owner",
      "drifted master-2 the receipt belongs to x/y, not to etcd-rotation/test",
      () => ({ receipt: { ...receipt, owner: "x/y" } }),
    ],
    [
      "a file that is missing",
      "drifted master-2 etcd-peer-key is missing",
      (master) => ({ files: without(master, "etcd-peer-key") }),
    ],
    [
      "another attempt",
      "drifted master-1 the masters' receipts name different attempts",
      () => ({ receipt: { ...receipt, attempt: "a5" } }),
    ],
  ];
  test.each(cases)("%s", (_, finding, change) => {
    const status = statusOf(changed(steady, "master-2", change));
    expect([status.state, findingsOf(status)]).toEqual(["drifted", [finding]]);
  });

  test("different rotations in the receipts", () => {
    const status = statusOf(
      changed(steady, "master-3", () => ({ receipt: { ...receipt, rotation: "2026-12" } })),
    );
    expect(findingsOf(status)).toEqual([
      'drifted - the masters\' receipts name different rotations: master-1 "2026-11", master-2 "2026-11", master-3 "2026-12"',
    ]);
  });

  test("of several rollouts the newest is told, and the newest backup of any master", () => {
    const newer = { ...receipt, rollout: 6, rotation: "2026-12" };
    const found = changed(steady, "master-2", () => ({ receipt: newer, backups: [9, 2] }));
    expect(statusOf(found)).toMatchObject({
      rollout: 6,
      rotation: "2026-12",
      isComplete: true,
      lastBackup: 9,
    });
    const cut = changed(found, "master-3", () => ({ receipt: { ...newer, isComplete: false } }));
    expect(statusOf(cut).isComplete).toBe(false);
  });

  test("one master has no receipt", () => {
    const status = statusOf(changed(steady, "master-3", () => ({ receipt: undefined })));
    expect(findingsOf(status)).toContain("drifted master-3 no rollout has been recorded yet");
    expect(status.isComplete).toBe(false);
  });
});

test("an owner that is taken over is no drift", () => {
  const status = statusOf(foundAs(pems, { receipt: { ...receipt, owner: "x/y" } }), {
    identity: { owner: "etcd-rotation/test", takeOver: "x/y", lastClusterId: undefined },
  });
  expect(status.state).toBe("ok");
});

describe("a master that could not be looked at", () => {
  const two = { masters: steady.masters.slice(0, 2) };
  const unreachable = [{ name: "master-3", reason: "Cannot connect to 10.77.0.13:22" }];

  test("hides no other", () => {
    const status = statusOf(two, { unreachable });
    expect([status.state, findingsOf(status)]).toEqual([
      "unreachable",
      ["unreachable master-3 Cannot connect to 10.77.0.13:22"],
    ]);
    expect(status.masters.map(({ state }) => state)).toEqual(["ok", "ok", "unreachable"]);
    expect(status.masters[2]).toMatchObject({ etcd: "unknown", isLeader: false, isApiReady: false });
    expect(status.certificates).toHaveLength(14);
  });

  test("is less grave than what is known to be wrong, and graver than what is due", () => {
    expect(statusOf(two, { unreachable, now: now + 366 * day }).state).toBe("expired");
    expect(statusOf(two, { unreachable, now: now + 306 * day }).state).toBe("unreachable");
  });

  test("leaves nothing to say when it is every one", () => {
    const status = statusOf({ masters: [] }, { unreachable: names.map((name) => ({ name, reason: "no" })) });
    expect([status.state, status.certificates, status.notes, status.isComplete]).toEqual([
      "unreachable",
      [],
      [],
      false,
    ]);
  });
});

test("what would keep an update from beginning is a note", () => {
  const status = statusOf(
    foundAs(pems, {
      clock: 1_795_000_100,
      etcd: "silent",
      etcdProblem: "no linearizable read",
      isApiReady: false,
    }),
  );
  expect(status.notes).toContain("master-1: etcd is not healthy: no linearizable read");
  expect(status.notes).toContain("master-1: kube-apiserver is not ready");
  expect(status.notes).toContainEqual(
    expect.stringMatching(
      /^pulumi up would refuse: Cannot issue certificates for master-1: its clock is 100 s ahead/,
    ),
  );
  expect(status.state).toBe("ok");
  expect([status, statusOf(steady)].map(({ masters: [first] }) => first?.etcd)).toEqual([
    "no linearizable read",
    "healthy",
  ]);
  const { notes } = statusOf(changed(steady, "master-3", () => ({ lock: "4711 x/y purge" })));
  expect(notes[0]).toBe("master-3 is locked by 4711 x/y purge");
});

test("Kubernetes' certificates: what this cluster's authority has issued counts, anything else does not", () => {
  const ca = { certPem: pems.authorities.etcd, keyPem: "" };
  const id = (name: string, kind: "authority" | "kubeconfig" | "cert", port?: number) => ({
    ...{
      id: name,
      path: `/${name}`,
      kind,
      group: name,
      owner: "root:root",
      mode: "600",
      signer: "cluster-ca" as const,
      restarts: [],
      optional: true as const,
    },
    ...(port === undefined ? {} : { port }),
  });
  const kubernetes = [
    id("cluster-ca", "authority"),
    id("admin.conf", "kubeconfig"),
    id("kubelet-server", "cert", 10_250),
  ];
  const text = (row: { readonly id: string }, pem: string) =>
    fileOf({ id: row.id, kind: "cert", owner: "", mode: "", path: row.id } as Row, pem);
  const own = pems.leaves["master-1"]?.["etcd-client"].certPem ?? "";
  const foreign = other.leaves["master-1"]?.["etcd-client"].certPem ?? "";
  const files = (admin: string, kubelet: string) => (master: FoundMaster) => ({
    files: {
      ...master.files,
      "cluster-ca": text({ id: "ca" }, ca.certPem),
      "admin.conf": text({ id: "a" }, admin),
      "kubelet-server": text({ id: "k" }, kubelet),
    },
  });
  const one = (admin: string, kubelet: string) => ({
    masters: steady.masters.slice(0, 1).map((master) => ({ ...master, ...files(admin, kubelet)(master) })),
  });
  const states = (found: Found, later: number) =>
    Object.fromEntries(
      statusOf(found, { kubernetes, now: now + later * day })
        .certificates.filter(({ file }) => kubernetes.some((row) => row.id === file))
        .map(({ file, state }) => [file, state]),
    );
  expect(states(one(own, own), 0)).toEqual({
    "cluster-ca": "ok",
    "admin.conf": "ok",
    "kubelet-server": "ok",
  });
  expect(states(one(own, foreign), 306)).toEqual({
    "cluster-ca": "ok",
    "admin.conf": "due",
    "kubelet-server": "other",
  });
  // somebody uses it all the same
  const [served] = certificatesIn(foreign);
  const serving = changed(one(foreign, foreign), "master-1", (master) => ({
    served: { ...master.served, ...(served === undefined ? {} : { 10250: served }) },
  }));
  expect([states(serving, 306)["kubelet-server"], states(serving, 366)["kubelet-server"]]).toEqual([
    "other",
    "expired",
  ]);
  expect(states(one(foreign, foreign), 366)).toEqual({
    "cluster-ca": "ok",
    "admin.conf": "other",
    "kubelet-server": "other",
  });
});

describe("an authority in a trust file counts", () => {
  const everywhere = (text: string, of = steady) =>
    names.reduce((found, name) => changed(found, name, withFile("etcd-ca", text)), of);
  const statesIn = (found: Found) =>
    statusOf(found)
      .certificates.filter(({ master, file }) => master === "master-1" && file === "etcd-ca")
      .map(({ state, subject }) => `${state} ${subject}`);

  test("not for a leaf that is checked against another file", () => {
    const { etcd, "etcd-peer": peer } = pems.authorities;
    // nor does it matter that a leaf is missing
    const bare = changed(everywhere(etcd + peer), "master-2", withFile("apiserver-etcd-client", ""));
    expect(statesIn(bare)).toEqual(["ok etcd-ca steady", "other etcd-peer-ca steady"]);
  });

  test("when it has issued one leaf of several", () => {
    const leaf = other.leaves["master-2"]?.["etcd-client"].certPem ?? "";
    const both = everywhere(pems.authorities.etcd + other.authorities.etcd);
    expect(statesIn(changed(both, "master-2", withFile("apiserver-etcd-client", leaf)))).toEqual([
      "ok etcd-ca steady",
      "ok etcd-ca other",
    ]);
  });

  test("when it is alone there, whatever it has issued", () => {
    expect(statesIn(everywhere(other.authorities.etcd))).toEqual(["ok etcd-ca other"]);
  });
});

describe("Kubernetes' authority", () => {
  const authority = makeAuthority("/CN=kubernetes");
  const namesake = makeAuthority("/CN=kubernetes");
  const rows = ackKubernetes.filter(({ id }) => ["cluster-ca", "root-ca", "apiserver"].includes(id));
  /** On master-1 alone, by row. */
  const cellsWith = (texts: Readonly<Record<string, string>>) => {
    const held = Object.entries(texts).map(([id, text]) => [id, fileOf(rowOf("etcd-ca"), text)]);
    const found = changed(steady, "master-1", ({ files }) => ({
      files: { ...files, ...Object.fromEntries(held) },
    }));
    const { certificates } = statusOf(found, { kubernetes: rows });
    expect(certificates.filter(({ fingerprint }) => fingerprint === undefined)).toEqual([]);
    return certificates.filter(({ file }) => rows.some(({ id }) => id === file));
  };
  const statesWith = (texts: Readonly<Record<string, string>>) =>
    cellsWith(texts).map(({ file, state }) => `${file} ${state}`);

  test("is this master's own whoever has signed it, and no leaf", () => {
    const cross = makeCross(other.keys.etcd, authority);
    expect(statesWith({ "cluster-ca": cross, apiserver: cross })).toEqual([
      "cluster-ca ok",
      "apiserver other",
    ]);
  });

  test("is none of this master's where its own file is not there", () => {
    expect(statesWith({ "root-ca": authority.certPem })).toEqual(["root-ca other"]);
  });

  test("is told as who has issued a leaf, and no other of that name", () => {
    const { certPem } = makeLeaf(authority, { subject: "/CN=kube-apiserver" });
    const cells = cellsWith({ "cluster-ca": namesake.certPem + authority.certPem, apiserver: certPem });
    const [own] = certificatesIn(authority.certPem);
    expect(cells.find(({ file }) => file === "apiserver")?.issuer).toEqual({
      name: "kubernetes",
      fingerprint: own?.fingerprint,
    });
  });
});

describe("a rollout that has not ended", () => {
  const own = {
    ...receipt,
    rollout: 5,
    attempt: "a5",
    rotation: "2026-12",
    phase: "trust",
    isComplete: false,
  };
  const processes = { etcd: { identity: "boot 1 2", isStale: true, flags: [] } };
  /** trust is done on master-1, and has written its file and restarted nothing yet on master-2 */
  const cut = changed(
    changed(steady, "master-1", (master) => ({
      ...withFile("etcd-ca", pems.authorities.etcd + other.authorities.etcd)(master),
      receipt: own,
    })),
    "master-2",
    (master) => ({
      ...withFile("etcd-ca", pems.authorities.etcd + other.authorities.etcd)(master),
      receipt: own,
      leftovers: ["/var/lib/etcd-rotation/journal"],
      processes: { ...master.processes, ...processes },
    }),
  );
  const me = "etcd-rotation/test me@here pid 7";
  const atWork = changed(cut, "master-2", ({ clock }) => ({
    claim: me,
    claimedAt: clock - 600,
    lock: `4711 etcd-rotation/test trust a5 ${clock - 60}`,
    work: { phase: "trust", attempt: "a5", since: clock - 60 },
  }));
  const options = { rotation: "2026-12" };

  test("cut: interrupted, on the master where it was; what it left is no drift", () => {
    const status = statusOf(cut, options);
    expect([status.state, exitCodeOf(status.state), findingsOf(status), oddCells(status)]).toEqual([
      "interrupted",
      2,
      [
        "interrupted master-2 rollout 5 was interrupted in trust; pulumi up finishes it, unless it is held: pulumi preview says so",
      ],
      { "master-1 etcd-ca": "other", "master-2 etcd-ca": "other" },
    ]);
    expect(status.masters.map(({ state }) => state)).toEqual(["ok", "interrupted", "ok"]);
    expect(status.progress).toMatchObject({ rollout: 5, phase: "trust", masters: ["master-2"] });
  });

  test("cut, and a leaf that nobody accepts: drifted", () => {
    const leaf = other.leaves["master-3"]?.["etcd-client"].certPem ?? "";
    const status = statusOf(changed(cut, "master-3", withFile("etcd-client", leaf)), options);
    expect([status.state, findingsOf(status)]).toEqual([
      "drifted",
      [
        "drifted master-3 etcd-client does not belong to its key",
        expect.stringMatching(
          /^drifted master-3 etcd-client is not issued by any authority in etcd-ca of master-3/,
        ),
        "interrupted master-2 rollout 5 was interrupted in trust; pulumi up finishes it, unless it is held: pulumi preview says so",
      ],
    ]);
  });

  test("at work: rotating, since when and by whom; whatever differs meanwhile is not counted", () => {
    const own = (notes: readonly string[]) => notes.filter((note) => /^master-2|pulumi up/.test(note));
    const dead = changed(atWork, "master-2", () => ({
      served: {},
      processes: {},
      etcd: "silent",
      etcdProblem: "no status",
    }));
    const status = statusOf(dead, options);
    const since = new Date((1_795_000_000 - 600) * 1000).toISOString().slice(0, 16).replace("T", " ");
    expect([status.state, exitCodeOf(status.state), findingsOf(status), own(status.notes)]).toEqual([
      "rotating",
      1,
      [`rotating master-2 rollout 5 is at work in trust, since ${since} UTC, by ${me}`],
      ["master-2: etcd is not healthy: no status"],
    ]);
  });

  test("at work: what would refuse another run is not told", () => {
    const ahead = (of: Found) => changed(of, "master-1", ({ clock }) => ({ clock: clock + 100 }));
    const refusals = (of: Found) =>
      statusOf(of, options).notes.filter((note) => note.includes("would refuse"));
    expect([refusals(ahead(cut)).length > 0, refusals(ahead(atWork))]).toEqual([true, []]);
  });

  test("at work is less grave than what has expired, or belongs to somebody else", () => {
    expect(statusOf(atWork, { ...options, now: now + 366 * day })).toMatchObject({
      state: "expired",
      progress: { state: "rotating" },
    });
    const theirs = changed(atWork, "master-3", () => ({ receipt: { ...receipt, owner: "x/y" } }));
    expect(findingsOf(statusOf(theirs, options))[0]).toBe(
      "drifted master-3 the receipt belongs to x/y, not to etcd-rotation/test",
    );
  });

  test("a run that has claimed the masters and begun nothing is a note", () => {
    const claimed = changed(steady, "master-1", ({ clock }) => ({ claim: me, claimedAt: clock }));
    const { state, progress, notes } = statusOf(claimed);
    expect([state, progress, notes]).toEqual([
      "ok",
      undefined,
      [
        `pulumi up is at work, since 2026-11-18 11:06 UTC, by ${me}; no rollout has begun, or it has just ended`,
      ],
    ]);
    const untold = changed(steady, "master-1", () => ({ claim: me }));
    expect(statusOf(untold).notes).toEqual([
      `pulumi up is at work, by ${me}; no rollout has begun, or it has just ended`,
    ]);
  });
});

test("the gravest state decides", () => {
  expect(gravest([])).toBe("ok");
  expect(gravest(["other"])).toBe("ok");
  expect(gravest(["ok", "due", "unreachable"])).toBe("unreachable");
  expect(gravest(["unreachable", "drifted", "due"])).toBe("drifted");
  expect(gravest(["unreachable", "interrupted", "due"])).toBe("interrupted");
  expect(gravest(["rotating", "unreachable"])).toBe("unreachable");
  expect(
    ["ok", "other", "expiring", "due", "rotating", "expired", "drifted", "interrupted", "unreachable"].map(
      (state) => exitCodeOf(gravest([state as "ok"])),
    ),
  ).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 3]);
});

function without(master: FoundMaster, id: string): FoundMaster["files"] {
  return Object.fromEntries(Object.entries(master.files).filter(([each]) => each !== id));
}
