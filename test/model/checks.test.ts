import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import {
  foundLeaf,
  type Identity,
  isAddress,
  type MasterSpec,
  refusals,
  sansOf,
  subjectOf,
} from "../../components/model/checks.ts";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { changed, fileOf, foundAs, makePems, receipt, specs } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const found = foundAs(makePems("current"));
const identity: Identity = {
  owner: "etcd-rotation/test",
  takeOver: undefined,
  lastClusterId: receipt.cluster,
};
const authority = makeAuthority("/CN=any");

function reasons(
  of: Found = found,
  masters = specs,
  as = identity,
  outage = false,
  renewed: readonly string[] = ["apiserver"],
): string[] {
  return refusals(of, masters, ackLayout, as, {
    outage,
    renewals: Object.fromEntries(masters.map(({ name }) => [name, renewed.map((group) => ({ group }))])),
  });
}

function withLeaf(id: string, subject: string, sans: string): (master: FoundMaster) => Partial<FoundMaster> {
  const row = ackLayout.find((each) => each.id === id);
  const { certPem } = makeLeaf(authority, { subject, sans });
  return (master) => ({
    files: { ...master.files, ...(row === undefined ? {} : { [id]: fileOf(row, certPem) }) },
  });
}

const flags =
  (...words: string[]) =>
  (master: FoundMaster) => ({
    processes: { ...master.processes, etcd: { identity: "x", isStale: false, flags: words } },
  });
const ownSans = "DNS:localhost,DNS:master-2,DNS:10.77.0.12-name-2,IP:127.0.0.1,IP:10.77.0.12";

test("masters that are well are no reason not to begin", () => {
  expect(reasons()).toEqual([]);
});

test("an API server whose certificate has expired, where it is not to be renewed", () => {
  const [served] = certificatesIn(authority.certPem).map((certificate) => ({
    ...certificate,
    notAfter: Date.UTC(2026, 10, 20),
  }));
  const clock = Date.UTC(2026, 10, 20) / 1000;
  const at = (operatorClock: number) =>
    changed(found, "master-2", () => ({
      clock: operatorClock,
      operatorClock,
      ...(served === undefined ? {} : { served: { 6443: served } }),
    }));
  expect(reasons(at(clock), specs, identity, false, ["scheduler.conf"])).toEqual([
    "Cannot rotate master-2: kube-apiserver serves a certificate that expired on 2026-11-20, and it is not going to be renewed; expected a valid one. Set kubernetes.renew: auto, or renew it by hand where its authority's key is not on the master, then run again",
  ]);
  expect(reasons(at(clock - 1), specs, identity, false, ["scheduler.conf"])).toEqual([]);
  expect(reasons(at(clock))).toEqual([]);
  // it is one of several that are, or nothing is
  expect(reasons(at(clock), specs, identity, false, ["scheduler.conf", "apiserver"])).toEqual([]);
  expect(refusals(at(clock), specs, ackLayout, identity, { outage: false, renewals: {} })).toHaveLength(1);
});

test("a version of Kubernetes that is known not to be supported, with those that are", () => {
  const with_ = (kubernetes: string) => reasons(changed(found, "master-2", () => ({ kubernetes })));
  expect(with_("v1.14.8-aliyun.1")).toEqual([
    "Cannot rotate master-2: its kube-apiserver is v1.14.8-aliyun.1; expected 1.15 to 1.18, which restart to read their own new certificates, or 1.19 and newer, which need not. Upgrade the cluster first",
  ]);
  expect(["v1.15.12", "v1.18.8-aliyun.1", "v1.99.0", "", "latest"].flatMap(with_)).toEqual([]);
});

test("an alarm of etcd, told once", () => {
  expect(
    reasons(
      foundAs(makePems("current"), { etcd: "alarm", etcdProblem: "an alarm is raised (etcdctl alarm list)" }),
    ),
  ).toEqual([
    "Cannot start a rollout: an alarm is raised (etcdctl alarm list); expected none. Nothing was changed. Where it is NOSPACE: etcdctl compact, defrag, alarm disarm (docs/recovery.md), then run again",
  ]);
});

