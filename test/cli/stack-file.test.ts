import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Engine } from "../../cli/engine.ts";
import { writeAtomically } from "../../cli/files.ts";
import { inParallel } from "../../cli/in-parallel.ts";
import { chooseStacks, programOf, readProject, stackNames } from "../../cli/project.ts";
import { readWindow, settingsFor, settingsWithKeys, settingsWithoutLogin } from "../../cli/stack-file.ts";

const folder = mkdtempSync(join(tmpdir(), "cli test "));
writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
const project = readProject(folder);
const noLogin = { isAgent: false };

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(stack: string, ssh: string): void {
  writeFileSync(
    join(folder, "stacks", `Pulumi.${stack}.yaml`),
    `encryptionsalt: v1:abc
config:
  other:key: 1
  etcd-rotation:rotation: "2026-11"
  etcd-rotation:masters:
    - { name: master-1, address: 10.0.0.1, etcdName: one, hostKey: ssh-ed25519 AAAA }
  etcd-rotation:ssh:
${ssh}
`,
  );
}

const encrypted = "{ secure: v1:secret-text }";

beforeEach(() => {
  rmSync(join(folder, "stacks"), { recursive: true, force: true });
  mkdirSync(join(folder, "stacks"));
  write("plain", "    agent: true");
  write("secret", `    privateKey: ${encrypted}`);
});

test("a window is read by itself, and one that cannot be read is told", () => {
  write(
    "window",
    '    agent: true\n  etcd-rotation:window: { days: [tue], from: "22:00", to: "04:00", timeZone: UTC }',
  );
  expect(readWindow(programOf(project, "window"))).toEqual({
    days: ["tue"],
    from: 1320,
    to: 240,
    timeZone: "UTC",
  });
  write("window", '    agent: true\n  etcd-rotation:window: { from: "22:00", to: "25:00", timeZone: UTC }');
  expect(() => readWindow(programOf(project, "window"))).toThrow(
    /^Cannot read the window in .*Pulumi\.window\.yaml: to: expected a time of day such as "04:00"$/,
  );
  write("window", "    agent: true");
  expect(readWindow(programOf(project, "window"))).toBeUndefined();
});

describe("a stack file", () => {
  test("is read without the stack's password", () => {
    const settings = settingsFor(programOf(project, "plain"), noLogin);
    expect([settings.rotation, settings.ssh.agent, settings.masters[0]?.address]).toEqual([
      "2026-11",
      true,
      "10.0.0.1",
    ]);
  });

  test.each([
    ["ssh.privateKey", `    privateKey: ${encrypted}`],
    ["ssh.password", `    password: ${encrypted}`],
    [
      "ssh.bastion.password",
      `    agent: true\n    bastion: { host: b, hostKey: ssh-ed25519 AAAA, password: ${encrypted} }`,
    ],
    ["ssh.passphrase", `    privateKeyPath: /nowhere\n    passphrase: ${encrypted}`],
    [
      "ssh.bastion.privateKey",
      `    agent: true\n    bastion: { host: b, hostKey: ssh-ed25519 AAAA, privateKey: ${encrypted} }`,
    ],
  ])("with an encrypted %s needs another way to log in", (key, ssh) => {
    write("secret", ssh);
    expect(() => settingsFor(programOf(project, "secret"), noLogin)).toThrow(
      `Cannot read ${key} of secret: it is encrypted, and the stack's password is not asked for here; expected privateKeyPath or agent: true there, or --agent, or --key <file>`,
    );
    expect(settingsFor(programOf(project, "secret"), { isAgent: true }).ssh).toMatchObject({ agent: true });
  });

  test("gets the key of --key in place of its own", () => {
    writeFileSync(join(folder, "id"), "the text of a key");
    write("secret", `    privateKey: ${encrypted}\n    port: 2222`);
    expect(
      settingsFor(programOf(project, "secret"), { isAgent: false, key: join(folder, "id") }).ssh,
    ).toMatchObject({
      privateKey: "the text of a key",
      port: 2222,
      agent: false,
    });
  });

  test("that cannot be used is bad usage for every command, and its keys are told as they stand in it", async () => {
    const own = { ...project, project: "mine" };
    writeFileSync(
      join(folder, "stacks", "Pulumi.wrong.yaml"),
      'config:\n  mine:rotation: ""\n  mine:window: { from: "9" }\n',
    );
    const wrong = programOf(own, "wrong");
    const told = expect.objectContaining({
      code: 3,
      message: expect.stringContaining("\n  mine:rotation: expected 1 to 48 letters"),
    });
    expect(() => settingsFor(wrong, noLogin)).toThrow(told);
    expect(() => settingsWithoutLogin(wrong)).toThrow(told);
    await expect(settingsWithKeys(new Engine({ folder }), wrong)).rejects.toThrow(told);
    expect(() => readWindow(wrong)).toThrow(expect.objectContaining({ code: 3 }));
    expect(() => settingsFor(programOf(project, "secret"), noLogin)).toThrow(
      expect.objectContaining({ code: 3 }),
    );
  });

  test("of several clusters is told as such", () => {
    writeFileSync(
      join(folder, "stacks", "Pulumi.several.yaml"),
      "config:\n  etcd-rotation:prod: { rotation: a, masters: [] }\n  etcd-rotation:dev: { masters: [] }\n",
    );
    expect(() => settingsFor(programOf(project, "several"), noLogin)).toThrow(
      "Cannot use the stack file of several: it has several clusters (prod, dev); expected the settings of one. What takes such a stack: pulumi, plan, report, fleet preview, fleet up",
    );
    expect(readWindow(programOf(project, "several"))).toBeUndefined();
  });

  test.each(["/nowhere/id", ""])('is not blamed for what --key "%s" does not have', (key) => {
    write("secret", `    privateKey: ${encrypted}`);
    expect(() => settingsFor(programOf(project, "secret"), { isAgent: false, key })).toThrow(
      `Cannot read --key "${key}": ENOENT: no such file or directory, open '${key}'; expected a private key`,
    );
  });

  test("that is missing or broken is named", () => {
    expect(() => settingsFor(programOf(project, "none"), noLogin)).toThrow(
      /^Cannot read the stack file .*Pulumi\.none\.yaml: ENOENT/,
    );
    writeFileSync(join(folder, "stacks", "Pulumi.broken.yaml"), "config: [");
    expect(() => settingsFor(programOf(project, "broken"), noLogin)).toThrow(
      /^Cannot read .*Pulumi\.broken\.yaml: Flow sequence/,
    );
    writeFileSync(join(folder, "stacks", "Pulumi.broken.yaml"), "config: *none\n");
    expect(() => settingsFor(programOf(project, "broken"), noLogin)).toThrow(
      /^Cannot read .*Pulumi\.broken\.yaml: Unresolved alias .*: none; expected the settings of a stack$/,
    );
  });
});

