import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { runProgram } from "../lab/machine.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { keyFile, root, stackFile, startThree, useAdoption } from "./adoption.ts";

// The real ssh with a configuration of the test's: ssh looks for its own one in the home of the password file, wherever HOME is.

useAdoption();
const ssh = execFileSync("which", ["ssh"], { encoding: "utf8" }).trim();
const programs = join(root, "programs");
const config = join(root, "config");

function adopt(...words: string[]) {
  const line = ["adopt", "prod", "--cwd", root, "--no-preview", "--yes", ...words];
  return runProgram(
    process.execPath,
    [join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"), ...line],
    {
      environment: { ...process.env, NO_COLOR: "1", PATH: `${programs}${delimiter}${process.env["PATH"]}` },
    },
  );
}

function configure(text: string): void {
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, "ssh"), `#!/bin/sh\nexec '${ssh}' -F '${config}' "$@"\n`, { mode: 0o755 });
  writeFileSync(config, text);
}

const settings = () => parse(readFileSync(stackFile, "utf8")).config["etcd-rotation:ssh"];

test("an alias stands for its host, port, user and key; they are shown, and written", async () => {
  const { ports } = await startThree();
  configure(
    `Host other\n  Port 1\nHost prod_*\n  HostName 127.0.0.32\n  Port ${ports[0]}\n  User ops\n  IdentityFile "${root}/missing"\n  IdentityFile "${keyFile}"\n`,
  );
  const { code, stdout, stderr } = await adopt("--host", "prod_second");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.replaceAll("\n", " ")).toContain(
    `By ssh's own configuration, prod_second: hostname 127.0.0.32, port ${ports[0]}, user ops, identityFile `,
  );
  expect(settings()).toEqual({ user: "ops", port: ports[0], privateKeyPath: keyFile });
});

test("what the options say comes first", async () => {
  const { ports } = await startThree();
  writeFileSync(join(root, "other"), makeSshKey(), { mode: 0o600 });
  configure(
    `Host second\n  HostName 127.0.0.32\n  Port 1\n  User nobody\n  IdentityFile "${join(root, "other")}"\n`,
  );
  expect((await adopt("--host", "root@second", "--port", String(ports[0]), "--key", keyFile)).code).toBe(0);
  expect(settings()).toEqual({ port: ports[0], privateKeyPath: keyFile });
});

test("a jump host is the bastion, by its own configuration", async () => {
  configure(
    `Host second\n  HostName 127.0.0.32\n  ProxyJump jump\nHost jump\n  HostName 127.0.0.34\n  Port 9\n  User hop\n  IdentityFile "${keyFile}"\n`,
  );
  const { code, stderr } = await adopt("--host", "second", "--key", keyFile);
  expect(code).not.toBe(0);
  expect(stderr).toContain("127.0.0.34:9");
});

test("two jump hosts, and a configuration that ssh cannot read, are told", async () => {
  configure("Host second\n  HostName 127.0.0.32\n  ProxyJump one,two\n");
  expect(await adopt("--host", "second", "--key", keyFile)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('Cannot read ProxyJump: saw "one,two"; expected [user@]host[:port]'),
  });
  configure("Nonsense yes\n");
  expect(await adopt("--host", "second", "--key", keyFile)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("Cannot ask ssh for its configuration of second:"),
  });
});

test("a machine without ssh goes by the options alone", async () => {
  const { ports } = await startThree();
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, "ssh"), "#!/bin/sh\nexit 127\n", { mode: 0o755 });
  const { code, stderr } = await adopt("--host", "127.0.0.32", "--port", String(ports[0]), "--key", keyFile);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});
