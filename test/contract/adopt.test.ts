import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fingerprintOf } from "../../cli/adopt/host-keys.ts";
import type { FoundMaster } from "../../components/model/found.ts";
import { engineEnvironment } from "../../tools/engine-environment.ts";
import { dedicatedId, managedId } from "../components/alicloud.ts";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import { type Answer, type FakeMasters, type FakeOptions, startFakeMasters } from "../support/fake-masters.ts";
import { lookText } from "../support/look-text.ts";
import { surveyText } from "../support/survey-text.ts";
import { makeProgramFolder } from "./program-folder.ts";
import { makeKeyPair, startSshServer } from "./ssh-server.ts";

// The real command with real SSH on loopback; the masters' answers are made up. test/lab/adopt.test.ts has real masters and the engine.

const root = mkdtempSync(join(tmpdir(), "adopt contract "));
const stackFile = join(root, "stacks", "Pulumi.prod.yaml");
const keyFile = join(root, "id");
const hosts = ["127.0.0.31", "127.0.0.32", "127.0.0.33"];
const found = foundAs(makePems("today"), { receipt: undefined, backups: [] });
const running: FakeMasters[] = [];

beforeAll(() => makeProgramFolder(root));

beforeEach(() => rmSync(stackFile, { force: true }));
afterEach(async () => {
  await Promise.all(running.splice(0).map((masters) => masters.stop()));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const rows = specs.map(({ etcdName }, index) => `${index + 1}a, started, ${etcdName}, https://${hosts[index]}:2380, https://${hosts[index]}:2379, false`);
const initialCluster = specs.map(({ etcdName }, index) => `${etcdName}=https://${hosts[index]}:2380`).join(",");

interface Made {
  readonly memberRows?: readonly string[];
  readonly etcd?: readonly string[];
}

/** A master that answers to the first look and to the survey. */
function master(each: FoundMaster, index: number, { memberRows = rows, etcd = [] }: Made = {}): Answer {
  const flags = [`--name=${each.name.replace("master-", "10.77.0.1")}-name-${index + 1}`, `--initial-advertise-peer-urls=https://${hosts[index]}:2380`];
  const look = lookText(each.name, { etcd: [...flags, `--initial-cluster=${initialCluster}`, ...etcd], "kube-apiserver": ["--secure-port=6443"] }, memberRows);
  return (script) => (script.includes("look 1") ? look : surveyText(each));
}

async function start(answers: readonly Answer[], options: FakeOptions = {}): Promise<FakeMasters> {
  const masters = await startFakeMasters(answers, { hosts, ...options });
  running.push(masters);
  return masters;
}

function adopt(port: number, ...args: string[]): Promise<ProgramResult> {
  const words = ["prod", "--host", "127.0.0.32", "--port", String(port), "--key", keyFile, "--cwd", root, "--no-preview", ...args];
  return runProgram(process.execPath, [join(import.meta.dirname, "..", "..", "cli", "adopt.ts"), ...words], { environment: { ...process.env, NO_COLOR: "1" } });
}

function knownHosts(port: number, keys: readonly string[]): string {
  const file = join(root, "known_hosts");
  writeFileSync(file, keys.map((key, index) => `[${hosts[index]}]:${port} ${key}\n`).join(""));
  return file;
}

test("three masters from the second one: only what differs from the defaults is written", async () => {
  const masters = await start(found.masters.map((each, index) => master(each, index)));
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
  const masters = await start(found.masters.map((each, index) => master(each, index)));
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
  const masters = await start(found.masters.map((each, index) => master(each, index)));
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

describe("host keys", () => {
  const other = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7";

  test("another one than known-hosts has: refused, nothing is written", async () => {
    const masters = await start(found.masters.map((each, index) => master(each, index)));
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(port, "--known-hosts", knownHosts(port, [masters.hostKey, masters.hostKey, other]));
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 3, isWritten: false });
    expect(stderr).toContain(
      `Cannot trust 127.0.0.33:${port}: it shows ssh-rsa ${fingerprintOf(masters.hostKey)}, and known-hosts has ssh-rsa ${fingerprintOf(other)}; expected the same key.`,
    );
    // the first look is all that the first master was asked
    expect(masters.answered()).toBe(1);
  });

  test("a machine that known-hosts does not have: refused before any login", async () => {
    const masters = await start(found.masters.map((each, index) => master(each, index)));
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(port, "--known-hosts", knownHosts(port, [masters.hostKey]));
    expect(code).toBe(3);
    expect(stderr).toContain("and known-hosts has no key of it; expected the same key.");
    expect(masters.answered()).toBe(0);
  });

  test("one that changes after it was confirmed: refused, and no script is sent", async () => {
    const honest = await start(found.masters.map((each, index) => master(each, index)));
    const hostile = await startFakeMasters([() => "never asked"]);
    running.push(hostile);
    let connections = 0;
    const proxy = createServer((socket) => {
      connections += 1;
      const target = createConnection(
        connections === 1 ? { port: honest.ports[0] ?? 0, host: "127.0.0.32" } : { port: hostile.ports[0] ?? 0, host: "127.0.0.1" },
      );
      socket.on("error", () => target.destroy());
      target.on("error", () => socket.destroy());
      socket.pipe(target).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.34", () => resolve()));
    const address = proxy.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, stderr } = await adopt(port, "--yes", "--host", "127.0.0.34");
    proxy.close();
    expect({ code, isWritten: existsSync(stackFile), answered: hostile.answered() }).toEqual({ code: 1, isWritten: false, answered: 0 });
    expect(stderr).toContain(`its host key is ${fingerprintOf(hostile.hostKey)}, expected the one that was confirmed (ssh-rsa)`);
  });
});

const evil = "\u001b[2J\u001b]0;title\u0007\r\nWritten: all is well\u202e\n";
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

test("an answer with control characters is quoted as one harmless line", async () => {
  const masters = await start([() => evil], { hosts: ["127.0.0.32"] });
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect(code).toBe(1);
  expect(`${stdout}${stderr}`).not.toMatch(control);
  expect(stderr).toContain('the answer is not complete; saw " [2J ]0;title Written: all is well ", expected nothing but the answer.');
});

test("a banner and a host name with control characters neither garble the output nor pose as a line of it", async () => {
  const masters = await start(
    found.masters.map(
      (each, index) => (script) => (script.includes("look 1") ? lookText(`${evil.replaceAll("\n", "")}x`, flagsOf(index), rows) : surveyText(each)),
    ),
    { banner: evil },
  );
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect(code, stderr).toBe(0);
  expect(`${stdout}${stderr}`).not.toMatch(control);
  expect(stdout).not.toContain("all is well");
  // such a name is nobody's: they are numbered
  expect(parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:masters"].map(({ name }: { name: string }) => name)).toEqual([
    "master-1",
    "master-2",
    "master-3",
  ]);
});

function flagsOf(index: number) {
  return {
    etcd: [`--name=10.77.0.1${index + 1}-name-${index + 1}`, `--initial-advertise-peer-urls=https://${hosts[index]}:2380`],
    "kube-apiserver": ["--x=y"],
  };
}

test("through a bastion with a key and a host key of its own, which the stack file has too", async () => {
  // sshd takes no blank in a path
  const folder = mkdtempSync(join(tmpdir(), "adopt-bastion-"));
  const key = makeKeyPair(folder, "key");
  const bastion = await startSshServer(folder, "bastion", [key]);
  try {
    const masters = await start(found.masters.map((each, index) => master(each, index)));
    const [port = 0] = masters.ports;
    const trusted = knownHosts(port, [masters.hostKey, masters.hostKey, masters.hostKey]);
    const place = ["--bastion", `${bastion.user}@127.0.0.1:${bastion.port}`, "--bastion-key", join(folder, "key")];
    expect(await adopt(port, "--known-hosts", trusted, ...place)).toMatchObject({ code: 3, stderr: expect.stringContaining("known-hosts has no key of it") });
    appendFileSync(trusted, `[127.0.0.1]:${bastion.port} ${bastion.hostKey}\n`);
    const { code, stderr } = await adopt(port, "--known-hosts", trusted, ...place);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:ssh"]).toEqual({
      port,
      privateKeyPath: keyFile,
      bastion: {
        host: "127.0.0.1",
        ...(bastion.user === "root" ? {} : { user: bastion.user }),
        port: bastion.port,
        privateKeyPath: join(folder, "key"),
        hostKey: bastion.hostKey.split(" ").slice(0, 2).join(" "),
      },
    });
  } finally {
    await bastion.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

describe("nothing is written", () => {
  test("over a stack file with settings, unless --force; what the engine keeps in it stays", async () => {
    const masters = await start(found.masters.map((each, index) => master(each, index)));
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
  const start3 = async () => (await start(found.masters.map((each, index) => master(each, index)))).ports[0] ?? 0;

  test("whose preview fails: 5, and the stack file stays", async () => {
    writeFileSync(join(program, "program.ts"), 'throw new Error("not today");\n');
    const { code, stdout, stderr } = await runProgram(process.execPath, [command, ...words(await start3()), "--yes"], { environment: env });
    expect(code, stdout).toBe(5);
    expect(stdout).toContain("not today");
    expect(stderr).toContain("The stack file is written, no master was changed. Go on with: npm run pulumi -- preview --stack prod");
    expect(parse(readFileSync(written, "utf8"))).toMatchObject({ encryptionsalt: expect.any(String), config: { "etcd-rotation:masters": [{}, {}, {}] } });
  });

  test("is there already: its salt stays, and a person is asked on the terminal, once for the first and once for the others", async () => {
    writeFileSync(join(program, "program.ts"), 'export default { seen: "all" };\n');
    const { encryptionsalt } = parse(readFileSync(written, "utf8"));
    const line = [process.execPath, command, ...words(await start3()), "--force"].map((word) => `'${word}'`).join(" ");
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