describe("one reason for one thing that is wrong", () => {
  const bad: readonly [string, (master: FoundMaster) => Partial<FoundMaster>, string][] = [
    [
      "a path that is not in use",
      flags("--trusted-ca-file=/data/ca.pem"),
      "Cannot rotate master-2: etcd runs with --trusted-ca-file=/data/ca.pem, the layout has /var/lib/etcd/cert/ca.pem; set layout.paths.etcd-ca to the path in use, or layout.kind to the kind of this cluster",
    ],
    [
      "a name that would be lost",
      withLeaf("etcd-server", "/CN=etcd-server", `${ownSans},DNS:etcd.example,IP:10.9.9.9`),
      "Cannot rotate master-2: its etcd-server certificate has DNS:etcd.example, IP:10.9.9.9, which the new one would lose; add to masters[master-2].extraSans: etcd.example, 10.9.9.9",
    ],
    [
      "a subject that cannot be written",
      withLeaf("etcd-peer", "/O=a/O=b/emailAddress=c", ownSans),
      'Cannot keep the subject "O=a, O=b, emailAddress=c" of etcd-peer on master-2: O, emailAddress cannot be repeated or is not supported; set masters[master-2].subjects.etcd-peer',
    ],
    [
      "a clock ahead",
      (master) => ({ clock: master.operatorClock + 31 }),
      "Cannot issue certificates for master-2: its clock is 31 s ahead of this machine's; expected at most 30 s. Set the clocks (timedatectl), then run again",
    ],
    [
      "a subject with several values in one RDN",
      withLeaf("etcd-peer", "/O=a+OU=b/CN=c", ownSans),
      'Cannot keep the subject "O=a + OU=b, CN=c" of etcd-peer on master-2: O + OU cannot be repeated or is not supported; set masters[master-2].subjects.etcd-peer',
    ],
    [
      "a clock behind",
      (master) => ({ clock: master.operatorClock - 90 }),
      "Cannot issue certificates for master-2: its clock is 90 s behind this machine's; expected at most 30 s. Set the clocks (timedatectl), then run again",
    ],
    [
      "a receipt of another stack",
      () => ({ receipt: { ...receipt, owner: "etcd-rotation/prod" } }),
      "Cannot rotate master-2 as etcd-rotation/test: its receipt belongs to etcd-rotation/prod; expected this stack. To take it over on purpose, set takeOver: etcd-rotation/prod",
    ],
    [
      "another cluster on one master",
      () => ({ clusterId: "7" }),
      `Cannot rotate: the masters belong to different etcd clusters (${receipt.cluster}, 7); expected one`,
    ],
  ];
  test.each(bad)("%s", (_, change, reason) => {
    expect(reasons(changed(found, "master-2", change))).toEqual([reason]);
  });

  test("another cluster on all of them", () => {
    const reason = `Cannot rotate as etcd-rotation/test: the masters belong to etcd cluster 7, this stack to ${receipt.cluster}; expected the hosts of this stack's cluster. One stack is for one cluster: pulumi stack init <name>. If etcd's data was restored from a snapshot: set takeOver: etcd-rotation/test`;
    expect(reasons(foundAs(makePems("x"), { clusterId: "7" }))).toEqual([reason]);
    expect(
      reasons(foundAs(makePems("x"), { clusterId: "7" }), specs, {
        ...identity,
        takeOver: "etcd-rotation/test",
      }),
    ).toEqual([]);
    expect(
      reasons(foundAs(makePems("x"), { clusterId: "7", receipt: undefined }), specs, {
        ...identity,
        lastClusterId: undefined,
      }),
    ).toEqual([]);
  });

  test("another cluster than the receipts tell of, where the stack has not seen any", () => {
    const reason = `Cannot rotate as etcd-rotation/test: the masters belong to etcd cluster 7, this stack to ${receipt.cluster};`;
    for (const lastClusterId of [undefined, ""]) {
      expect(
        reasons(foundAs(makePems("x"), { clusterId: "7" }), specs, { ...identity, lastClusterId }),
      ).toEqual([expect.stringContaining(reason)]);
    }
  });

  test("members as the first master lists them that does", () => {
    const members = found.masters[0]?.members.slice(0, 2) ?? [];
    const masters = found.masters.map((master, index) => ({
      ...master,
      members: index === 0 ? [] : members,
    }));
    expect(reasons({ masters })).toEqual([expect.stringContaining("masters lists master-3 at 10.77.0.13")]);
  });

  test("a member that the stack file does not list", () => {
    const two = { masters: found.masters.slice(0, 2) };
    expect(reasons(two, specs.slice(0, 2), identity, true)).toEqual([
      "Cannot rotate: etcd has a member at 10.77.0.13 (3 members) that masters does not list (2); add it to masters",
    ]);
  });

  test("a master that the stack file does not list is judged by its membership alone", () => {
    const late = changed(found, "master-3", ({ operatorClock }) => ({ clock: operatorClock + 90 }));
    expect(reasons(late, specs.slice(0, 2), identity, true)).toEqual([
      "Cannot rotate: etcd has a member at 10.77.0.13 (3 members) that masters does not list (2); add it to masters",
    ]);
  });

  test("a member whose address etcd does not tell", () => {
    const members = [...(found.masters[0]?.members ?? []), "odd"];
    expect(reasons({ masters: found.masters.map((master) => ({ ...master, members })) })).toEqual([
      "Cannot rotate: etcd has a member at odd (4 members) that masters does not list (3); add it to masters",
    ]);
  });

  test("a path that is not in use, of a file that nothing is known of", () => {
    const unknown = changed(found, "master-2", (master) => ({
      ...flags("--trusted-ca-file=/data/ca.pem")(master),
      files: {},
    }));
    expect(reasons(unknown)).toEqual([
      expect.stringContaining("etcd runs with --trusted-ca-file=/data/ca.pem, the layout has"),
    ]);
  });

  test("a master that is not a member", () => {
    const members = found.masters[0]?.members.slice(0, 2) ?? [];
    expect(reasons({ masters: found.masters.map((master) => ({ ...master, members })) })).toEqual([
      "Cannot rotate: masters lists master-3 at 10.77.0.13, which is not a member of etcd; expected one of 10.77.0.11, 10.77.0.12",
    ]);
  });

  test.each([
    [1, "a single master"],
    [2, "2 masters"],
  ])("%d masters without leave for an outage", (count, words) => {
    const few = {
      masters: found.masters
        .slice(0, count)
        .map((master) => ({ ...master, members: master.members.slice(0, count) })),
    };
    expect(reasons(few, specs.slice(0, count))).toEqual([
      `Cannot rotate ${words} without an outage of etcd and the API server at each restart (some seconds each); to accept it set allowOutage: true`,
    ]);
    expect(reasons(few, specs.slice(0, count), identity, true)).toEqual([]);
  });

  test("several things at once are all said", () => {
    const bads = bad
      .slice(0, 4)
      .reduce(
        (of, [, change]) => changed(of, "master-2", (master) => ({ ...master, ...change(master) })),
        found,
      );
    expect(reasons(bads)).toHaveLength(4);
  });
});