test("a project that has no folder for stack files yet has no stack", () => {
  const fresh = mkdtempSync(join(folder, "fresh "));
  writeFileSync(join(fresh, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: clusters\n");
  expect(() => chooseStacks(readProject(fresh), [], true)).toThrow(
    `Cannot choose a stack: none was given; expected a stack file in ${join(fresh, "clusters")}: there is none`,
  );
});

test("a project's file that is none is told by its key", () => {
  const nameless = mkdtempSync(join(folder, "nameless "));
  writeFileSync(join(nameless, "Pulumi.yaml"), "runtime: nodejs\n");
  expect(() => readProject(nameless)).toThrow(
    `Cannot read ${join(nameless, "Pulumi.yaml")}: name: Invalid input: expected string, received undefined; expected a Pulumi program's folder`,
  );
});

test("the example is no stack", () => {
  writeFileSync(join(folder, "stacks", "Pulumi.example.yaml"), "config: {}\n");
  writeFileSync(join(folder, "stacks", "settings.ts"), "");
  expect(stackNames(project)).toEqual(["plain", "secret"]);
});

test("stacks are named, all, or the only one", () => {
  expect(chooseStacks(project, ["plain", "plain"], false)).toEqual(["plain"]);
  expect(chooseStacks(project, [], true)).toEqual(["plain", "secret"]);
  expect(() => chooseStacks(project, [], false)).toThrow(
    "Cannot choose a stack: none was given; expected plain, secret",
  );
  expect(() => chooseStacks(project, ["prod"], false)).toThrow(
    "Cannot find the stack file of prod; expected plain, secret",
  );
  expect(() => chooseStacks(project, ["plain"], true)).toThrow(
    "Cannot choose stacks: both --all and plain were given; expected one of them",
  );
});

test("a file is replaced at once, and a failure leaves nothing behind", () => {
  const file = join(folder, "metrics.prom");
  writeFileSync(file, "old");
  writeAtomically(file, "new", 0o644);
  expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["new", 0o644]);
  // whoever has the old one open reads all of it
  linkSync(file, join(folder, "read meanwhile"));
  writeAtomically(file, "newer", 0o644);
  expect([readFileSync(file, "utf8"), readFileSync(join(folder, "read meanwhile"), "utf8")]).toEqual([
    "newer",
    "new",
  ]);
  mkdirSync(join(folder, "in the way"));
  expect(() => writeAtomically(join(folder, "in the way"), "new", 0o644)).toThrow();
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("at most so many at a time, and results in order", async () => {
  let running = 0;
  let most = 0;
  const results = await inParallel([5, 1, 3, 2, 4], 2, async (turns) => {
    running += 1;
    most = Math.max(most, running);
    for (let turn = 0; turn < turns; turn += 1) {
      await Promise.resolve();
    }
    running -= 1;
    return turns * 10;
  });
  expect([results, most]).toEqual([[50, 10, 30, 20, 40], 2]);
});
