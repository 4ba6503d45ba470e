import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fingerprintOf } from "../../cli/adopt/host-keys.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { dedicatedId, managedId } from "../components/alicloud.ts";
import { runProgram } from "../lab/machine.ts";
import { fileOf, specs } from "../model/cluster.ts";
import { makeAuthority } from "../model/openssl.ts";
import { lookText } from "../support/look-text.ts";
import {
  adopt,
  flagsOf,
  found,
  hosts,
  keyFile,
  knownHosts,
  master,
  root,
  rows,
  stackFile,
  start,
  startThree,
  useAdoption,
} from "./adoption.ts";

// The real command with real SSH on loopback; the masters' answers are made up. test/lab/adopt.test.ts has real masters and the engine. adopt-trust.test.ts is about host keys.

useAdoption();

test("three masters from the second one: only what differs from the defaults is written", async () => {
  const masters = await startThree();
  const [port = 0] = masters.ports;
  const today = () => new Date().toISOString().slice(0, 10);
  const before = today();
  const { code, stdout, stderr } = await adopt(
    port,
    "--known-hosts",
    knownHosts(port, [masters.hostKey, masters.hostKey, masters.hostKey]),
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`127.0.0.32:${port} ssh-rsa ${fingerprintOf(masters.hostKey)}\n`);
  expect(stdout).toContain("3 masters, by etcd's member list.\n");
  expect(parse(readFileSync(stackFile, "utf8"))).toEqual({
    config: {
      // the day on which it began or, at midnight, ended
      "etcd-rotation:rotation": expect.toBeOneOf([before, today()]),
      "etcd-rotation:masters": specs.map(({ name, etcdName, address }, index) => ({
        name,
        address: hosts[index],
        etcdName,
        hostKey: masters.hostKey,
        extraSans: [address],
      })),
      "etcd-rotation:ssh": { port, privateKeyPath: keyFile },
    },
  });
  expect(readFileSync(stackFile, "utf8")).not.toContain("PRIVATE KEY");
});

test("a project without a folder for stack files gets one", async () => {
  const { ports, hostKey } = await startThree();
  const [port = 0] = ports;
  rmSync(join(root, "stacks"), { recursive: true });
  const { code, stderr } = await adopt(port, "--known-hosts", knownHosts(port, [hostKey, hostKey, hostKey]));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(existsSync(stackFile)).toBe(true);
});

test("somebody else's authority in a trust file is kept by word of the stack file, and said", async () => {
  const [trust] = ackLayout;
  const [first, ...others] = found.masters;
  const text = `${first?.files["etcd-ca"]?.certificates[0]?.pem}${makeAuthority("/CN=backup-ca").certPem}`;
  const changed =
    first === undefined || trust === undefined
      ? []
      : [{ ...first, files: { ...first.files, "etcd-ca": fileOf(trust, text) } }];
  const masters = await start([...changed, ...others].map((each, index) => master(each, index)));
  const { code, stdout } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect(code, stdout).toBe(0);
  expect(stdout.replaceAll("\n", " ")).toContain(
    "notice: etcd's trust files hold authorities that have issued nothing that this cluster uses. foreignAuthorities: keep is set, so their certificates stay accepted; the preview names them. If nobody needs them, set it to drop. ",
  );
  expect(parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:foreignAuthorities"]).toBe("keep");
});

test("--cluster-id and --region instead of --host; etcd must have the masters that Alibaba Cloud has", async () => {
  const masters = await startThree();
  const [port = 0] = masters.ports;
  const adoptBy = (clusterId: string, addresses: readonly string[]) => {
    const words = [
      "prod",
      "--cluster-id",
      clusterId,
      "--region",
      "cn-hangzhou",
      "--port",
      String(port),
      "--key",
      keyFile,
      "--cwd",
      root,
      "--no-preview",
      "--yes",
    ];
    const path = `${join(import.meta.dirname, "alicloud")}${delimiter}${process.env["PATH"]}`;
    const environment = {
      ...process.env,
      PATH: path,
      ALICLOUD_STAND_IN_MASTERS: addresses.join(" "),
      NO_COLOR: "1",
    };
    return runProgram(
      process.execPath,
      [join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"), "adopt", ...words],
      { environment },
    );
  };
  const more = await adoptBy(dedicatedId, [...hosts, "127.0.0.39"]);
  expect({ code: more.code, isWritten: existsSync(stackFile) }).toEqual({ code: 6, isWritten: false });
  expect(more.stderr).toContain(
    `Cannot adopt cluster '${dedicatedId}': by Alibaba Cloud its masters are ${hosts.join(", ")}, 127.0.0.39, and etcd's members are ${hosts.join(", ")}; expected the same.`,
  );
  const managed = await adoptBy(managedId, hosts);
  expect({ code: managed.code, isWritten: existsSync(stackFile) }).toEqual({ code: 6, isWritten: false });
  expect(managed.stderr).toContain(
    "its type is 'ManagedKubernetes', whose control plane is managed by Alibaba Cloud",
  );
  const { code, stdout, stderr } = await adoptBy(dedicatedId, hosts);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`The same as Alibaba Cloud's ${dedicatedId} in cn-hangzhou.\n`);
  expect(parse(readFileSync(stackFile, "utf8")).config).toMatchObject({
    "etcd-rotation:clusterId": dedicatedId,
    "etcd-rotation:region": "cn-hangzhou",
    "etcd-rotation:masters": [{ address: hosts[0] }, { address: hosts[1] }, { address: hosts[2] }],
  });
});

test("--json is the result alone on standard output", async () => {
  const masters = await startThree();
  const [port = 0] = masters.ports;
  const { code, stdout } = await adopt(port, "--yes", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    stack: "prod",
    file: stackFile,
    isPreviewed: false,
    settings: { masters: [{ name: "master-1" }, {}, {}] },
  });
});

