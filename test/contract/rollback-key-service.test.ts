import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeSshKey } from "../support/ssh-key.ts";
import { startKeyService } from "./key-service.ts";
import { RollbackStack } from "./rollback-stack.ts";

// A stack whose secrets are a key service's: there is no passphrase, and nothing may ask for one.

const folder = mkdtempSync(join(tmpdir(), "key service "));
const service = await startKeyService();
const stack = new RollbackStack(folder, {
  PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
  PULUMI_CONFIG_PASSPHRASE: undefined,
  ...service.env,
});
let first: string[];

beforeAll(async () => {
  await stack.pulumi(["stack", "init", "prod", "--secrets-provider", "hashivault://prod"]);
  stack.configure("2026-11");
  await stack.up(1);
  first = await stack.material();
  stack.configure("2026-12");
  await stack.up(2);
});

afterAll(() => {
  service.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("rollback tries the state out with the stack file's key service, and brings it back", async () => {
  const key = /^encryptedkey: .*$/m.exec(readFileSync(stack.stackFile, "utf8"))?.[0] ?? "none";
  const { code, stdout, stderr } = await stack.rollback(["--to", "1", "--yes"]);
  expect(code, stdout + stderr).toBe(0);
  expect(await stack.material()).toEqual(first);
  const text = readFileSync(stack.stackFile, "utf8");
  expect([
    text.includes("secretsprovider: hashivault://prod"),
    text.includes(key),
    text.includes("encryptionsalt"),
  ]).toEqual([true, true, false]);
});

test("backups decrypts the settings without a passphrase", async () => {
  stack.configure("2026-11");
  await stack.pulumi(["config", "set", "--stack", "prod", "--path", "masters[0].host", "127.0.0.1"]);
  await stack.pulumi(["config", "set", "--stack", "prod", "--path", "masters[0].port", "1"]);
  await stack.pulumi(["config", "rm", "--stack", "prod", "--path", "ssh.agent"]);
  await stack.pulumi([
    "config",
    "set",
    "--stack",
    "prod",
    "--secret",
    "--path",
    "--",
    "ssh.privateKey",
    makeSshKey(),
  ]);
  const { code, stderr } = await stack.backups([]);
  // nobody listens there: the key was read
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringMatching(/^Cannot connect to 127\.0\.0\.1:1 as root: .*ECONNREFUSED/),
  });
});
