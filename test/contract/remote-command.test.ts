import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { CommandSpec, ConnectionSpec } from "./spec.ts";
import {
  freePort,
  type KeyPair,
  makeKeyPair,
  type SshAgent,
  type SshServer,
  startSshAgent,
  startSshServer,
} from "./ssh-server.ts";
import { messagesOf, operationsOf, type Run, type StateResource, TestStack } from "./test-stack.ts";

// What is not proven here: logging in with a password (it needs the machine's own accounts).

// A loaded machine takes its time; what is measured here is never time.
vi.setConfig({ hookTimeout: 180_000 });

const secretMarker = "contract-secret-8d1f6c";
const folder = mkdtempSync(join(tmpdir(), "command-contract-"));
const plain = makeKeyPair(folder, "plain");
const encrypted = makeKeyPair(folder, "encrypted", "correct horse");
const inAgent = makeKeyPair(folder, "in-agent");
const forBastion = makeKeyPair(folder, "for-bastion");
const stranger = makeKeyPair(folder, "stranger");
let server: SshServer;
let bastion: SshServer;
let agent: SshAgent;

beforeAll(async () => {
  server = await startSshServer(folder, "server", [plain, encrypted, inAgent]);
  bastion = await startSshServer(folder, "bastion", [forBastion]);
  agent = await startSshAgent(folder, "in-agent");
});

