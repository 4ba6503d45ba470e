import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fingerprintOf } from "../../cli/adopt/host-keys.ts";
import { lookText } from "../support/look-text.ts";
import { surveyText } from "../support/survey-text.ts";
import {
  adopt,
  flagsOf,
  found,
  keyFile,
  knownHosts,
  rows,
  stackFile,
  start,
  startThree,
  useAdoption,
} from "./adoption.ts";
import { makeKeyPair, startSshServer } from "./ssh-server.ts";

// Whom `adopt` believes: host keys, and machines that say strange things.

useAdoption();

describe("host keys", () => {
  const other = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7";

  test("another one than known-hosts has: refused, nothing is written", async () => {
    const masters = await startThree();
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(
      port,
      "--known-hosts",
      knownHosts(port, [masters.hostKey, masters.hostKey, other]),
    );
    expect({ code, isWritten: existsSync(stackFile) }).toEqual({ code: 6, isWritten: false });
    expect(stderr).toContain(
      `Cannot trust 127.0.0.33:${port}: it shows ssh-rsa ${fingerprintOf(masters.hostKey)}, and known-hosts has ssh-rsa ${fingerprintOf(other)}; expected the same key.`,
    );
    // the first look is all that the first master was asked
    expect(masters.answered()).toBe(1);
  });

  test("one of a type that the machine has no key of: refused before any login, as another one", async () => {
    const masters = await startThree();
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(
      port,
      "--known-hosts",
      knownHosts(port, [masters.hostKey, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", masters.hostKey]),
    );
    expect({ code, isWritten: existsSync(stackFile), answered: masters.answered() }).toEqual({
      code: 2,
      isWritten: false,
      answered: 0,
    });
    expect(stderr).toContain(
      `Cannot connect to 127.0.0.32:${port} as root: its host key is of another type, expected that of known-hosts (ssh-ed25519).`,
    );
  });

  test("a machine that known-hosts does not have: refused before any login", async () => {
    const masters = await startThree();
    const [port = 0] = masters.ports;
    const { code, stderr } = await adopt(port, "--known-hosts", knownHosts(port, [masters.hostKey]));
    expect(code).toBe(6);
    expect(stderr).toContain("and known-hosts has no key of it; expected the same key.");
    expect(masters.answered()).toBe(0);
  });

  test("one that changes after it was confirmed: refused, and no script is sent", async () => {
    const honest = await startThree();
    const hostile = await start([() => "never asked"], { hosts: ["127.0.0.1"] });
    let connections = 0;
    const proxy = createServer((socket) => {
      connections += 1;
      const target = createConnection(
        connections === 1
          ? { port: honest.ports[0] ?? 0, host: "127.0.0.32" }
          : { port: hostile.ports[0] ?? 0, host: "127.0.0.1" },
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
    expect({ code, isWritten: existsSync(stackFile), answered: hostile.answered() }).toEqual({
      code: 2,
      isWritten: false,
      answered: 0,
    });
    expect(stderr).toContain(
      `its host key is ${fingerprintOf(hostile.hostKey)}, expected the one that was confirmed (ssh-rsa)`,
    );
  });
});

const evil = "\u001b[2J\u001b]0;title\u0007\r\nWritten: all is well\u202e\n";
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

test("an answer with control characters is quoted as one harmless line", async () => {
  const masters = await start([() => evil], { hosts: ["127.0.0.32"] });
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect(code).toBe(2);
  expect(`${stdout}${stderr}`).not.toMatch(control);
  expect(stderr).toContain(
    'the answer is not complete; saw " [2J ]0;title Written: all is well ", expected nothing but the answer.',
  );
});

test("a banner and a host name with control characters neither garble the output nor pose as a line of it", async () => {
  const masters = await start(
    found.masters.map(
      (each, index) => (script) =>
        script.includes("look 1")
          ? lookText(`${evil.replaceAll("\n", "")}x`, flagsOf(index), rows)
          : surveyText(each),
    ),
    { banner: evil },
  );
  const { code, stdout, stderr } = await adopt(masters.ports[0] ?? 0, "--yes");
  expect(code, stderr).toBe(0);
  expect(`${stdout}${stderr}`).not.toMatch(control);
  expect(stdout).not.toContain("all is well");
  // such a name is nobody's: they are numbered
  expect(
    parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:masters"].map(
      ({ name }: { name: string }) => name,
    ),
  ).toEqual(["master-1", "master-2", "master-3"]);
});

test("through a bastion with a key and a host key of its own, which the stack file has too", async () => {
  // sshd takes no blank in a path
  const folder = mkdtempSync(join(tmpdir(), "adopt-bastion-"));
  const key = makeKeyPair(folder, "key");
  const bastion = await startSshServer(folder, "bastion", [key]);
  try {
    const masters = await startThree();
    const [port = 0] = masters.ports;
    const trusted = knownHosts(port, [masters.hostKey, masters.hostKey, masters.hostKey]);
    const place = [
      "--bastion",
      `${bastion.user}@127.0.0.1:${bastion.port}`,
      "--bastion-key",
      join(folder, "key"),
    ];
    expect(await adopt(port, "--known-hosts", trusted, ...place)).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("known-hosts has no key of it"),
    });
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
