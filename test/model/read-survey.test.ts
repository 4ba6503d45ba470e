import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { flagsIn, parseSurvey } from "../../components/model/read-survey.ts";
import { oneLine } from "../support/one-line.ts";
import { makeAuthority } from "./openssl.ts";

const { certPem } = makeAuthority("/CN=etcd-ca");
const publicKeyPem = new X509Certificate(certPem).publicKey
  .export({ type: "spki", format: "pem" })
  .toString();
const other = makeAuthority("/CN=other").certPem;
const rows = ackLayout
  .slice(0, 5)
  .filter(({ id }) => ["etcd-ca", "etcd-server", "etcd-server-key"].includes(id));

const lines = [
  "survey 1",
  "clock 1795000000",
  "file etcd-ca etcd:etcd 644 readable - /data/etcd cert/ca.pem",
  `pem etcd-ca ${oneLine(certPem + other)}`,
  "path etcd-ca /data/link/ca.pem",
  "file etcd-server-key etcd:etcd 600 unreadable aabb /var/lib/etcd/cert/etcd-server-key.pem",
  "leftover /var/lib/etcd/cert/.stage",
  "leftover /var/lib/etcd/cert/.stage",
  `saved etcd-ca - ${oneLine(other + certPem)}`,
  "saved etcd-server-key ccdd",
  "client 10.77.0.11",
  "reaches 10.77.0.13",
  "carrier worker w1 1796083200 worker w1: valid until 2026-12-01; run on master-1: ssh root@w1 bash",
  `stranger /etc/kubernetes/a b.crt\x1f${oneLine(certPem)}`,
  "stranger /etc/kubernetes/no.crt\x1fnothing",
  `stranger-key /etc/x\x1b-key.pem\x1f${oneLine(publicKeyPem)}`,
  "stranger-key /etc/no-key.pem\x1fnothing",
  `holder Secret ns/a\x1ftls.crt\x1faabb\x1f${oneLine(certPem)}`,
  "connected process \x1b[2Jx in x.service",
  "holders-cut after 10 s",
  "kubeconfig /a b.conf",
  "client 10.0.0.9",
  "process etcd stale boot-1 101 5000",
  `arguments etcd ${oneLine("/usr/bin/etcd\n--name\nx-name-1\n-cert-file=/a b.pem\n--client-cert-auth\n--trusted-ca-file\n/ca.pem")}`,
  "etcd silent no leader",
  "answers",
  "cluster 14841639068965178418",
  "version 3.5.21",
  "database 20480",
  "kubernetes v1.18.8-aliyun.1",
  "leader",
  "member 1a, started, x, https://10.77.0.11:2380, https://10.77.0.11:2379, false",
  `served 2379 ${oneLine(certPem)}`,
  `served 2380 ${oneLine("no certificate")}`,
  `receipt ${oneLine("version=1\nowner=p/s\ncluster=148\nrollout=4\nattempt=a4\nrotation=a=b\nauthorities=x,y\nphase=verify\ncomplete=1\nrenewed.apiserver=ab/1 kept\n")}`,
  "recorded 1794999000",
  "backup 3",
  "backup 4",
  `earlier ${oneLine(other)}`,
  `lock ${oneLine("p/s since 10:00\n")}`,
  `claim ${oneLine("1795000000 p/s me@here pid 7\n")}`,
  "api ready",
  "end",
];