describe("no reason", () => {
  test.each<[string, (master: FoundMaster) => Partial<FoundMaster>]>([
    [
      "for the path behind a link",
      (master) => ({ ...flags("--trusted-ca-file=/data/ca.pem")(master), files: moved(master) }),
    ],
    [
      "for a flag of the layout",
      flags(
        "--trusted-ca-file=/var/lib/etcd/cert/ca.pem",
        "--peer-cert-file=/var/lib/etcd/cert/10.77.0.12-name-2.pem",
      ),
    ],
    ["for the names of a client", withLeaf("etcd-client", "/CN=etcd-client", "DNS:whatever")],
    ["for a clock that is 30 s off", (master) => ({ clock: master.operatorClock - 30 })],
    ["without a receipt", () => ({ receipt: undefined })],
    ["for a member that does not answer", () => ({ members: [], clusterId: "" })],
  ])("%s", (_, change) => {
    expect(reasons(changed(found, "master-2", change))).toEqual([]);
  });

  test("for a master of which neither a file nor a process is known", () => {
    expect(reasons(changed(found, "master-2", () => ({ files: {}, processes: {} })))).toEqual([]);
  });

  test("for a cluster that no member tells", () => {
    expect(reasons(foundAs(makePems("x"), { clusterId: "" }))).toEqual([]);
  });

  test("for another cluster of which one master is still to be taken over", () => {
    const as: Identity = { ...identity, takeOver: "etcd-rotation/prod" };
    const theirs = { receipt: { ...receipt, owner: "etcd-rotation/prod" } };
    const half = changed(foundAs(makePems("x"), { clusterId: "77" }), "master-2", () => theirs);
    expect(reasons(half, specs, as)).toEqual([]);
  });

  test("for members without TLS among each other", () => {
    const plain = found.masters.map((master) => ({
      ...master,
      members: master.members.map((row) => row.replaceAll("https:", "http:")),
    }));
    expect(reasons({ masters: plain })).toEqual([]);
  });

  test("for members that nobody lists", () => {
    expect(reasons({ masters: found.masters.map((master) => ({ ...master, members: [] })) })).toEqual([]);
  });

  test("for another stack's receipt that is to be taken over", () => {
    const theirs = foundAs(makePems("x"), { receipt: { ...receipt, owner: "etcd-rotation/prod" } });
    expect(reasons(theirs, specs, { ...identity, takeOver: "etcd-rotation/prod" })).toEqual([]);
  });

  test("for another cluster that is taken over from the stack that its receipts name, and for no other", () => {
    const theirs = (owner: string) =>
      foundAs(makePems("x"), { receipt: { ...receipt, owner }, clusterId: "77" });
    const as: Identity = { ...identity, takeOver: "etcd-rotation/prod" };
    expect(reasons(theirs("etcd-rotation/prod"), specs, as)).toEqual([]);
    // a takeOver that was left in the stack file
    expect(reasons(theirs("etcd-rotation/test"), specs, as)).toEqual([
      expect.stringContaining("the masters belong to etcd cluster 77, this stack to"),
    ]);
    expect(reasons(foundAs(makePems("x"), { receipt: undefined, clusterId: "77" }), specs, as)).toHaveLength(
      1,
    );
  });

  test("for members whose IPv6 addresses are spelled otherwise", () => {
    const masters = specs.map((spec, index) => ({
      ...spec,
      address: `fd00:0::${index + 1}`,
      extraSans: [spec.address],
    }));
    const members = specs.map(
      (_, index) =>
        `${index}a, started, x, https://[fd00::${index + 1}]:2380, https://[fd00::${index + 1}]:2379, false`,
    );
    expect(reasons({ masters: found.masters.map((master) => ({ ...master, members })) }, masters)).toEqual(
      [],
    );
  });

  test("for two spellings of one IPv6 address", () => {
    const sans = `${ownSans},IP:fd00:0:0:0:0:0:0:12`;
    const masters = specs.map((spec) => ({ ...spec, extraSans: ["FD00::12"] }));
    expect(
      reasons(changed(found, "master-2", withLeaf("etcd-server", "/CN=etcd-server", sans)), masters),
    ).toEqual([]);
  });
});

