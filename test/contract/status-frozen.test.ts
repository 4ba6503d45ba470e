import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { startFakeMasters } from "../support/fake-masters.ts";
import { type Stage, startFrozenMachine } from "../support/frozen-machine.ts";
import { makeProgramFolder } from "./program-folder.ts";

// A command that runs from cron must end by itself, whatever the machines do that it asks.

const root = mkdtempSync(join(tmpdir(), "frozen contract "));
const atEnd: (() => unknown)[] = [];

beforeAll(() => makeProgramFolder(root));

afterAll(async () => {
  await Promise.all(atEnd.map((stop) => stop()));
  rmSync(root, { recursive: true, force: true });
});

const byKey = { privateKeyPath: join(root, "id") };

async function frozenPort(stage: Stage): Promise<number> {
  const { port, stop } = await startFrozenMachine(stage);
  atEnd.push(stop);
  return port;
}

/** A stack of masters by their names and ports. */
function writeStack(
  stack: string,
  ports: Readonly<Record<string, number>>,
  ssh: Readonly<Record<string, unknown>>,
): void {
  const masters = Object.entries(ports).map(([name, port], index) => ({
    name,
    address: `10.0.0.${index + 1}`,
    etcdName: name,
    host: "127.0.0.1",
    port,
    hostKey: "unchecked",
  }));
  const config = {
    "etcd-rotation:rotation": "2026-11",
    "etcd-rotation:masters": masters,
    "etcd-rotation:ssh": ssh,
  };
  writeFileSync(join(root, "stacks", `Pulumi.${stack}.yaml`), JSON.stringify({ config }));
}

/** Longer than all bounds together, which are 90 s; 124 when it had to be killed. */
function status(...stacks: string[]): Promise<ProgramResult> {
  return runProgram(
    process.execPath,
    [
      join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"),
      "status",
      "--cwd",
      root,
      "--json",
      ...stacks,
    ],
    {
      environment: { ...process.env, SSH_AUTH_SOCK: join(root, "agent") },
      timeoutSeconds: 150,
    },
  );
}

test("machines that freeze at any stage, a bastion and an agent among them, are told, and the command ends", async () => {
  const stages = ["connection", "login", "session", "command"] as const;
  writeStack(
    "frozen",
    Object.fromEntries(
      await Promise.all(stages.map(async (stage) => [stage, await frozenPort(stage)] as const)),
    ),
    byKey,
  );
  writeStack(
    "behind",
    { behind: 22 },
    {
      ...byKey,
      bastion: { ...byKey, host: "127.0.0.1", port: await frozenPort("forward"), hostKey: "unchecked" },
    },
  );
  const agent = createServer().listen(join(root, "agent"));
  atEnd.push(() => agent.close());
  writeStack("asked", { asked: await frozenPort("command") }, { agent: true });

  const { code, stdout } = await status("frozen", "behind", "asked");
  expect(code, stdout).toBe(3);
  const answer: { clusters: { findings: { master: string; what: string }[] }[] } = JSON.parse(stdout);
  const told = answer.clusters.flatMap(({ findings }) =>
    findings.map(({ master, what }) => [master, what.replaceAll(/:\d+|\. Is the.*/g, "")]),
  );
  const late = "Cannot connect to 127.0.0.1 as root: Timed out while waiting for handshake";
  expect(Object.fromEntries(told)).toEqual({
    connection: late,
    login: late,
    session: "Cannot run a command on 127.0.0.1: no answer within 60 s",
    command: "Cannot run a command on 127.0.0.1: no answer within 60 s",
    behind: "Cannot connect to 127.0.0.1 through the bastion: no answer within 10 s",
    asked: late,
  });
});

test("a master that never stops talking is an error", async () => {
  const fakes = await startFakeMasters([() => "x".repeat(32 << 20)]);
  atEnd.push(fakes.stop);
  writeStack("endless", { endless: fakes.ports[0] ?? 0 }, byKey);
  const { code, stdout } = await status("endless");
  expect(code, stdout).toBe(3);
  expect(stdout).toContain(
    "Cannot run a command on 127.0.0.1: it has printed more than 8 MiB; expected the lines of a script",
  );
});