test("etcd that does not tell its members, since certificates have expired: its --initial-cluster does", async () => {
  const out = found.masters.map((each) => ({
    ...each,
    etcd: "silent" as const,
    doesAnswer: false,
    members: [],
    clusterId: "",
    isApiReady: false,
  }));
  const masters = await start(out.map((each, index) => master(each, index, { memberRows: [] })));
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("3 masters, by etcd's --initial-cluster.\nnotice: etcd did not list its members;");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:masters"]).toHaveLength(3);
});

describe("nothing is written", () => {
  test("over a stack file with settings, unless --force; what the engine keeps in it stays", async () => {
    const masters = await startThree();
    const [port = 0] = masters.ports;
    const there = "encryptionsalt: v1:abc\nconfig:\n  etcd-rotation:rotation: mine\n";
    writeFileSync(stackFile, there);
    const refused = await adopt(port, "--yes");
    expect(refused).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(
        `Cannot write ${stackFile}: it is there, with settings; expected none.`,
      ),
    });
    expect(readFileSync(stackFile, "utf8")).toBe(there);
    expect(masters.answered()).toBe(0);
    expect((await adopt(port, "--yes", "--force")).code).toBe(0);
    expect(parse(readFileSync(stackFile, "utf8"))).toMatchObject({
      encryptionsalt: "v1:abc",
      config: { "etcd-rotation:masters": [{}, {}, {}] },
    });
  });

  test("when the second master cannot be reached: it is named, and what to do", async () => {
    const masters = await start(
      found.masters.slice(1).map((each, index) => master(each, index + 1)),
      { hosts: hosts.slice(1) },
    );
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(port, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 2, isWritten: false });
    expect(stderr).toContain(`Cannot connect to 127.0.0.31:${port} as root: connect ECONNREFUSED`);
    expect(stderr).toContain(
      "Nothing was written: every master must answer. Start it, or, when it is gone for good, remove its member",
    );
  });

  test.each([
    [
      "a worker",
      { kubelet: ["--config=/x"] },
      /it is not a master of a dedicated cluster; saw kubelet, expected etcd and kube-apiserver\. Of a managed cluster/,
    ],
    ["a machine of another kind", {}, /saw no process of a control plane, expected etcd and kube-apiserver/],
    [
      "a master whose etcd is elsewhere",
      { "kube-apiserver": ["--etcd-servers=https://10.0.0.9:2379"] },
      /it has no etcd, neither as unit "etcd" nor as a static pod; saw kube-apiserver, expected/,
    ],
  ])("from %s", async (_, flags, says) => {
    const masters = await start([() => lookText("w1", flags, [])], { hosts: ["127.0.0.32"] });
    const { code, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 6, isWritten: false });
    expect(stderr).toMatch(says);
  });

  test("when another etcd answers where a member should be", async () => {
    const masters = await start(
      found.masters.map((each, index) =>
        index === 2
          ? (script) => (script.includes("look 1") ? lookText("x", flagsOf(0), rows) : "")
          : master(each, index),
      ),
    );
    const { code, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 6, isWritten: false });
    expect(stderr).toContain(
      'Cannot adopt 127.0.0.33: saw etcd "10.77.0.11-name-1" at 127.0.0.31 there; expected the member "10.77.0.13-name-3"',
    );
  });
});

