import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { commonFlags } from "../../tools/engine/build-module.ts";
import { hasOfficialPlugin } from "../../tools/engine/official-engine.ts";
import { runProgram } from "../lab/machine.ts";
import { makeKeyPair, type SshServer, startSshServer } from "./ssh-server.ts";
import { messagesOf, TestStack } from "./test-stack.ts";

// What the plug-in that is built here does beyond the official one (tools/engine/README.md): not asked of that one.

const folder = mkdtempSync(join(tmpdir(), "built-command-"));
const key = makeKeyPair(folder, "key");
let server: SshServer;

beforeAll(async () => {
  server = await startSshServer(folder, "server", [key]);
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// side by side: they wait more than they work
describe.skipIf(hasOfficialPlugin("command"))("the built plug-in", { concurrent: true }, () => {
  const reach = ({ host, port, user, hostKey }: SshServer) => ({
    host,
    port,
    user,
    hostKey,
    privateKey: key.privateKey,
    dialErrorLimit: 5,
  });
  const command = (create: string) => ({ connection: reach(server), create, logging: "stderr" as const });

  test("passes its own tests", async () => {
    const sources = join(import.meta.dirname, "..", "..", "tools", "engine", "command");
    // as set-up builds it, so that what was compiled then is used
    const args = ["-C", sources, "test", ...commonFlags, "./..."];
    const { code, stdout, stderr } = await runProgram("go", args, {
      environment: { ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" },
    });
    expect(code, stdout + stderr).toBe(0);
  }, 900_000);

  test("tries again where a bastion drops connections before the handshake, as sshd does by MaxStartups", async () => {
    const bastion = await startSshServer(folder, "bastion", [key], "1:100:1");
    try {
      const stack = new TestStack(join(folder, "busy"));
      await stack.init();
      const step = { ...command("true"), connection: { ...reach(server), proxy: reach(bastion) } };
      const run = await stack.up(
        Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`step-${index}`, step])),
      );
      expect(run.code, run.output).toBe(0);
      // the engine would say so of a plug-in on PATH
      expect(run.output).not.toContain("using pulumi-resource");
      expect(bastion.log()).toContain("beginning MaxStartups throttling");
    } finally {
      await bastion.stop();
    }
  });

  test("shows nothing that steers a terminal, in its errors neither, and records every byte", async () => {
    const stack = new TestStack(join(folder, "steering"));
    await stack.init();
    const say = "printf 'seen\\033]52;c;cm0gLXJmIC8=\\007\\tend\\n'";
    const run = await stack.up({
      well: command(`${say}; ${say} >&2`),
      failing: command(`${say} >&2; exit 1`),
    });
    expect(run.code, run.output).not.toBe(0);
    const said = "seen ]52;c;cm0gLXJmIC8= \tend";
    expect(messagesOf(run, "well")).toContain(said);
    expect(messagesOf(run, "failing")).toContain(`:\n${said}`);
    expect(messagesOf(run, "well") + messagesOf(run, "failing") + run.output).not.toMatch(
      /[\p{Cc}--[\t\n]]/v,
    );
    const bytes = "seen\u001b]52;c;cm0gLXJmIC8=\u0007\tend";
    expect(stack.commands().get("well")?.outputs).toMatchObject({ stdout: bytes, stderr: bytes });
  });

  test("ends when the server is frozen: an error, no lock is left, and the next up works", async () => {
    const stack = new TestStack(join(folder, "frozen"));
    await stack.init();
    const over = join(folder, "over");
    // sshd's process for this very connection
    const create = `printf 'begun\\n' >&2; sleep 1; kill -STOP $PPID; until [ -e ${over} ]; do sleep 0.1; done; kill -KILL $PPID`;
    const frozen = await stack.up({ step: command(create) });
    writeFileSync(over, "");
    expect(frozen.code, frozen.output).not.toBe(0);
    expect(messagesOf(frozen, "step")).toMatch(
      new RegExp(
        `no answer from 127\\.0\\.0\\.1:${server.port} for 45s; what has begun there goes on: .*begun`,
        "s",
      ),
    );
    expect(stack.commands().has("step")).toBe(false);
    const next = await stack.up({ step: command("true") });
    expect(next.code, next.output).toBe(0);
  });

  test("ends at an interrupt, and what has begun on the server goes on", async () => {
    const [goOn, done] = [join(folder, "go-on"), join(folder, "done")];
    const stack = new TestStack(join(folder, "interrupted"));
    await stack.init();
    let isInterrupted = false;
    const create = `trap '' HUP PIPE; printf 'begun\\n' >&2; until [ -e ${goOn} ]; do sleep 0.1; done; touch ${done}`;
    const run = await stack.up({ step: command(create) }, (events, pulumi) => {
      if (!isInterrupted && messagesOf({ events }, "step").includes("begun")) {
        isInterrupted = true;
        pulumi.kill("SIGINT");
      }
    });
    expect(run.code, run.output).not.toBe(0);
    expect(messagesOf(run, "step")).toContain("context canceled");
    expect(existsSync(done)).toBe(false);
    writeFileSync(goOn, "");
    await vi.waitUntil(() => existsSync(done), { timeout: 60_000 });
  });
});
