import { expect, test } from "vitest";
import { describeCluster } from "../../cli/status/table.ts";
import { columns, wrap } from "../../cli/terminal.ts";
import type { ClusterStatus } from "../../components/model/status.ts";
import { certificate, drifted, unpainted } from "./made-up.ts";

test("a cluster in 80 columns: masters side by side, then what is wrong", () => {
  expect(describeCluster(drifted(), 80, unpainted).join("\n")).toBe(
    `prod-a  drifted
  rollout 4, rotation "2026-11", complete; last backup rollout-4; etcd healthy
  on 2 of 3, led by master-1
  etcd 3.5.21, 3 members, database 5 MiB; Kubernetes v1.30.14

  certificate               ends         days  master-1  master-2  master-3
issued by etcd-ca 2026-11 (aaaaaaaa)
  etcd-ca                   2076-11-12  18249  ok        ok        ?
  etcd-server :2379         2076-11-12  18249  ok        -         ?
issued by someone (not on any master)
  etcd-server :2379         2027-11-12    351  -         drifted   ?
issued by kubernetes (not on any master)
  apiserver-kubelet-client  2026-12-15     19  due       -         ?
  apiserver-kubelet-client  2026-11-20     -6  -         expired   ?

  unreachable  master-3: Cannot connect to 10.0.0.3:22 as root: connect
               ECONNREFUSED. Is the master up and reachable from here? Try: ssh
               -p 22 root@10.0.0.3 true
  drifted      master-2: etcd-server is not issued by any authority in etcd-ca
               of master-1
  due          rotation "2026-12" is asked for; the masters have "2026-11"
  note         kubernetes.renew is never: pulumi up leaves Kubernetes' own
               certificates as they are.`,
  );
});

test("a rollout that has not ended stands beside the state, unless it is the state", () => {
  const progress = {
    state: "rotating",
    rollout: 5,
    phase: "trust",
    masters: ["master-2"],
    since: undefined,
    by: undefined,
  } as const;
  const title = (state: "rotating" | "expired") =>
    describeCluster({ ...drifted(), state, progress }, 80, unpainted)[0];
  expect([title("rotating"), title("expired")]).toEqual([
    "prod-a  rotating (rollout 5, trust, master-2)",
    "prod-a  expired; rotating (rollout 5, trust, master-2)",
  ]);
});

test("long names lose their beginning, which masters have in common, before the table gets too wide", () => {
  const lines = describeCluster(
    drifted(["cn-hangzhou.192.168.0.11", "cn-hangzhou.192.168.0.12", "cn-hangzhou.192.168.0.13"]),
    80,
    unpainted,
  );
  expect(lines[5]).toBe("  certificate               ends         days  …168.0.11  …168.0.12  …168.0.13");
  expect(lines.every((line) => line.length <= 80 && line === line.trimEnd())).toBe(true);
});

test("a wide terminal shows them whole", () => {
  const lines = describeCluster(
    drifted(["cn-hangzhou.192.168.0.11", "cn-hangzhou.192.168.0.12", "cn-hangzhou.192.168.0.13"]),
    160,
    unpainted,
  );
  expect(lines.find((line) => line.includes("certificate  "))).toBe(
    "  certificate               ends         days  cn-hangzhou.192.168.0.11  cn-hangzhou.192.168.0.12  cn-hangzhou.192.168.0.13",
  );
});

test("masters that do not fit side by side come below each other", () => {
  const status = drifted();
  const five = [
    ...status.masters,
    { ...status.masters[0], name: "master-4" },
    { ...status.masters[0], name: "master-5" },
  ] as typeof status.masters;
  const certificates = [
    ...status.certificates,
    ...["master-4", "master-5"].map((name) =>
      certificate(name, "apiserver-kubelet-client", "2026-12-15", "due"),
    ),
  ];
  const headers = describeCluster({ ...status, masters: five, certificates }, 80, unpainted).filter((line) =>
    line.includes("certificate  "),
  );
  expect(headers).toEqual([
    "  certificate               ends         days  master-1  master-2  master-3",
    "  certificate               ends        days  master-4  master-5",
  ]);
});

test("nothing found is said without a table", () => {
  const { masters } = drifted();
  const nothing = {
    ...drifted(),
    state: "unreachable" as const,
    certificates: [],
    notes: [],
    findings: [],
    rollout: undefined,
    lastBackup: undefined,
    masters: masters.slice(2),
    members: undefined,
  };
  expect(describeCluster(nothing, 80, unpainted)).toEqual([
    "prod-a  unreachable",
    "  no rollout yet; no backup; etcd healthy on 0 of 1",
  ]);
});

test("versions that differ are all named, and what no master tells is left out", () => {
  const { masters } = drifted();
  const line = (change: Partial<ClusterStatus>) =>
    describeCluster({ ...drifted(), ...change }, 80, unpainted)[3];
  const upgraded = masters.map((master, index) =>
    index === 1 ? { ...master, etcdVersion: "3.6.16" } : master,
  );
  expect(line({ masters: upgraded })).toBe(
    "  etcd 3.5.21, 3.6.16, 3 members, database 5 MiB; Kubernetes v1.30.14",
  );
  const down = masters.map((master) => ({ ...master, etcdVersion: undefined, databaseBytes: undefined }));
  expect(line({ masters: down, members: undefined })).toBe("  Kubernetes v1.30.14");
});

test("colour takes no room in a column", () => {
  const style = (text: string) => `<${text}>`;
  expect(
    columns([
      [{ text: "a", style }, { text: "1", isRight: true }, { text: "x" }],
      [{ text: "bcd" }, { text: "234", isRight: true, style }, { text: "" }],
    ]),
  ).toEqual(["<a>      1  x", "bcd  <234>"]);
});

test("a word that is longer than a line stays whole", () => {
  expect(wrap("see https://example.org/a/long/address now", 10)).toEqual([
    "see",
    "https://example.org/a/long/address",
    "now",
  ]);
});

test("a table is as wide as told, and only the flexible column is cut", () => {
  const rows = [
    [{ text: "n" }, { text: "rotation", isFlexible: true }],
    [{ text: "10", isRight: true }, { text: "a-rotation-with-a-long-name" }, { text: "valid now" }],
    [{ text: "9", isRight: true }, { text: "r" }, { text: "due" }],
  ];
  expect(columns(rows, 30)).toEqual([
    "n   rotation",
    "10  a-rotation-wit…  valid now",
    " 9  r                due",
  ]);
});

test("Chinese and Japanese names take two columns a character", () => {
  const rows = [
    [{ text: "生产集群" }, { text: "ok" }],
    [{ text: "production" }, { text: "ok" }],
    [{ text: "本番クラスタ" }, { text: "due" }],
  ];
  expect(columns(rows)).toEqual(["生产集群      ok", "production    ok", "本番クラスタ  due"]);
  expect(columns([[{ text: "本番クラスタ", isFlexible: true }, { text: "due" }]], 12)).toEqual([
    "本番ク…  due",
  ]);
  expect(wrap("生产集群 生产集群", 16)).toEqual(["生产集群", "生产集群"]);
});

test("of a name in Chinese the end is shown as well", () => {
  const lines = describeCluster(
    drifted(["杭州一号主节点", "杭州二号主节点", "杭州三号主节点"]),
    80,
    unpainted,
  );
  expect(lines[5]).toBe("  certificate               ends         days  …号主节点  …号主节点  …号主节点");
});
