import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { RollbackStack } from "./rollback-stack.ts";
import { makeKeyPair, type SshServer, startSshServer } from "./ssh-server.ts";

// Listing over a real sshd of this machine. Removing takes the masters' lock under /var/lib, so it is tested by itself
// (test/cli/backups.test.ts).

vi.setConfig({ hookTimeout: 180_000, testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), "backups-contract-"));
// sshd takes no blank in a path
const kept = mkdtempSync(join(tmpdir(), "backups-kept-"));
const key = makeKeyPair(folder, "key");
const stack = new RollbackStack(folder);
let server: SshServer;

beforeAll(async () => {
  server = await startSshServer(folder, "server", [key]);
  await stack.pulumi(["stack", "init", "prod"]);
  const backup = join(kept, "rollout-1");
  mkdirSync(join(backup, "files", "etc"), { recursive: true });
  writeFileSync(join(backup, "files", "etc", "a.pem"), "a");
  writeFileSync(
    join(backup, "manifest"),
    `rollout=1\nfile ${createHash("sha256").update("a").digest("hex")} root:root 600 /etc/a.pem\n`,
  );
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
  rmSync(kept, { recursive: true, force: true });
});

function configure(ssh: object, ports: readonly number[]): void {
  const salt = /^encryptionsalt: (.*)\n/m.exec(readFileSync(stack.stackFile, "utf8"))?.[1];
  const masters = ports.map((port, index) => ({
    name: `master-${index + 1}`,
    address: `127.0.0.${index + 1}`,
    host: "127.0.0.1",
    port,
    etcdName: `n${index + 1}`,
    hostKey: server.hostKey,
  }));
  const settings = {
    rotation: "a",
    masters,
    ssh: { user: server.user, ...ssh },
    backup: { directory: kept },
  };
  const config = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`etcd-rotation:${name}`, value]),
  );
  writeFileSync(stack.stackFile, `encryptionsalt: ${salt}\nconfig: ${JSON.stringify(config)}\n`);
}

const backup = { rollout: 1, files: 1, kind: "original", damaged: [] };

test("a key in a file needs no engine and no passphrase", async () => {
  chmodSync(join(folder, "key"), 0o600);
  configure({ privateKeyPath: join(folder, "key") }, [server.port]);
  const { code, stdout, stderr } = await stack.backups(["--json"], { PULUMI_CONFIG_PASSPHRASE: undefined });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({
    masters: [{ name: "master-1", backups: [backup], leftovers: [] }],
    failures: [],
  });
});

test("a master that cannot be reached fails the command, and the others are listed", async () => {
  configure({ privateKeyPath: join(folder, "key") }, [server.port, 1]);
  const { code, stdout } = await stack.backups(["--json"]);
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({
    masters: [{ name: "master-1", backups: [backup] }],
    failures: [expect.stringMatching(/^Cannot connect to 127\.0\.0\.1:1 as .*ECONNREFUSED/)],
  });
  const purge = await stack.backups(["purge", "1", "--yes", "--original"]);
  expect({ code: purge.code, last: purge.stderr.split("\n").at(-2) }).toEqual({
    code: 3,
    last: "Nothing was removed: all masters must answer first.",
  });
});

test("the only whole set is not removed", async () => {
  configure({ privateKeyPath: join(folder, "key") }, [server.port]);
  const { code, stderr } = await stack.backups(["purge", "1", "--yes", "--original"]);
  expect({ code, stderr }).toEqual({
    code: 6,
    stderr:
      "Cannot remove backup 1: on master-1 it is the newest whole set (the original one), which going back by hand needs; expected an older one\nNothing was removed.\n",
  });
});

test("an encrypted key is decrypted by the engine, and is never shown", async () => {
  configure({}, [server.port]);
  await stack.pulumi([
    "config",
    "set",
    "--stack",
    "prod",
    "--secret",
    "--path",
    "--",
    "ssh.privateKey",
    key.privateKey,
  ]);
  await stack.pulumi(["config", "set", "--stack", "prod", "skipUnreachable", "true"]);
  expect(readFileSync(stack.stackFile, "utf8")).not.toContain("PRIVATE KEY");
  const { code, stdout, stderr } = await stack.backups([]);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^master-1: .*\nrollout {2}taken \(UTC\).*\n {6}1 {2}.*original/);
  expect(`${stdout}${stderr}`).not.toContain("PRIVATE KEY");

  const without = await stack.backups([], { PULUMI_CONFIG_PASSPHRASE: undefined });
  expect(without.code).toBe(3);
  expect(without.stderr).toMatch(
    /^Cannot read the encrypted settings of .*: saw no passphrase .* or ssh\.privateKeyPath or agent: true, which need none\n$/,
  );
});

test.each([
  [["purge", "one"], "expected the number of a rollout\nRun with --help\n"],
  [["purge", "1"], "Cannot ask: standard input is not a terminal; expected --yes\n"],
])("%j is bad usage", async (args, message) => {
  const { code, stderr } = await stack.backups(args);
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining(message) });
});

test("--help tells the exit codes", async () => {
  const { code, stdout } = await stack.backups(["purge", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("6  refused; nothing was changed");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});
