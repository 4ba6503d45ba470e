import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fingerprintOf } from "../../cli/adopt/host-keys.ts";
import { engineEnvironment } from "../../tools/engine-environment.ts";
import { dedicatedId, managedId } from "../components/alicloud.ts";
import { runProgram } from "../lab/machine.ts";
import { specs } from "../model/cluster.ts";
import { lookText } from "../support/look-text.ts";
import { adopt, flagsOf, found, hosts, keyFile, knownHosts, master, root, rows, stackFile, start, startThree, useAdoption } from "./adoption.ts";

// The real command with real SSH on loopback; the masters' answers are made up. test/lab/adopt.test.ts has real masters and the engine. adopt-trust.test.ts is about host keys.

useAdoption();

test("three masters from the second one: only what differs from the defaults is written", async () => {
  const masters = await startThree();
  const [port = 0] = masters.ports;
  const { code, stdout, stderr } = await adopt(port, "--known-hosts", knownHosts(port, [masters.hostKey, masters.hostKey, masters.hostKey]));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`127.0.0.32:${port} ssh-rsa ${fingerprintOf(masters.hostKey)}\n`);
  expect(stdout).toContain("3 masters, by etcd's member list.\n");
  expect(parse(readFileSync(stackFile, "utf8"))).toEqual({
    config: {
      "etcd-rotation:rotation": new Date().toISOString().slice(0, 10),
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
    const environment = { ...process.env, PATH: path, ALICLOUD_STAND_IN_MASTERS: addresses.join(" "), NO_COLOR: "1" };
    return runProgram(process.execPath, [join(import.meta.dirname, "..", "..", "cli", "adopt.ts"), ...words], { environment });
  };
  const more = await adoptBy(dedicatedId, [...hosts, "127.0.0.39"]);
  expect({ code: more.code, isWritten: existsSync(stackFile) }).toEqual({ code: 3, isWritten: false });
  expect(more.stderr).toContain(
    `Cannot adopt cluster '${dedicatedId}': by Alibaba Cloud its masters are ${hosts.join(", ")}, 127.0.0.39, and etcd's members are ${hosts.join(", ")}; expected the same.`,
  );
  const managed = await adoptBy(managedId, hosts);
  expect({ code: managed.code, isWritten: existsSync(stackFile) }).toEqual({ code: 3, isWritten: false });
  expect(managed.stderr).toContain("its type is 'ManagedKubernetes', whose control plane is looked after by Alibaba Cloud");
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
  expect(JSON.parse(stdout)).toMatchObject({ stack: "prod", file: stackFile, isPreviewed: false, settings: { masters: [{ name: "master-1" }, {}, {}] } });
});

test("etcd that does not tell its members, since certificates have expired: its --initial-cluster does", async () => {
  const out = found.masters.map((each) => ({ ...each, etcd: "no status", doesAnswer: false, members: [], clusterId: "", isApiReady: false }));
  const masters = await start(out.map((each, index) => master(each, index, { memberRows: [] })));
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("3 masters, by etcd's --initial-cluster.\nnotice: etcd did not tell its members;");
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
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining(`Cannot write ${stackFile}: it is there, with settings; expected none.`) });
    expect(readFileSync(stackFile, "utf8")).toBe(there);
    expect(masters.answered()).toBe(0);
    expect((await adopt(port, "--yes", "--force")).code).toBe(0);
    expect(parse(readFileSync(stackFile, "utf8"))).toMatchObject({ encryptionsalt: "v1:abc", config: { "etcd-rotation:masters": [{}, {}, {}] } });
  });

  test("when the second master cannot be reached: it is named, and what to do", async () => {
    const masters = await start(
      found.masters.slice(1).map((each, index) => master(each, index + 1)),
      { hosts: hosts.slice(1) },
    );
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(port, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 1, isWritten: false });
    expect(stderr).toContain(`Cannot connect to 127.0.0.31:${port} as root: connect ECONNREFUSED`);
    expect(stderr).toContain("Nothing was written: every master must answer. Start it, or, when it is gone for good, remove its member");
  });

  test.each([
    ["a worker", { kubelet: ["--config=/x"] }, /it is no master of a dedicated cluster; saw kubelet, expected etcd and kube-apiserver\. Of a managed cluster/],
    ["a machine of another kind", {}, /saw no process of a control plane, expected etcd and kube-apiserver/],
    [
      "a master whose etcd is elsewhere",
      { "kube-apiserver": ["--etcd-servers=https://10.0.0.9:2379"] },
      /it has no etcd, neither as unit "etcd" nor as a static pod; saw kube-apiserver, expected/,
    ],
  ])("from %s", async (_, flags, says) => {
    const masters = await start([() => lookText("w1", flags, [])], { hosts: ["127.0.0.32"] });
    const { code, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 3, isWritten: false });
    expect(stderr).toMatch(says);
  });

  test("when another etcd answers where a member should be", async () => {
    const masters = await start(
      found.masters.map((each, index) => (index === 2 ? (script) => (script.includes("look 1") ? lookText("x", flagsOf(0), rows) : "") : master(each, index))),
    );
    const { code, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 3, isWritten: false });
    expect(stderr).toContain('Cannot adopt 127.0.0.33: saw etcd "10.77.0.11-name-1" at 127.0.0.31 there; expected the member "10.77.0.13-name-3"');
  });
});