describe("the stack", () => {
  const program = mkdtempSync(join(tmpdir(), "adopt-program-"));
  const written = join(program, "stacks", "Pulumi.prod.yaml");
  const env = {
    ...engineEnvironment().env,
    PULUMI_BACKEND_URL: pathToFileURL(join(program, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: "contract",
    NO_COLOR: "1",
  };

  beforeEach(() => {
    rmSync(program, { recursive: true });
    for (const name of ["stacks", "state"]) {
      mkdirSync(join(program, name), { recursive: true });
    }
    writeFileSync(
      join(program, "Pulumi.yaml"),
      "name: etcd-rotation\nruntime:\n  name: nodejs\n  options:\n    typescript: false\nstackConfigDir: stacks\n",
    );
    writeFileSync(join(program, "package.json"), '{ "type": "module", "main": "program.ts" }\n');
    symlinkSync(join(import.meta.dirname, "..", "..", "node_modules"), join(program, "node_modules"));
  });
  afterAll(() => rmSync(program, { recursive: true, force: true }));

  const words = (port: number) => [
    "adopt",
    "prod",
    "--host",
    "127.0.0.32",
    "--port",
    String(port),
    "--key",
    keyFile,
    "--cwd",
    program,
  ];
  const command = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  const firstPort = async () => (await startThree()).ports[0] ?? 0;

  /** Runs a command on a terminal of its own, and answers each time that it asks. */
  const onTerminal = (
    line: string,
    environment: NodeJS.ProcessEnv,
    question: string,
    keys: readonly string[],
  ) =>
    new Promise<{ code: number | null; output: string }>((resolve) => {
      const words = ["--quiet", "--flush", "--return", "--command", line, "/dev/null"];
      const child = spawn("script", words, { env: environment, stdio: ["pipe", "pipe", "inherit"] });
      let [output, asked] = ["", 0];
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk;
        for (; asked < output.split(question).length - 1; asked++) {
          child.stdin.write(keys[asked] ?? "");
        }
      });
      child.once("close", (code) => resolve({ code, output }));
    });

  test("is not made without a passphrase: Ctrl-C and Ctrl-D end with 4, an empty one with 5", async () => {
    const { PULUMI_CONFIG_PASSPHRASE: _given, ...asking } = env;
    const line = [process.execPath, command, ...words(await firstPort()), "--yes", "--force"]
      .map((word) => `'${word}'`)
      .join(" ");
    const answer = (text: string) => onTerminal(line, asking, "Passphrase of the stack: ", [text]);
    for (const key of ["\x03", "\x04"]) {
      expect(await answer(key)).toMatchObject({
        code: 4,
        output: expect.stringContaining("Cannot go on: no passphrase was given"),
      });
    }
    const empty = "Cannot make the stack: the passphrase is empty; expected one";
    expect(await answer("\r")).toMatchObject({ code: 5, output: expect.stringContaining(empty) });
    const given = await runProgram("sh", ["-c", line], {
      environment: { ...asking, PULUMI_CONFIG_PASSPHRASE: "" },
    });
    expect(given).toMatchObject({ code: 5, stderr: expect.stringContaining(empty) });
    expect(existsSync(join(program, "state", ".pulumi", "stacks", "etcd-rotation", "prod.json"))).toBe(false);
    rmSync(written);
  });

  test("whose preview fails: 5, and the stack file stays", async () => {
    writeFileSync(join(program, "program.ts"), 'throw new Error("not today");\n');
    const { code, stdout, stderr } = await runProgram(
      process.execPath,
      [command, ...words(await firstPort()), "--yes"],
      { environment: env },
    );
    expect(code, stdout).toBe(5);
    expect(stdout).toContain("not today");
    expect(stderr).toContain(
      "The stack file is written, no master was changed. Go on with: npx etcd-rotation pulumi preview --stack prod",
    );
    expect(parse(readFileSync(written, "utf8"))).toMatchObject({
      encryptionsalt: expect.any(String),
      config: { "etcd-rotation:masters": [{}, {}, {}] },
    });
  });

  test("with a password: it is asked for on the terminal, and encrypted in the stack file", async () => {
    const password = "correct-horse 7f31";
    const masters = await start(
      found.masters.map((each, index) => master(each, index)),
      { login: { method: "keyboard-interactive", password } },
    );
    writeFileSync(
      join(program, "program.ts"),
      'import { Config } from "@pulumi/pulumi";\nexport const length = JSON.stringify(new Config().getObject("ssh")).length;\n',
    );
    const options = words(masters.ports[0] ?? 0).flatMap((word) =>
      word === "--key" ? ["--password"] : word === keyFile ? [] : [word],
    );
    const line = (...more: string[]) =>
      [process.execPath, command, ...options, ...more].map((word) => `'${word}'`).join(" ");
    const { code, output } = await onTerminal(line("--yes", "--force"), env, "Password on the masters: ", [
      `${password}\r`,
    ]);
    expect(code, output).toBe(0);
    expect(output).not.toContain(password);
    expect(parse(readFileSync(written, "utf8")).config["etcd-rotation:ssh"]).toEqual({
      password: { secure: expect.stringMatching(/^v1:/) },
      port: masters.ports[0],
    });
    const later = await onTerminal(
      line("--yes", "--force", "--no-preview"),
      env,
      "Password on the masters: ",
      [`${password}\r`],
    );
    expect(later.code, later.output).toBe(0);
    expect(later.output.replace(/\s+/g, " ")).toContain(
      "npx etcd-rotation pulumi config set --secret --path ssh.password",
    );
    expect(readFileSync(written, "utf8")).not.toContain(password);
    expect(
      await onTerminal(line("--yes", "--force"), env, "Password on the masters: ", ["\x03"]),
    ).toMatchObject({ code: 4 });
    const piped = await runProgram("sh", ["-c", line("--yes", "--force")], { environment: env });
    expect(piped).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(
        "Cannot ask for the password of --password: standard input is not a terminal",
      ),
    });
  });

  test("is there already: its salt stays, and a person is asked on the terminal, once for the first and once for the others", async () => {
    writeFileSync(join(program, "program.ts"), 'export default { seen: "all" };\n');
    const made = await runProgram(process.execPath, [command, ...words(await firstPort()), "--yes"], {
      environment: env,
    });
    expect(made.code, made.stderr).toBe(0);
    const { encryptionsalt } = parse(readFileSync(written, "utf8"));
    const line = [process.execPath, command, ...words(await firstPort()), "--force"]
      .map((word) => `'${word}'`)
      .join(" ");
    const answers = (text: string) => onTerminal(line, env, "Type yes to go on: ", ["yes\n", `${text}\n`]);
    const before = readFileSync(written, "utf8");
    const declined = await answers("no");
    expect([declined.code, readFileSync(written, "utf8")]).toEqual([4, before]);
    const { code, output } = await answers("yes");
    expect(code, output).toBe(0);
    expect(output.match(/Type yes to go on: /g)).toHaveLength(2);
    expect(output.match(/ssh-rsa SHA256:/g)).toHaveLength(3);
    expect(output).toContain('seen: "all"');
    expect(parse(readFileSync(written, "utf8"))).toMatchObject({
      encryptionsalt,
      config: { "etcd-rotation:masters": [{}, {}, {}] },
    });
    expect(readFileSync(written, "utf8")).toMatch(/^# One stack is one cluster;/);
  });
});

