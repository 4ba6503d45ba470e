import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkSettings, SettingsError } from "../../stacks/settings.ts";
import { readSettings } from "../../stacks/stack-config.ts";

const secret = "c2VjcmV0IHRoYXQgbXVzdCBub3Qgc2hvdw==";
const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}\n-----END OPENSSH PRIVATE KEY-----\n`;
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC";
const masters = [1, 2, 3].map((number) => ({
  name: `master-${number}`,
  address: `10.77.0.1${number}`,
  etcdName: `10.77.0.1${number}-name-${number}`,
  hostKey,
}));
const [first, ...others] = masters;
const good = { rotation: "2026-11", masters, ssh: { privateKey } };
const extra = { kind: "kubeconfig", name: "mine", path: "/etc/kubernetes/mine.conf" };
const folder = mkdtempSync(join(tmpdir(), "settings test "));

beforeAll(async () => {
  await pulumi.runtime.setMocks(
    { newResource: ({ name }) => ({ id: name, state: {} }), call: () => ({}) },
    "etcd-rotation",
    "lab",
  );
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function complaint(values: unknown): string {
  try {
    checkSettings(values, "lab");
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return error instanceof Error ? error.message : String(error);
  }
  return "none";
}

function withMaster(change: object): unknown {
  return { ...good, masters: [{ ...first, ...change }, ...others] };
}

function withWindow(change: object): unknown {
  return {
    ...good,
    window: { days: ["tue"], from: "22:00", to: "04:00", timeZone: "Asia/Shanghai", ...change },
  };
}

test("a window is in minutes of the day, and on every day unless days are named", () => {
  expect(checkSettings(withWindow({}), "lab").window).toEqual({
    days: ["tue"],
    from: 1320,
    to: 240,
    timeZone: "Asia/Shanghai",
  });
  expect(
    checkSettings({ ...good, window: { from: "00:00", to: "24:00", timeZone: "UTC" } }, "lab").window,
  ).toEqual({
    days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    from: 0,
    to: 1440,
    timeZone: "UTC",
  });
});

test("a short stack file has these settings", () => {
  expect(checkSettings(good, "lab")).toEqual({
    rotation: "2026-11",
    masters: masters.map((master) => ({ ...master, joining: false, extraSans: [], subjects: {} })),
    ssh: { user: "root", port: 22, privateKey, agent: false },
    certificates: { validity: 1_576_800_000, renewBefore: 5_184_000, algorithm: "ECDSA-P256" },
    kubernetes: { renew: "auto", keepKeys: false },
    layout: { kind: "ack", paths: {} },
    drain: 2,
    pauseBetweenMasters: 10,
    gate: 300,
    backup: {
      keep: 3,
      directory: "/var/lib/etcd-rotation/backups",
      diskSnapshot: false,
      diskSnapshotRetentionDays: 30,
    },
    allowOutage: false,
    skipUnreachable: false,
  });
});

test("names and addresses in certificates are taken as they are", () => {
  const extraSans = [
    "etcd",
    "7",
    "etcd_1.kube-system.svc",
    "*.etcd.example",
    "10.0.0.255",
    "::1",
    "fd00::a",
    "xn--bcher-kva.example",
    "10.0.0.1-name-1",
  ];
  expect(checkSettings(withMaster({ extraSans }), "lab").masters[0]?.extraSans).toEqual(extraSans);
});

test("a cluster of Alibaba Cloud is an id and a region", () => {
  const { clusterId, region, backup } = checkSettings(
    { ...good, clusterId: "c1", region: "ap-southeast-1", backup: { diskSnapshot: true } },
    "lab",
  );
  expect({ clusterId, region, backup }).toEqual({
    clusterId: "c1",
    region: "ap-southeast-1",
    backup: {
      keep: 3,
      directory: "/var/lib/etcd-rotation/backups",
      diskSnapshot: true,
      diskSnapshotRetentionDays: 30,
    },
  });
});

describe("readSettings", () => {
  test("reads this project's keys: objects as JSON, strings as they are", () => {
    pulumi.runtime.setAllConfig({
      "etcd-rotation:rotation": "2026",
      "etcd-rotation:masters": JSON.stringify(masters),
      "etcd-rotation:ssh": JSON.stringify({ agent: true }),
      "etcd-rotation:allowOutage": "true",
      "etcd-rotation:gate": "60s",
      "pulumi:tags": "{}",
    });
    expect(readSettings()).toMatchObject({
      rotation: "2026",
      masters,
      ssh: { agent: true },
      allowOutage: true,
      gate: 60,
    });
  });

  test("refuses an unknown key of this project", () => {
    pulumi.runtime.setAllConfig({ "etcd-rotation:rotations": "2026" });
    expect(() => readSettings()).toThrow('stack file: Unrecognized key: "rotations"');
  });

  test("tells Pulumi to show the message alone", () => {
    pulumi.runtime.setAllConfig({});
    try {
      readSettings();
      expect.fail("expected an error");
    } catch (error) {
      expect(pulumi.RunError.isInstance(error)).toBe(true);
    }
  });
});

describe("the private key from a file", () => {
  test("is read", () => {
    const file = join(folder, "id_ed25519");
    writeFileSync(file, privateKey);
    expect(checkSettings({ ...good, ssh: { privateKeyPath: file } }, "lab").ssh.privateKey).toBe(privateKey);
    const bastion = { host: "bastion.example", hostKey: "unchecked", privateKeyPath: file };
    expect(checkSettings({ ...good, ssh: { privateKey, bastion } }, "lab").ssh.bastion?.privateKey).toBe(
      privateKey,
    );
  });

  test("that is missing is an error", () => {
    const file = join(folder, "missing");
    expect(complaint({ ...good, ssh: { privateKeyPath: file } })).toBe(
      `Cannot read ssh.privateKeyPath "${file}": ENOENT: no such file or directory, open '${file}'`,
    );
    const bastion = { host: "bastion.example", hostKey: "unchecked", privateKeyPath: file };
    expect(complaint({ ...good, ssh: { privateKey, bastion } })).toBe(
      `Cannot read ssh.bastion.privateKeyPath "${file}": ENOENT: no such file or directory, open '${file}'`,
    );
  });
});

describe("a bad stack file is refused", () => {
  test("with its name and the way out", () => {
    expect(complaint({ ...good, gate: "9s" })).toBe(
      "Cannot use the stack file of lab:\n  etcd-rotation:gate: expected at least 10s; saw \"9s\"\nFix it there, or with: npx etcd-rotation pulumi config set --path '<key>' <value> --stack lab",
    );
  });

  const oneKey = "expected exactly one of privateKey, privateKeyPath, password and agent: true, found";
  const malformed = "expected an unencrypted or passphrase-protected private key in PEM or OpenSSH format";
  const aDuration = 'expected a whole number and s, m, h, d or y, such as "60d"';
  const aSan =
    'expected a DNS name such as "etcd.example" or "*.etcd.example", or an IPv4 or IPv6 address, without a port';
  const aHostKey = 'expected a host key such as "ssh-ed25519 AAAA…" (ssh-keyscan prints it), or "unchecked"';
  const bad: readonly [string, unknown, string[]][] = [
    ["an unknown key", { ...good, foo: 1 }, ['stack file: Unrecognized key: "foo"']],
    [
      "an unknown key of a master",
      withMaster({ hostkey: "x" }),
      ['etcd-rotation:masters[0]: Unrecognized key: "hostkey"'],
    ],
    [
      "no rotation",
      { ...good, rotation: undefined },
      ["etcd-rotation:rotation: Invalid input: expected string, received undefined; saw nothing"],
    ],
    [
      "an empty rotation",
      { ...good, rotation: "" },
      ['etcd-rotation:rotation: expected 1 to 48 letters, digits, dots, underscores or hyphens; saw ""'],
    ],
    [
      "a rotation with spaces",
      { ...good, rotation: "a b" },
      ['etcd-rotation:rotation: expected 1 to 48 letters, digits, dots, underscores or hyphens; saw "a b"'],
    ],
    [
      "no masters",
      { ...good, masters: undefined },
      ["etcd-rotation:masters: Invalid input: expected array, received undefined; saw nothing"],
    ],
    [
      "an empty list of masters",
      { ...good, masters: [] },
      ["etcd-rotation:masters: Too small: expected array to have >=1 items"],
    ],
    [
      "a master twice",
      { ...good, masters: [first, first] },
      [
        'etcd-rotation:masters[1].name: expected a value that no other master has; masters[0] has it too; saw "master-1"',
        'etcd-rotation:masters[1].address: expected a value that no other master has; masters[0] has it too; saw "10.77.0.11"',
        'etcd-rotation:masters[1].etcdName: expected a value that no other master has; masters[0] has it too; saw "10.77.0.11-name-1"',
      ],
    ],
    [
      "a bad name",
      withMaster({ name: "Master_1" }),
      [
        'etcd-rotation:masters[0].name: expected lower-case letters, digits, dots and hyphens; saw "Master_1"',
      ],
    ],
    [
      "a bad address",
      withMaster({ address: "10.77.0.256" }),
      ['etcd-rotation:masters[0].address: expected an IPv4 or IPv6 address; saw "10.77.0.256"'],
    ],
    [
      "a bad etcd name",
      withMaster({ etcdName: "a b" }),
      ['etcd-rotation:masters[0].etcdName: expected etcd\'s --name; saw "a b"'],
    ],
    [
      "a bad port",
      withMaster({ port: 65_536 }),
      ["etcd-rotation:masters[0].port: Too big: expected number to be <=65535; saw 65536"],
    ],
    ...[
      "a b",
      "host:6443",
      "10.0.0.256",
      "10.0.0",
      "fe80::1%eth0",
      "[::1]",
      "a..b",
      "a.",
      "-a",
      "a-.b",
      "*",
      "a.*.b",
      "",
      `${"a".repeat(64)}.b`,
    ].map((text): [string, unknown, string[]] => [
      `"${text}" in a certificate`,
      withMaster({ extraSans: ["etcd.example", text] }),
      [`etcd-rotation:masters[0].extraSans[1]: ${aSan}; saw ${JSON.stringify(text)}`],
    ]),
    [
      "a bad subject",
      withMaster({ subjects: { "etcd-peer": ["x"] } }),
      [
        'etcd-rotation:masters[0].subjects.etcd-peer[0]: expected attributes such as "CN=etcd-server"; saw "x"',
      ],
    ],
    [
      "a bad host key",
      withMaster({ hostKey: "AAAAC3" }),
      [`etcd-rotation:masters[0].hostKey: ${aHostKey}; saw "AAAAC3"`],
    ],
    [
      "no host key",
      withMaster({ hostKey: undefined }),
      ["etcd-rotation:masters[0].hostKey: Invalid input: expected string, received undefined; saw nothing"],
    ],
    ["no key source", { ...good, ssh: {} }, [`etcd-rotation:ssh: ${oneKey} 0`]],
    [
      "a key and a password",
      { ...good, ssh: { privateKey, password: "hunter2" } },
      [`etcd-rotation:ssh: ${oneKey} 2`],
    ],
    [
      "an empty password",
      { ...good, ssh: { password: "" } },
      ["etcd-rotation:ssh.password: expected a password"],
    ],
    ["two key sources", { ...good, ssh: { privateKey, agent: true } }, [`etcd-rotation:ssh: ${oneKey} 2`]],
    [
      "a bastion without a key source",
      { ...good, ssh: { privateKey, bastion: { host: "b", hostKey } } },
      [`etcd-rotation:ssh.bastion: ${oneKey} 0`],
    ],
    [
      "a malformed PEM",
      { ...good, ssh: { privateKey: privateKey.replace("END", "EN") } },
      [`etcd-rotation:ssh.privateKey: ${malformed}`],
    ],
    [
      "a key in the place of its path",
      { ...good, ssh: { privateKeyPath: privateKey } },
      ["etcd-rotation:ssh.privateKeyPath: expected the path of a file"],
    ],
    [
      "renewBefore as long as validity",
      { ...good, certificates: { validity: "60d" } },
      ["etcd-rotation:certificates.renewBefore: expected less than certificates.validity; saw nothing"],
    ],
    [
      "renewBefore longer than validity",
      { ...good, certificates: { validity: "1y", renewBefore: "366d" } },
      ['etcd-rotation:certificates.renewBefore: expected less than certificates.validity; saw "366d"'],
    ],
    [
      "a validity that is too long",
      { ...good, certificates: { validity: "101y" } },
      ['etcd-rotation:certificates.validity: expected 1h to 100y; saw "101y"'],
    ],
    [
      "a validity that is too short",
      { ...good, certificates: { validity: "59m", renewBefore: "1m" } },
      ['etcd-rotation:certificates.validity: expected 1h to 100y; saw "59m"'],
    ],
    [
      "a bad duration",
      { ...good, certificates: { validity: "1w" } },
      [`etcd-rotation:certificates.validity: ${aDuration}; saw "1w"`],
    ],
    [
      "a duration without a unit",
      { ...good, pauseBetweenMasters: 10 },
      ["etcd-rotation:pauseBetweenMasters: Invalid input: expected string, received number; saw 10"],
    ],
    [
      "another algorithm",
      { ...good, certificates: { algorithm: "DSA" } },
      [
        'etcd-rotation:certificates.algorithm: Invalid option: expected one of "ECDSA-P256"|"ECDSA-P384"|"RSA-2048"|"RSA-3072"|"RSA-4096"; saw "DSA"',
      ],
    ],
    [
      "a long drain",
      { ...good, drain: "6s" },
      [
        'etcd-rotation:drain: expected at most 5s: controller manager and scheduler lose their leases when the API server is away for 10 s; saw "6s"',
      ],
    ],
    [
      "no backups",
      { ...good, backup: { keep: 0 } },
      ["etcd-rotation:backup.keep: Too small: expected number to be >=1; saw 0"],
    ],
    [
      "a region alone",
      { ...good, region: "cn-hangzhou" },
      ["etcd-rotation:clusterId: expected it beside region, or neither; saw nothing"],
    ],
    [
      "a cluster without its region",
      { ...good, clusterId: "c1" },
      ["etcd-rotation:region: expected it beside clusterId, or neither; saw nothing"],
    ],
    [
      "a bad cluster id and region",
      { ...good, clusterId: "C 1", region: "Hangzhou" },
      [
        'etcd-rotation:clusterId: expected the id of an ACK dedicated cluster, as the console shows it; saw "C 1"',
        'etcd-rotation:region: expected a region of Alibaba Cloud, such as "cn-hangzhou"; saw "Hangzhou"',
      ],
    ],
    [
      "snapshots of disks that nobody knows",
      { ...good, backup: { diskSnapshot: true } },
      ["etcd-rotation:backup.diskSnapshot: expected clusterId and region beside it; saw true"],
    ],
    [
      "a retention that ECS does not take",
      {
        ...good,
        clusterId: "c1",
        region: "cn-hangzhou",
        backup: { diskSnapshot: true, diskSnapshotRetentionDays: 65_537 },
      },
      ["etcd-rotation:backup.diskSnapshotRetentionDays: Too big: expected number to be <=65536; saw 65537"],
    ],
    [
      "no retention",
      { ...good, backup: { diskSnapshotRetentionDays: 0 } },
      ["etcd-rotation:backup.diskSnapshotRetentionDays: Too small: expected number to be >=1; saw 0"],
    ],
    [
      "a relative folder",
      { ...good, backup: { directory: "backups" } },
      ['etcd-rotation:backup.directory: expected an absolute path; saw "backups"'],
    ],
    ...["/", "//", "/etc/", "/var/lib", "/data/..", "/run/backups"].map(
      (directory): [string, object, string[]] => [
        `backups in ${directory}`,
        { ...good, backup: { directory } },
        [
          `etcd-rotation:backup.directory: expected a folder for backups, such as "/data/backups", not one of the system; saw "${directory}"`,
        ],
      ],
    ),
    [
      "a path of no row",
      { ...good, layout: { paths: { ca: "/x" } } },
      ['etcd-rotation:layout.paths: Unrecognized key: "ca"'],
    ],
    [
      "a path of the other layout",
      { ...good, layout: { kind: "kubeadm", paths: { "etcd-client": "/x" } } },
      ['etcd-rotation:layout.paths.etcd-client: expected a file of the layout kubeadm; saw "/x"'],
    ],
    [
      "an extra file with the name of another, or of none of the kinds",
      {
        ...good,
        layout: {
          extra: [
            extra,
            { ...extra, name: "admin.conf" },
            { ...extra, name: "twice" },
            { ...extra, name: "twice" },
          ],
        },
      },
      ["admin.conf", "twice", "twice"].map(
        (name, index) =>
          `etcd-rotation:layout.extra[${index + 1}].name: expected a name that no file of the layout has; saw "${name}"`,
      ),
    ],
    [
      "an extra file that etcd reads, at a relative path",
      { ...good, layout: { extra: [{ ...extra, path: "x", restarts: ["etcd"] }] } },
      [
        'etcd-rotation:layout.extra[0].path: expected an absolute path; saw "x"',
        'etcd-rotation:layout.extra[0].restarts[0]: Invalid option: expected one of "kube-apiserver"|"kubelet"|"kube-controller-manager"|"kube-scheduler"; saw "etcd"',
      ],
    ],
    [
      "another layout",
      { ...good, layout: { kind: "k3s" } },
      ['etcd-rotation:layout.kind: Invalid option: expected one of "ack"|"kubeadm"; saw "k3s"'],
    ],
    [
      "a relative path",
      { ...good, layout: { paths: { "etcd-ca": "x" } } },
      ['etcd-rotation:layout.paths.etcd-ca: expected an absolute path; saw "x"'],
    ],
    [
      "a word for a yes or no",
      { ...good, allowOutage: "yes" },
      ['etcd-rotation:allowOutage: Invalid input: expected boolean, received string; saw "yes"'],
    ],
    [
      "a window on no day",
      withWindow({ days: [] }),
      ["etcd-rotation:window.days: Too small: expected array to have >=1 items"],
    ],
    [
      "a day that is none",
      withWindow({ days: ["Monday"] }),
      [
        'etcd-rotation:window.days[0]: Invalid option: expected one of "mon"|"tue"|"wed"|"thu"|"fri"|"sat"|"sun"; saw "Monday"',
      ],
    ],
    [
      "an hour that is none",
      withWindow({ from: "24:00" }),
      ['etcd-rotation:window.from: expected a time of day such as "22:00"; saw "24:00"'],
    ],
    [
      "a time without a zero",
      withWindow({ to: "4:00" }),
      ['etcd-rotation:window.to: expected a time of day such as "04:00"; saw "4:00"'],
    ],
    [
      "an empty window",
      withWindow({ from: "04:00" }),
      [
        'etcd-rotation:window.to: expected another time than from; a whole day is 00:00 to 24:00; saw "04:00"',
      ],
    ],
    [
      "a time zone that is none",
      withWindow({ timeZone: "Asia/Peking" }),
      [
        'etcd-rotation:window.timeZone: expected a time zone of the IANA database, such as "Asia/Shanghai"; saw "Asia/Peking"',
      ],
    ],
    [
      "an empty takeOver",
      { ...good, takeOver: "" },
      ['etcd-rotation:takeOver: Too small: expected string to have >=1 characters; saw ""'],
    ],
  ];
  test.each(bad)("for %s", (_, values, lines) => {
    expect(complaint(values).split("\n").slice(1, -1)).toEqual(lines.map((line) => `  ${line}`));
  });

  const leaks: readonly [string, unknown][] = [
    ["ssh itself", { ...good, ssh: "hunter2" }],
    ["its bastion", { ...good, ssh: { privateKey, bastion: "hunter2" } }],
    ["a passphrase that is a number", { ...good, ssh: { privateKey, passphrase: 17_283_945 } }],
    ["a password that is a number", { ...good, ssh: { password: 17_283_945 } }],
    ["a key that is no key", { ...good, ssh: { privateKey: "hunter2" } }],
    ["a key in the place of a host key", withMaster({ hostKey: privateKey })],
    [
      "a key in the place of a bastion's host key",
      { ...good, ssh: { privateKey, bastion: { host: "b", agent: true, hostKey: privateKey } } },
    ],
    ["a key in the place of its path", { ...good, ssh: { privateKeyPath: privateKey } }],
    ["a key in the place of a user", { ...good, ssh: { privateKey, user: privateKey, port: "x" } }],
    ["a key in the place of the masters", { ...good, masters: privateKey }],
    ["a key in the place of the rotation", { ...good, rotation: privateKey }],
  ];
  test.each(leaks)("without showing a secret in %s", (_, values) => {
    const text = complaint(values);
    expect(text).not.toBe("none");
    expect(text).not.toContain(secret);
    expect(text).not.toContain("hunter2");
    expect(text).not.toContain("17283945");
  });
});