describe("parseSurvey", () => {
  test("reads every fact", () => {
    const file = {
      isPresent: true,
      ownerAndMode: "etcd:etcd 644",
      isReadable: true,
      publicKey: "-",
      path: "/data/link/ca.pem",
      realPath: "/data/etcd cert/ca.pem",
      certificates: certificatesIn(certPem + other),
    };
    expect(parseSurvey("master-1", lines.join("\n"), rows, 1_795_000_003)).toEqual({
      name: "master-1",
      clock: 1_795_000_000,
      operatorClock: 1_795_000_003,
      files: {
        "etcd-ca": file,
        "etcd-server": {
          isPresent: false,
          ownerAndMode: "",
          isReadable: false,
          path: "",
          publicKey: "",
          realPath: "",
          certificates: [],
        },
        "etcd-server-key": {
          isPresent: true,
          ownerAndMode: "etcd:etcd 600",
          isReadable: false,
          publicKey: "aabb",
          path: "",
          realPath: "/var/lib/etcd/cert/etcd-server-key.pem",
          certificates: [],
        },
      },
      processes: {
        etcd: {
          identity: "boot-1 101 5000",
          isStale: true,
          flags: [
            "--name=x-name-1",
            "--cert-file=/a b.pem",
            "--client-cert-auth",
            "--trusted-ca-file=/ca.pem",
          ],
        },
      },
      served: { 2379: certificatesIn(certPem)[0] },
      etcd: "silent",
      etcdProblem: "no leader",
      doesAnswer: true,
      isLeader: true,
      clusterId: "14841639068965178418",
      version: "3.5.21",
      databaseBytes: 20_480,
      kubernetes: "v1.18.8-aliyun.1",
      members: ["1a, started, x, https://10.77.0.11:2380, https://10.77.0.11:2379, false"],
      isApiReady: true,
      receipt: {
        owner: "p/s",
        cluster: "148",
        rollout: 4,
        attempt: "a4",
        rotation: "a=b",
        authorities: "x,y",
        phase: "verify",
        isComplete: true,
        renewed: { apiserver: "ab/1 kept" },
      },
      recordedAt: 1_794_999_000,
      backups: [3, 4],
      saved: {
        "etcd-ca": { publicKey: "-", certificates: certificatesIn(other + certPem) },
        "etcd-server-key": { publicKey: "ccdd", certificates: [] },
      },
      earlier: certificatesIn(other),
      leftovers: ["/var/lib/etcd/cert/.stage"],
      lock: "p/s since 10:00",
      work: undefined,
      claim: "p/s me@here pid 7",
      claimedAt: 1_795_000_000,
      clients: ["10.77.0.11", "10.0.0.9"],
      reaches: ["10.77.0.13"],
      carriers: [
        {
          kind: "worker",
          name: "w1",
          end: 1_796_083_200,
          words: "worker w1: valid until 2026-12-01; run on master-1: ssh root@w1 bash",
        },
      ],
      strangers: [{ path: "/etc/kubernetes/a b.crt", certificate: certificatesIn(certPem)[0] }],
      strangerKeys: [
        {
          path: "/etc/x -key.pem",
          key: { pem: publicKeyPem.trimEnd(), hash: certificatesIn(certPem)[0]?.publicKey },
        },
      ],
      holdings: [
        {
          holder: { kind: "Secret", namespace: "ns", name: "a" },
          name: "tls.crt",
          publicKey: "aabb",
          certificates: certificatesIn(certPem),
        },
      ],
      connected: [{ kind: "process", name: " [2Jx", unit: "x.service" }],
      holdersCut: "after 10 s",
      kubeconfig: "/a b.conf",
    });
  });

  test("a new master has no receipt, no backup, no lock, and nothing that only a member that answers tells", () => {
    const text = "survey 1\nclock 1\netcd stopped no unit\napi not-ready\nlock \nclaim \nend\n";
    const found = parseSurvey("master-1", text, rows, 1);
    expect(found.files["etcd-ca"]?.isPresent).toBe(false);
    expect(found).toMatchObject({
      ...{ receipt: undefined, backups: [], lock: undefined, claim: undefined, claimedAt: undefined },
      ...{ doesAnswer: false, isLeader: false, isApiReady: false, members: [] },
      ...{ clusterId: "", version: "", databaseBytes: undefined, kubernetes: "", kubeconfig: "" },
    });
  });

  test("a process is stale by itself, and has the flags of its own command line", () => {
    const text = [
      ...["survey 1", "clock 1", "etcd healthy", "api ready"],
      ...["process etcd stale b 1 2", "process kubelet fresh b 3 4", "process kube-apiserver fresh b 5 6"],
      ...[`arguments kube-apiserver ${oneLine("kube-apiserver\n--v=2")}`, "arguments etcd etcd", "end"],
    ].join("\n");
    expect(parseSurvey("master-1", text, rows, 1).processes).toEqual({
      etcd: { identity: "b 1 2", isStale: true, flags: [] },
      kubelet: { identity: "b 3 4", isStale: false, flags: [] },
      "kube-apiserver": { identity: "b 5 6", isStale: false, flags: ["--v=2"] },
    });
  });

  test("of a chain that is served, or lies in a file of nobody's, the leaf is taken, which stands first", () => {
    const chain = oneLine(certPem + other);
    const text = `survey 1\nclock 1\netcd healthy\napi ready\nserved 2379 ${chain}\nstranger /x.crt\x1f${chain}\nend\n`;
    const { served, strangers } = parseSurvey("master-1", text, rows, 1);
    const [certificate] = certificatesIn(certPem);
    expect([served, strangers]).toEqual([{ 2379: certificate }, [{ path: "/x.crt", certificate }]]);
  });

  test("why holders of certificates were not all looked at, each reason once", () => {
    const text =
      "survey 1\nclock 1\netcd healthy\napi ready\nholders-cut after 10 s\nholders-cut no kubectl\nend\n";
    expect(parseSurvey("master-1", text, rows, 1).holdersCut).toBe("after 10 s; no kubectl");
  });

  test.each([
    ["4711 p/s trust a5 1794999900", { phase: "trust", attempt: "a5", since: 1_794_999_900 }],
    // one that has just begun, and one that is none of this program's
    ["", undefined],
    ["4711 p/s trust a5", undefined],
    ["4711 p/s trust a5 1794999900 x", undefined],
    ["4711 p/s trust a5 1794999900x", undefined],
    ["by 4711 p/s trust a5 1794999900", undefined],
  ])("of a lock that is held by %j the step is told", (holder, work) => {
    const text = `survey 1\nclock 1\netcd healthy\napi ready\nlock ${oneLine(holder)}\nend\n`;
    expect(parseSurvey("master-1", text, rows, 1).work).toEqual(work);
  });

  test("an unfinished rollout is not complete; what its receipt does not say is empty", () => {
    const text = `survey 1\nclock 1\netcd healthy\napi ready\nreceipt ${oneLine("rollout=4\nphase=trust\ncomplete=0\n")}\nend\n`;
    const unsaid = { owner: "", cluster: "", attempt: "", rotation: "", authorities: "", renewed: {} };
    expect(parseSurvey("master-1", text, rows, 1).receipt).toEqual({
      ...{ rollout: 4, phase: "trust", isComplete: false },
      ...unsaid,
    });
  });

  test("no part of a survey passes for one", () => {
    const text = `${lines.join("\n")}\n`;
    for (let length = 0; length < text.length - 1; length += 1) {
      const part = text.slice(0, length);
      const message = `Cannot survey master-1: the answer is not complete; saw ${JSON.stringify(part.slice(0, 200))}, expected a survey`;
      expect(() => parseSurvey("master-1", part, rows, 1)).toThrow(new Error(message));
    }
  });

  test.each([
    "etcd broken it is",
    "etcd",
    "clock",
    "file etcd-ca etcd:etcd 644",
    "carrier worker w1",
    "surprise 1",
    "constructor",
  ])("a record that is not known, or lacks a field, is an error: %s", (line) => {
    const text = ["survey 1", "clock 1", "etcd healthy", "api ready", line, "end"].join("\n");
    expect(() => parseSurvey("master-1", text, rows, 1)).toThrow(
      new Error(`Cannot survey master-1: saw "${line}"; expected a record of a survey, with all its fields`),
    );
  });

  test.each(["clock 1", "etcd healthy", "api ready"])("a survey without %s is an error", (line) => {
    const text = ["survey 1", "clock 1", "etcd healthy", "api ready", "end"]
      .filter((each) => each !== line)
      .join("\n");
    expect(() => parseSurvey("master-1", text, rows, 1)).toThrow(
      "Cannot survey master-1: the answer lacks a record of clock, etcd or api",
    );
  });

  test("what comes before a survey is an error, such as a banner", () => {
    expect(() => parseSurvey("master-1", "Welcome\nsurvey 1\nend\n", rows, 1)).toThrow(
      new Error(
        'Cannot survey master-1: the answer is not complete; saw "Welcome\\nsurvey 1\\nend\\n", expected a survey',
      ),
    );
  });
});

test.each([
  [
    "a value in the word that comes next",
    ["etcd", "--name", "x", "-data-dir", "/d"],
    ["--name=x", "--data-dir=/d"],
  ],
  ["a value behind =, whatever comes next", ["etcd", "--name=x", "y", "--z=a=b"], ["--name=x", "--z=a=b"]],
  [
    "none where another flag follows, or nothing, or an empty word",
    ["--a", "--b", "", "--c"],
    ["--a", "--b", "--c"],
  ],
])("a flag has %s", (_, words, flags) => {
  expect(flagsIn(words.join("\n"))).toEqual(flags);
});