test.each([
  [[], "missing required argument 'stack'"],
  [["a/b"], 'saw "a/b"; expected a name of letters'],
  [["prod"], "saw no --host"],
  [["prod", "--cluster-id", "c1"], "saw no --region; expected both, or neither"],
  [["prod", "--host", "h"], "saw none of --key <file>, --password and --agent; expected one"],
  [
    ["prod", "--host", "h", "--key", keyFile, "--password"],
    "saw 2 of --key <file>, --password and --agent; expected one",
  ],
  [
    ["prod", "--host", "h", "--agent", "--bastion-password"],
    "Cannot use --bastion-password: saw no --bastion",
  ],
  [["prod", "--host", "h", "--key", keyFile], "Cannot ask whether the host keys are right"],
  [["prod", "--host", "h", "--key", join(root, "Pulumi.yaml")], "it is no private key"],
  [["prod", "--host", "h i", "--key", keyFile], "expected [user@]host[:port]"],
  [["prod", "--port", "0", "--host", "h", "--key", keyFile], "expected a port from 1 to 65535"],
])("bad usage: %j", async (words, says) => {
  const { code, stderr } = await runProgram(process.execPath, [
    join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"),
    "adopt",
    "--cwd",
    root,
    ...words,
  ]);
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining(says) });
});

test("--help tells the exit codes, in 80 columns", async () => {
  const { code, stdout } = await runProgram(process.execPath, [
    join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"),
    "adopt",
    "--help",
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain("5  begun and not finished");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});
