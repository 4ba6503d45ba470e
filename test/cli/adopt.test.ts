import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { completed, type Draft, draftOf, extraSansOf, stackFileText } from "../../cli/adopt/draft.ts";
import { knownKeys } from "../../cli/adopt/host-keys.ts";
import { pathsOf } from "../../cli/adopt/layout-paths.ts";
import { flagOf, type Look, lookScript, parseLook } from "../../cli/adopt/look.ts";
import { inOrder, membershipOf, namesOf } from "../../cli/adopt/members.ts";
import { ackLayout, type LayoutKind, layouts } from "../../components/model/layout/tables.ts";
import { printable } from "../../components/model/text.ts";
import { checkSettings } from "../../stacks/settings.ts";
import { foundAs, makePems, masterWith, receipt, specs } from "../model/cluster.ts";

const look = (etcd: readonly string[], rest: Partial<Look> = {}): Look => ({
  hostname: "m",
  layout: "ack",
  flags: { etcd, "kube-apiserver": [] },
  memberRows: [],
  ...rest,
});
const own = "--initial-advertise-peer-urls=https://10.0.0.1:2380";

test("what a machine sends is one line without control characters", () => {
  expect(printable("a\u001b[31mred\u001b[0m\r\nb\u202ec\u009b")).toBe("a [31mred [0m b c ");
  expect(printable("Größe 漢字")).toBe("Größe 漢字");
});

describe("the members", () => {
  const row = (address: string, name: string) =>
    `1a, started, ${name}, https://${address}:2380, https://${address}:2379, false`;

  test("are etcd's own list, before flags that may be older", () => {
    const memberRows = [
      row("10.0.0.1", "a"),
      row("10.0.0.4", "d"),
      "4d, unstarted, , https://10.0.0.5:2380, , false",
    ];
    expect(
      membershipOf(
        "h",
        look([own, "--initial-cluster=a=https://10.0.0.1:2380,b=https://10.0.0.2:2380"], { memberRows }),
      ),
    ).toEqual({
      source: "etcd's member list",
      members: [
        { address: "10.0.0.1", etcdName: "a" },
        { address: "10.0.0.4", etcdName: "d" },
        { address: "10.0.0.5", etcdName: undefined },
      ],
    });
  });

  test("are in --initial-cluster when etcd does not tell; one with two URLs is there once", () => {
    expect(
      membershipOf(
        "h",
        look([
          own,
          "--initial-cluster=a=https://10.0.0.1:2380,a=https://10.1.0.1:2380,b=https://[fd00::2]:2380",
        ]),
      ),
    ).toEqual({
      source: "etcd's --initial-cluster",
      members: [
        { address: "10.0.0.1", etcdName: "a" },
        { address: "fd00::2", etcdName: "b" },
      ],
    });
  });

  test("are kube-apiserver's servers in the end, but not its own loopback", () => {
    const flags = {
      etcd: [own],
      "kube-apiserver": ["--etcd-servers=https://127.0.0.1:2379,https://10.0.0.1:2379,https://10.0.0.2:2379"],
    };
    expect(membershipOf("h", look([], { flags }))).toEqual({
      source: "kube-apiserver's --etcd-servers",
      members: [
        { address: "10.0.0.1", etcdName: undefined },
        { address: "10.0.0.2", etcdName: undefined },
      ],
    });
    const alone = { etcd: [own], "kube-apiserver": ["--etcd-servers=https://127.0.0.1:2379"] };
    expect(() => membershipOf("h", look([], { flags: alone }))).toThrow(
      "Cannot find the members of etcd from h: saw no member, and 10.0.0.1 as its own",
    );
  });

  test.each([
    [
      look([own], { memberRows: [row("10.0.0.2", "b")] }),
      "saw 10.0.0.2 in etcd's member list, and 10.0.0.1 as its own",
    ],
    [
      look([own], { memberRows: [row("10.0.0.1", "a"), row("etcd-2.internal", "b")] }),
      'etcd\'s member list has "etcd-2.internal"; expected an IP address',
    ],
    [
      look([own], { memberRows: ["1a, started, a, https://10.0.0.1:2380, https://10.0.0.1:4001, false"] }),
      "a member of etcd is at https://10.0.0.1:4001; expected port 2379",
    ],
    [
      look([], { flags: {} }),
      "Of a managed cluster the masters, and etcd's certificates, are the provider's",
    ],
  ])("that cannot be used are refused %#", (given, message) => {
    expect(() => membershipOf("h", given)).toThrow(message);
  });
});