describe("the stack", () => {
  const program = mkdtempSync(join(tmpdir(), "adopt-program-"));
  const written = join(program, "stacks", "Pulumi.prod.yaml");
  const { SSH_AUTH_SOCK: _agent, ...base } = process.env;
  const env = {
    ...engineEnvironment(base).env,
    PULUMI_BACKEND_URL: pathToFileURL(join(program, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: "contract",
    NO_COLOR: "1",
  };

  beforeAll(() => {
    mkdirSync(join(program, "stacks"));
    mkdirSync(join(program, "state"));
    writeFileSync(join(program, "Pulumi.yaml"), "name: etcd-rotation\nruntime:\n  name: nodejs\n  options:\n    typescript: false\nstackConfigDir: stacks\n");
    writeFileSync(join(program, "package.json"), '{ "type": "module", "main": "program.ts" }\n');
    symlinkSync(join(import.meta.dirname, "..", "..", "node_modules"), join(program, "node_modules"));
  });
  afterAll(() => rmSync(program, { recursive: true, force: true }));

  const words = (port: number) => ["prod", "--host", "127.0.0.32", "--port", String(port), "--key", keyFile, "--cwd", program];
  const command = join(import.meta.dirname, "..", "..", "cli", "adopt.ts");
  const firstPort = async () => (await startThree()).ports[0] ?? 0;

  test("whose preview fails: 5, and the stack file stays", async () => {
    writeFileSync(join(program, "program.ts"), 'throw new Error("not today");\n');
    const { code, stdout, stderr } = await runProgram(process.execPath, [command, ...words(await firstPort()), "--yes"], { environment: env });
    expect(code, stdout).toBe(5);
    expect(stdout).toContain("not today");
    expect(stderr).toContain("The stack file is written, no master was changed. Go on with: npm run pulumi -- preview --stack prod");
    expect(parse(readFileSync(written, "utf8"))).toMatchObject({ encryptionsalt: expect.any(String), config: { "etcd-rotation:masters": [{}, {}, {}] } });
  });

  test("is there already: its salt stays, and a person is asked on the terminal, once for the first and once for the others", async () => {
    writeFileSync(join(program, "program.ts"), 'export default { seen: "all" };\n');
    const { encryptionsalt } = parse(readFileSync(written, "utf8"));
    const line = [process.execPath, command, ...words(await firstPort()), "--force"].map((word) => `'${word}'`).join(" ");
    const answers = (text: string) =>
      new Promise<{ code: number | null; output: string }>((resolve) => {
        const child = spawn("script", ["--quiet", "--flush", "--return", "--command", line, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
        let [output, asked] = ["", 0];
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
          output += chunk;
          for (; asked < output.split("Type yes to go on: ").length - 1; asked++) {
            child.stdin.write(asked === 0 ? "yes\n" : `${text}\n`);
          }
        });
        child.once("close", (code) => resolve({ code, output }));
      });
    const before = readFileSync(written, "utf8");
    const declined = await answers("no");
    expect([declined.code, readFileSync(written, "utf8")]).toEqual([4, before]);
    const { code, output } = await answers("yes");
    expect(code, output).toBe(0);
    expect(output.match(/Type yes to go on: /g)).toHaveLength(2);
    expect(output.match(/ssh-rsa SHA256:/g)).toHaveLength(3);
    expect(output).toContain('seen: "all"');
    expect(parse(readFileSync(written, "utf8"))).toMatchObject({ encryptionsalt, config: { "etcd-rotation:masters": [{}, {}, {}] } });
    expect(readFileSync(written, "utf8")).toMatch(/^# One stack is one cluster;/);
  });
});

test.each([
  [[], "Cannot choose a stack"],
  [["a/b"], 'saw "a/b"; expected a name of letters'],
  [["prod"], "saw no --host"],
  [["prod", "--cluster-id", "c1"], "saw no --region; expected both, or neither"],
  [["prod", "--host", "h"], "saw neither; expected one of --key <file> and --agent"],
  [["prod", "--host", "h", "--key", keyFile], "Cannot ask whether the host keys are right"],
  [["prod", "--host", "h", "--key", join(root, "Pulumi.yaml")], "it is no private key"],
  [["prod", "--host", "h i", "--key", keyFile], "expected [user@]host[:port]"],
  [["prod", "--port", "0", "--host", "h", "--key", keyFile], "expected a port from 1 to 65535"],
])("bad usage: %j", async (words, says) => {
  const { code, stderr } = await runProgram(process.execPath, [join(import.meta.dirname, "..", "..", "cli", "adopt.ts"), "--cwd", root, ...words]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) });
});

test("--help tells the exit codes, in 80 columns", async () => {
  const { code, stdout } = await runProgram(process.execPath, [join(import.meta.dirname, "..", "..", "cli", "adopt.ts"), "--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("5 the stack file is written");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});