function moved(master: FoundMaster): FoundMaster["files"] {
  const file = master.files["etcd-ca"];
  return {
    ...master.files,
    ...(file === undefined ? {} : { "etcd-ca": { ...file, realPath: "/data/ca.pem" } }),
  };
}

describe("the new leaves", () => {
  const spec: MasterSpec = {
    name: "master-1",
    address: "10.77.0.11",
    etcdName: "10.77.0.11-name-1",
    extraSans: ["etcd.example", "10.77.0.11", "*.etcd.example", "fd00::0:1"],
    subjects: { "etcd-peer": ["O=lab", "CN=peer"] },
  };

  test("have these names, once each, sorted", () => {
    const sans = [
      "DNS:*.etcd.example",
      "DNS:10.77.0.11-name-1",
      "DNS:etcd.example",
      "DNS:localhost",
      "DNS:master-1",
      "IP:10.77.0.11",
      "IP:127.0.0.1",
      "IP:fd00::1",
    ];
    expect([sansOf("etcd-server", spec), sansOf("etcd-peer", spec), sansOf("etcd-client", spec)]).toEqual([
      sans,
      sans,
      [],
    ]);
  });

  test("are found in the first file that has one", () => {
    const master = changed(found, "master-2", ({ files: { "etcd-client": _, ...files } }) => ({ files }))
      .masters[1];
    expect(master && foundLeaf(master, "etcd-client", ackLayout)).toEqual(
      master?.files["apiserver-etcd-client"]?.certificates[0],
    );
    expect(master?.files["apiserver-etcd-client"]?.certificates).toHaveLength(1);
  });

  test("have the subject of the stack file, else the current one, else the default", () => {
    const [current] = certificatesIn(makeLeaf(authority, { subject: "/O=a, b/CN=old" }).certPem);
    expect(subjectOf("etcd-peer", spec, current)).toEqual(["O=lab", "CN=peer"]);
    expect(subjectOf("etcd-server", spec, current)).toEqual(["O=a, b", "CN=old"]);
    expect(subjectOf("etcd-server", spec, undefined)).toEqual(["CN=etcd-server"]);
    expect(subjectOf("etcd-client", spec, undefined)).toEqual(["CN=etcd-client"]);
    expect(subjectOf("etcd-peer", { ...spec, subjects: {} }, undefined)).toEqual(["CN=10.77.0.11-name-1"]);
  });
});

test.each([
  ["10.77.0.11", true],
  ["fd00::1", true],
  ["10.77.0.240", true],
  ["10.77.0.11-name-1", false],
  ["10.77.0.11.example", false],
  ["etcd.example", false],
  ["10.0.0.256", false],
  ["010.0.0.1", false],
  ["10.0.0.1.", false],
  ["host:6443", false],
  ["::1]:80/[", false],
  ["]@[::1", false],
  ["fe80::1%eth0", false],
  ["::ffff:10.0.0.1", true],
  ["::", true],
])("isAddress of %s is %s", (text, expected) => {
  expect(isAddress(text)).toBe(expected);
});