describe("known_hosts", () => {
  const hmac = (name: string) => {
    const salt = Buffer.from("a salt of twenty byt");
    const hash = execFileSync("openssl", ["dgst", "-sha1", "-hmac", salt.toString(), "-binary"], {
      input: name,
    });
    return `|1|${salt.toString("base64")}|${hash.toString("base64")}`;
  };

  test.each([
    ["10.0.0.1 ssh-ed25519 K", 22, ["ssh-ed25519 K"]],
    ["m1,10.0.0.1 ssh-ed25519 K a comment", 22, ["ssh-ed25519 K"]],
    ["10.0.0.1 ssh-ed25519 K", 2222, []],
    ["[10.0.0.1]:2222 ssh-ed25519 K", 2222, ["ssh-ed25519 K"]],
    ["10.0.0.* ssh-ed25519 K", 22, ["ssh-ed25519 K"]],
    ["10.0.0.*,!10.0.0.1 ssh-ed25519 K", 22, []],
    [
      "10x0x0x1 ssh-ed25519 K\n# 10.0.0.1 ssh-rsa C\n10.0.0.1 ssh-rsa L\n10.0.0.1 ssh-ed25519 M",
      22,
      ["ssh-rsa L", "ssh-ed25519 M"],
    ],
    ["@cert-authority 10.0.0.1 ssh-ed25519 K", 22, []],
    [`${hmac("10.0.0.1")} ssh-ed25519 K`, 22, ["ssh-ed25519 K"]],
    [`${hmac("10.0.0.2")} ssh-ed25519 K`, 22, []],
  ])("%s, port %i", (text, port, expected) => {
    expect(knownKeys(text, "10.0.0.1", port).trusted).toEqual(expected);
  });

  test("knows what is revoked", () => {
    expect(knownKeys("@revoked * ssh-ed25519 K\n10.0.0.1 ssh-ed25519 K", "10.0.0.1", 22)).toEqual({
      trusted: ["ssh-ed25519 K"],
      revoked: ["ssh-ed25519 K"],
    });
  });
});

describe("layout.paths", () => {
  const flagged = ackLayout.filter((row) => row.flag !== undefined && row.reader === "etcd");
  const masters = (path: (row: string, flag: string, name: string) => string) =>
    specs.map((spec) => ({
      ...spec,
      look: look(flagged.map(({ id, flag = "" }) => `${flag}=${path(id, flag, spec.etcdName)}`)),
    }));
  const pathsFor = (path: Parameters<typeof masters>[0]) => pathsOf(masters(path), layouts.ack);
  const usual = (id: string, name: string) =>
    (ackLayout.find((row) => row.id === id)?.path ?? "").replace("{etcdName}", name);

  test("has nothing that is where it usually is", () => {
    expect(pathsFor((id, _, name) => usual(id, name))).toEqual({});
  });

  test("has what lies elsewhere, with the name in it where masters differ, and what lies beside it", () => {
    expect(pathsFor((id, _, name) => usual(id, name).replace("/var/lib/etcd/cert", "/data/etcd"))).toEqual({
      "etcd-ca": "/data/etcd/ca.pem",
      "etcd-peer-ca": "/data/etcd/peer-ca.pem",
      "etcd-server": "/data/etcd/etcd-server.pem",
      "etcd-server-key": "/data/etcd/etcd-server-key.pem",
      "etcd-peer": "/data/etcd/{etcdName}.pem",
      "etcd-peer-key": "/data/etcd/{etcdName}-key.pem",
      "etcd-client": "/data/etcd/etcd-client.pem",
      "etcd-client-key": "/data/etcd/etcd-client-key.pem",
    });
  });

  test("cannot be one path for masters that have nothing in common", () => {
    expect(() =>
      pathsFor((id, _, name) => (id === "etcd-ca" && name.endsWith("3") ? "/other/ca.pem" : usual(id, name))),
    ).toThrow(
      "Cannot adopt the cluster: etcd has --trusted-ca-file at different places on its masters (10.77.0.11: /var/lib/etcd/cert/ca.pem; 10.77.0.12: /var/lib/etcd/cert/ca.pem; 10.77.0.13: /other/ca.pem)",
    );
  });
});