afterAll(async () => {
  await Promise.all([server?.stop(), bastion?.stop(), agent?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

function reach(target: SshServer, key?: KeyPair): ConnectionSpec {
  const { host, port, user, hostKey } = target;
  const login = key === undefined ? {} : { privateKey: key.privateKey };
  return { host, port, user, hostKey, dialErrorLimit: 2, ...login };
}

/** A command over the plain way in. */
function command(rest: Omit<CommandSpec, "connection">): CommandSpec {
  return { connection: reach(server, plain), addPreviousOutputInEnv: false, ...rest };
}

async function newStack(name: string): Promise<TestStack> {
  const stack = new TestStack(join(folder, name));
  await stack.init();
  return stack;
}

function outputOf(commands: Map<string, StateResource>, name: string, key: string): unknown {
  return commands.get(name)?.outputs?.[key];
}

describe("commands that work", () => {
  const recorded = (name: string, key: string) => outputOf(stack.commands(), name, key);
  let stack: TestStack;
  let run: Run;
  let specs: Record<string, CommandSpec>;

  beforeAll(async () => {
    const { hostKey: _hostKey, ...unchecked } = reach(server, plain);
    const shown = "printf 'out-line\\n'; printf 'err-line\\n' >&2";
    specs = {
      key: command({ create: "printf key" }),
      "encrypted-key": {
        connection: { ...reach(server, encrypted), privateKeyPassword: "correct horse" },
        create: "printf encrypted",
      },
      agent: { connection: { ...reach(server), agentSocketPath: agent.socketPath }, create: "printf agent" },
      "unchecked-host": { connection: unchecked, create: "printf unchecked" },
      proxy: {
        connection: { ...reach(server, plain), proxy: reach(bastion, forBastion) },
        create: "printf proxied",
      },
      stdin: command({ create: "cat", stdin: "first\nsecond\n\n" }),
      environment: command({
        create: 'printf "%s" "$CONTRACT_WORD"',
        environment: { CONTRACT_WORD: "it's a word" },
      }),
      "long-line": command({ create: "head -c 204800 /dev/zero | tr '\\0' x; printf ' end\\n'" }),
      secret: command({ create: "wc -c", secretStdin: secretMarker, logging: "none" }),
      "no-create": command({ delete: "true" }),
      "log-default": command({ create: shown }),
      "log-both": command({ create: shown, logging: "stdoutAndStderr" }),
      "log-stdout": command({ create: shown, logging: "stdout" }),
      "log-stderr": command({ create: shown, logging: "stderr" }),
      "log-none": command({ create: shown, logging: "none" }),
    };
    stack = await newStack("working");
    run = await stack.up(specs);
    expect(run.code, run.output).toBe(0);
  });

  test.each([
    ["key", "key"],
    ["encrypted-key", "encrypted"],
    ["agent", "agent"],
    ["unchecked-host", "unchecked"],
    ["proxy", "proxied"],
    ["environment", "it's a word"],
    ["no-create", ""],
  ])("%s runs and records its output", (name, expected) => {
    expect(recorded(name, "stdout")).toBe(expected);
  });

  test("a proxy is really passed through", () => {
    expect(bastion.log()).toContain("Accepted publickey");
  });

  test("stdin arrives whole, and only the last line's end is trimmed", () => {
    expect(recorded("stdin", "stdout")).toBe("first\nsecond\n");
  });

  test("a single line of 200 KiB neither hangs nor is cut", () => {
    expect(recorded("long-line", "stdout")).toBe(`${"x".repeat(204_800)} end`);
  });

  test.each([
    ["log-default", true, true],
    ["log-both", true, true],
    ["log-stdout", true, false],
    ["log-stderr", false, true],
    ["log-none", false, false],
  ])("%s shows what it says and records both", (name, showsStdout, showsStderr) => {
    const messages = messagesOf(run, name);
    expect([messages.includes("out-line"), messages.includes("err-line")]).toEqual([
      showsStdout,
      showsStderr,
    ]);
    expect([recorded(name, "stdout"), recorded(name, "stderr")]).toEqual(["out-line", "err-line"]);
  });

  test("secret inputs are encrypted in the state, as inputs and as outputs", () => {
    const envelope = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
    const secret = stack.commands().get("secret");
    expect(secret?.inputs).toMatchObject({ stdin: envelope, connection: envelope });
    expect(secret?.outputs).toMatchObject({ stdin: envelope, connection: envelope });
    expect(stack.stateText()).not.toContain(secretMarker);
    expect(stack.stateText()).not.toContain("OPENSSH PRIVATE KEY");
    expect(run.output).not.toContain(secretMarker);
  });

  test("the output of a command with a secret stdin is itself no secret", () => {
    expect(recorded("secret", "stdout")).toBe(String(secretMarker.length));
  });

  test("a second preview is clean", async () => {
    const preview = await stack.preview(specs);
    expect(preview.code, preview.output).toBe(0);
    const operations = Object.keys(specs).flatMap((name) => operationsOf(preview, name));
    expect(new Set(operations)).toEqual(new Set(["same"]));
  });
});

describe("commands that fail", () => {
  let stack: TestStack;
  let run: Run;

  beforeAll(async () => {
    const closedPort = await freePort("127.0.0.1");
    stack = await newStack("failing");
    run = await stack.up({
      "wrong-host-key": {
        connection: { ...reach(server, plain), hostKey: stranger.publicKey, dialErrorLimit: 0 },
        create: "true",
      },
      "wrong-key": { connection: { ...reach(server, stranger), dialErrorLimit: 1 }, create: "true" },
      "closed-port": {
        connection: { ...reach(server, plain), port: closedPort, dialErrorLimit: 3 },
        create: "true",
      },
      "closed-proxy": {
        connection: {
          ...reach(server, plain),
          proxy: { ...reach(bastion, forBastion), port: closedPort, dialErrorLimit: 1 },
        },
        create: "true",
      },
      "refused-variable": command({ create: "true", environment: { REFUSED: "x" } }),
      "exit-code": command({ create: "printf 'seen\\n'; printf 'failed\\n' >&2; exit 3", logging: "none" }),
      neighbour: command({ create: "printf fine" }),
    });
  });

  test.each([
    ["wrong-host-key", "ssh: host key mismatch"],
    ["wrong-key", "after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate"],
    ["closed-port", "after 3 failed attempts: dial tcp 127.0.0.1:"],
    ["closed-proxy", "proxy: after 1 failed attempts: dial tcp 127.0.0.1:"],
    ["refused-variable", 'could not set environment variable "REFUSED"'],
    ["exit-code", "Process exited with status 3: running"],
  ])("%s is told and not recorded", (name, expected) => {
    expect(messagesOf(run, name)).toContain(expected);
    expect(stack.commands().has(name)).toBe(false);
  });

  test("the error of a failed command has the command and all that it printed", () => {
    const messages = messagesOf(run, "exit-code");
    expect(messages).toContain("seen");
    expect(messages).toContain("failed");
    expect(messages).toContain("exit 3");
  });

  test("every dial that failed before the limit is told", () => {
    const messages = messagesOf(run, "closed-port");
    expect(messages.match(/Dial \d\/3 failed: retrying/g)).toEqual([
      "Dial 1/3 failed: retrying",
      "Dial 2/3 failed: retrying",
      "Dial 3/3 failed: retrying",
    ]);
  });

  test("the run fails, what worked is recorded", () => {
    expect(run.code).not.toBe(0);
    expect(outputOf(stack.commands(), "neighbour", "stdout")).toBe("fine");
  });
});

describe("changes", () => {
  /** Commands append to this file, which shows what ran and in which order. */
  const journal = join(folder, "journal");
  const append = (word: string) => `printf '%s\\n' ${word} >> ${journal}`;
  const ran = () => {
    const lines = readFileSync(journal, "utf8").split("\n").slice(0, -1);
    rmSync(journal);
    return lines;
  };
  let stack: TestStack;

  beforeAll(async () => {
    stack = await newStack("changing");
  });

  test("a trigger replaces, another change updates, a failed update is retried, destroy deletes", async () => {
    const first = command({
      create: `${append("create")}; printf one`,
      delete: append("delete-1"),
      triggers: ["1"],
    });
    expect((await stack.up({ it: first })).code).toBe(0);
    expect(ran()).toEqual(["create"]);
    const firstId = stack.commands().get("it")?.id;

    // The old delete comes last, with the state's text.
    const replaced = { ...first, delete: append("delete-2"), triggers: ["2"] };
    const replace = await stack.up({ it: replaced });
    expect(replace.code, replace.output).toBe(0);
    expect(operationsOf(replace, "it")).toContain("create-replacement");
    expect(ran()).toEqual(["create", "delete-1"]);
    const secondId = stack.commands().get("it")?.id;
    expect(secondId).not.toBe(firstId);

    // Without an update command the create command runs again, in place.
    const fallback = { ...replaced, create: `${append("create-again")}; printf two` };
    const update = await stack.up({ it: fallback });
    expect(operationsOf(update, "it")).toEqual(["update"]);
    expect(ran()).toEqual(["create-again"]);
    expect(outputOf(stack.commands(), "it", "stdout")).toBe("two");
    expect(stack.commands().get("it")?.id).toBe(secondId);

    const failing = { ...fallback, update: `${append("update-fails")}; exit 1` };
    expect((await stack.up({ it: failing })).code).not.toBe(0);
    expect(ran()).toEqual(["update-fails"]);
    expect(stack.commands().get("it")?.inputs).not.toHaveProperty("update");
    expect(outputOf(stack.commands(), "it", "stdout")).toBe("two");

    const repaired = {
      ...fallback,
      update: `${append('"after $PULUMI_COMMAND_STDOUT"')}; printf three`,
      addPreviousOutputInEnv: true,
    };
    expect((await stack.up({ it: repaired })).code).toBe(0);
    expect(ran()).toEqual(["after two"]);
    expect(outputOf(stack.commands(), "it", "stdout")).toBe("three");

    const destroy = await stack.destroy();
    expect(destroy.code, destroy.output).toBe(0);
    expect(ran()).toEqual(["delete-2"]);
    expect(stack.commands().size).toBe(0);
  });

  test("output is shown while the command still runs", async () => {
    const goOn = join(folder, "go-on");
    // Ends well only if this test sees the first line before the command has ended.
    const create = `printf 'started\\n' >&2; for _ in $(seq 100); do [ -e ${goOn} ] && exit 0; sleep 0.1; done; exit 9`;
    const run = await stack.up({ live: command({ create, logging: "stderr" }) }, (events) => {
      if (messagesOf({ events }, "live").includes("started")) {
        writeFileSync(goOn, "");
      }
    });
    expect(run.code, run.output).toBe(0);
    expect(existsSync(goOn)).toBe(true);
    expect(operationsOf(run, "live")).toEqual(["create"]);
  });
});