describe("kubeadm's layout", () => {
  const draft = (
    api: readonly string[],
    kinds: readonly LayoutKind[] = ["kubeadm", "kubeadm", "kubeadm"],
  ) => {
    const seen = specs.map(({ address, etcdName }, index) => {
      const etcd = [
        `--name=${etcdName}`,
        `--listen-peer-urls=https://${address}:2380`,
        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
      ];
      const own = look(etcd, { layout: kinds[index] ?? "ack", flags: { etcd, "kube-apiserver": api } });
      return {
        address,
        etcdName,
        access: { host: address, port: 22, user: "root", hostKey: "ssh-ed25519 K" },
        look: own,
      };
    });
    return draftOf(seen, { agent: true }, "2026-11-25");
  };

  test("is written, with the paths that it has otherwise", () => {
    expect(draft([]).layout).toEqual({ kind: "kubeadm" });
    expect(draft(["--etcd-cafile=/p/ca.crt"]).layout).toEqual({
      kind: "kubeadm",
      paths: { "apiserver-etcd-ca": "/p/ca.crt" },
    });
  });

  test("and ACK's in one cluster are refused", () => {
    expect(() => draft([], ["kubeadm", "kubeadm", "ack"])).toThrow(
      "Cannot adopt the cluster: the layout of 10.77.0.11 is kubeadm's, that of 10.77.0.13 ack's; expected one for all masters",
    );
  });
});

describe("masters", () => {
  const of = (...rows: [string, string, string][]) =>
    rows.map(([address, etcdName, hostname]) => ({ address, etcdName, hostname }));

  test("come in the order of etcd's numbers, else of addresses", () => {
    expect(
      inOrder(
        of(["10.0.0.9", "x-name-2", "b"], ["10.0.0.10", "y-name-10", "c"], ["10.0.0.11", "z-name-1", "a"]),
      ).map(({ hostname }) => hostname),
    ).toEqual(["a", "b", "c"]);
    expect(
      inOrder(of(["10.0.0.10", "x", "b"], ["10.0.0.9", "y", "a"])).map(({ hostname }) => hostname),
    ).toEqual(["a", "b"]);
    expect(
      inOrder(of(["10.0.0.10", "10.0.0.10", "b"], ["10.0.0.9", "10.0.0.9", "a"])).map(
        ({ hostname }) => hostname,
      ),
    ).toEqual(["a", "b"]);
  });

  test("are called what their machines are called, where a stack file may hold all of these names", () => {
    expect(namesOf(["m-a", "m-b"])).toEqual(["m-a", "m-b"]);
    expect(namesOf(["iZ2zeX", "m-b"])).toEqual(["master-1", "master-2"]);
    expect(namesOf(["m", "m"])).toEqual(["master-1", "master-2"]);
  });
});

describe("the stack file", () => {
  const pems = makePems("today");
  const draft: Draft = {
    rotation: "2026-11-25",
    masters: specs.map(({ name, address, etcdName }) => ({
      name,
      address,
      etcdName,
      hostKey: "ssh-ed25519 AAAA",
    })),
    ssh: { agent: true },
  };

  test("gets the names of today's leaves that new ones would not have", () => {
    const [spec] = specs;
    const { name = "", address = "", etcdName = "" } = spec ?? {};
    expect(extraSansOf(masterWith("master-1", {}), { name, address, etcdName }, ackLayout)).toEqual([]);
    const [found] = foundAs(pems).masters;
    expect(found && extraSansOf(found, { name: "m", address: "10.9.9.9", etcdName }, ackLayout)).toEqual([
      "master-1",
      "10.77.0.11",
    ]);
  });

  test("leaves out paths of files that no master has, and keeps the rotation of its own complete receipts", () => {
    const bare = foundAs(pems, { receipt: { ...receipt, rotation: "earlier" } });
    const found = {
      masters: bare.masters.map((master) => ({
        ...master,
        files: Object.fromEntries(Object.entries(master.files).filter(([id]) => id !== "etcd-client")),
      })),
    };
    const paths = { "etcd-ca": "/d/ca.pem", "etcd-client": "/d/etcd-client.pem" };
    expect(completed({ ...draft, layout: { paths } }, found, ackLayout, "etcd-rotation/test")).toEqual({
      ...draft,
      rotation: "earlier",
      layout: { paths: { "etcd-ca": "/d/ca.pem" } },
    });
    expect(completed(draft, found, ackLayout, "etcd-rotation/another").rotation).toBe("2026-11-25");
  });

  test("is one that settings accept, says why an outage is allowed, and keeps what the engine needs", () => {
    const text = stackFileText(
      { ...draft, masters: draft.masters.slice(0, 1), allowOutage: true },
      "etcd-rotation",
      "# mine\nencryptionsalt: v1:x\nconfig:\n  a:b: 1\n",
    );
    expect(text).toBe(`# One stack is one cluster; stacks/Pulumi.example.yaml has every setting.
encryptionsalt: v1:x
config:
  etcd-rotation:rotation: "2026-11-25"
  etcd-rotation:masters:
    - name: "master-1"
      address: "10.77.0.11"
      etcdName: "10.77.0.11-name-1"
      hostKey: "ssh-ed25519 AAAA"
  etcd-rotation:ssh:
    agent: true
  # one or two masters: each restart is an outage of etcd and the API server, of some seconds
  etcd-rotation:allowOutage: true
`);
    const config: Record<string, unknown> = parse(text).config;
    const values = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key.replace("etcd-rotation:", ""), value]),
    );
    expect(checkSettings(values, "s")).toMatchObject({ rotation: "2026-11-25", allowOutage: true });
  });
});

describe("the look at a machine", () => {
  // bash here is this machine's; systemctl and etcdctl are stand-ins, and nothing of a control plane runs
  const folder = mkdtempSync(join(tmpdir(), "adopt look "));
  const manifests = join(folder, "all manifests");
  const tool = (name: string, body: string) => {
    writeFileSync(join(folder, "bin", name), `#!/bin/bash\n${body}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
  };

  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(join(folder, "bin"), { recursive: true });
    mkdirSync(manifests);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function ask(): Look {
    const script = lookScript().replace(
      "MANIFEST_DIR='/etc/kubernetes/manifests'",
      `MANIFEST_DIR='${manifests}'`,
    );
    expect(script).toContain(manifests);
    const env = {
      ...process.env,
      PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
      ETCDCTL_CACERT: "/refused/beside/flags",
    };
    const { status, stdout, stderr } = spawnSync("bash", ["-s"], { input: script, encoding: "utf8", env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return parseLook("h", stdout);
  }

  test("that has no control plane: no flags", () => {
    tool("systemctl", "exit 0");
    tool("etcdctl", "exit 1");
    expect(ask().flags).toEqual({});
  });

  test("where everything is stopped: units with their environment, and manifests", () => {
    writeFileSync(
      join(folder, "etcd.env"),
      "# of this master\nETCD_IP=10.0.0.1\nETCD_MEMBER='10.0.0.1-name-1'\nOPTS=\"--quota-backend-bytes 7 --debug\"\n",
    );
    tool(
      "systemctl",
      `case "$*" in
  'show -p ExecStart etcd') printf '%s\\n' 'ExecStart={ path=/usr/bin/etcd ; argv[]=/usr/bin/etcd --name \${ETCD_MEMBER} --cert-file=/c/\${ETCD_MEMBER}.pem $OPTS --listen-peer-urls https://\${ETCD_IP}:2380 ; ignore_errors=no ; pid=0 }' ;;
  'show -p EnvironmentFiles etcd') printf '%s\\n' 'EnvironmentFiles=${join(folder, "etcd.env")} (ignore_errors=no)' ;;
  'show -p Environment etcd') echo 'Environment=ETCD_IP=10.9.9.9 OTHER=1' ;;
esac`,
    );
    writeFileSync(
      join(manifests, "kube-apiserver.yaml"),
      `    command:\n    - kube-apiserver\n    - --etcd-cafile=/p/ca.pem\n    - "--etcd-certfile=/p/c.pem"\n    - '--etcd-keyfile=/p/k.pem'\n    - --etcd-servers=https://10.0.0.1:2379\n    livenessProbe: {a: -1}\n`,
    );
    tool(
      "etcdctl",
      `[ -z "\${ETCDCTL_CACERT:-}" ] && [[ "$*" == *"--endpoints=https://10.0.0.1:2379 --cacert=/p/ca.pem --cert=/p/c.pem --key=/p/k.pem member list" ]] || exit 9\necho '1a, started, n, https://10.0.0.1:2380, https://10.0.0.1:2379, false'`,
    );
    expect(ask()).toEqual({
      hostname: execFileSync("uname", ["-n"], { encoding: "utf8" }).trim(),
      layout: "ack",
      flags: {
        etcd: [
          "--name=10.0.0.1-name-1",
          "--cert-file=/c/10.0.0.1-name-1.pem",
          "--quota-backend-bytes=7",
          "--debug",
          "--listen-peer-urls=https://10.0.0.1:2380",
        ],
        "kube-apiserver": [
          "--etcd-cafile=/p/ca.pem",
          "--etcd-certfile=/p/c.pem",
          "--etcd-keyfile=/p/k.pem",
          "--etcd-servers=https://10.0.0.1:2379",
        ],
      },
      memberRows: ["1a, started, n, https://10.0.0.1:2380, https://10.0.0.1:2379, false"],
    });
  });

  test("where etcd is configured by its environment alone, running or not, and whatever else is there is not told", () => {
    const variables = {
      ETCD_NAME: "m-1",
      ETCD_LISTEN_PEER_URLS: "https://10.0.0.1:2380",
      ETCD_PEER_TRUSTED_CA_FILE: "/e/peer-ca.pem",
      ETCD_TRUSTED_CA_FILE: "/e/ca.pem",
      ETCD_ROOT_PASSWORD: "hunter2",
    };
    const told = [
      "--name=m-1",
      "--listen-peer-urls=https://10.0.0.1:2380",
      "--peer-trusted-ca-file=/e/peer-ca.pem",
    ];
    const stopped = (environment: string) =>
      `case "$*" in
  'show -p ExecStart etcd') printf '%s\\n' 'ExecStart={ path=/usr/bin/etcd ; argv[]=/usr/bin/etcd --trusted-ca-file /f/ca.pem ; ignore_errors=no ; pid=0 }' ;;
  'show -p Environment etcd') echo 'Environment=${environment}' ;;
esac`;
    const pairs = Object.entries(variables).map((pair) => pair.join("="));
    tool("systemctl", stopped(pairs.join(" ")));
    expect(ask().flags.etcd?.toSorted()).toEqual(
      ["--trusted-ca-file=/f/ca.pem", "--trusted-ca-file=/e/ca.pem", ...told].toSorted(),
    );
    expect(flagOf(ask(), "etcd", "--trusted-ca-file")).toBe("/f/ca.pem");
    const running = spawn("sleep", ["60"], { stdio: "ignore", env: { ...process.env, ...variables } });
    try {
      tool("systemctl", `[ "$*" != 'show -p MainPID etcd' ] || echo 'MainPID=${running.pid}'`);
      expect(ask().flags.etcd?.toSorted()).toEqual(["--trusted-ca-file=/e/ca.pem", ...told].toSorted());
    } finally {
      running.kill("SIGKILL");
    }
  });

  test("where etcd has a configuration file: that alone, its sections by the names of their flags", () => {
    const file = join(folder, "etcd.yml");
    writeFileSync(
      file,
      "name: 'm-1' # the first\nlisten-peer-urls: https://10.0.0.1:2380\ninitial-cluster-token: hunter2\nclient-transport-security:\n  cert-file: /e/server.pem\n  trusted-ca-file: \"/e/ca.pem\"\npeer-transport-security:\n  # of its own\n  cert-file: /e/m-1.pem\nlog-level: info\n",
    );
    const told = [
      `--config-file=${file}`,
      "--name=m-1",
      "--listen-peer-urls=https://10.0.0.1:2380",
      "--cert-file=/e/server.pem",
      "--trusted-ca-file=/e/ca.pem",
      "--peer-cert-file=/e/m-1.pem",
    ];
    const running = spawn("sleep", ["60"], {
      stdio: "ignore",
      env: { ...process.env, ETCD_CONFIG_FILE: file, ETCD_NAME: "ignored" },
    });
    try {
      tool("systemctl", `[ "$*" != 'show -p MainPID etcd' ] || echo 'MainPID=${running.pid}'`);
      expect(ask().flags.etcd).toEqual(told);
    } finally {
      running.kill("SIGKILL");
    }
  });

  test("where the kubelet is to run etcd: what its manifest says", () => {
    const manifest = join(manifests, "etcd.yaml");
    writeFileSync(
      manifest,
      "  - command:\n    - etcd\n    - --name=m-1\n    - --listen-peer-urls=https://10.0.0.1:2380\n",
    );
    try {
      tool("systemctl", `[ "$2 $3" != '-p ExecStart' ] || exit 9`);
      expect(ask()).toMatchObject({
        layout: "kubeadm",
        flags: { etcd: ["--name=m-1", "--listen-peer-urls=https://10.0.0.1:2380"] },
      });
      tool("systemctl", `[ "$*" != 'show -p MainPID etcd' ] || echo 'MainPID=${process.pid}'`);
      expect(ask().layout).toBe("ack");
    } finally {
      rmSync(manifest);
    }
  });

  test("where etcd runs: what it runs with, whatever its unit says", () => {
    const running = spawn(
      process.execPath,
      ["-e", "setInterval(() => {}, 1000)", "--", "--name", "n 1", "-trusted-ca-file=/r/ca.pem"],
      { stdio: "ignore" },
    );
    try {
      tool(
        "systemctl",
        `[ "$*" != 'show -p MainPID etcd' ] || echo 'MainPID=${running.pid}'\n[ "$2 $3" != '-p ExecStart' ] || exit 9`,
      );
      expect(ask().flags.etcd).toEqual(expect.arrayContaining(["--name=n 1", "--trusted-ca-file=/r/ca.pem"]));
    } finally {
      running.kill("SIGKILL");
    }
  });

  test("whose answer is cut, or has more in it, is none", () => {
    expect(() => parseLook("h", "Welcome!\u001b[2J\nlook 1\nend\n")).toThrow(
      'saw "Welcome! [2J look 1 end ", expected nothing but the answer',
    );
    expect(() => parseLook("h", "look 1\nhostname x\n")).toThrow("the answer is not complete");
  });
});
