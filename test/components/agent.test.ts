import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { surveyCluster } from "../../components/cluster.ts";
import { agentSocket, agentVariable, refuseStaleAgent } from "../../components/survey/agent.ts";
import { args } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "agent "));
const gone = join(folder, "gone");

beforeEach(async () => {
  vi.stubEnv(agentVariable, undefined);
  await pulumi.runtime.setMocks(
    { newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: () => ({}) },
    "etcd-rotation",
    "test",
    true,
    "organization",
  );
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("an agent that is gone, and that the plug-in would ask all the same, is refused before any key is made", async () => {
  vi.stubEnv("SSH_AUTH_SOCK", gone);
  await expect(surveyCluster(args)).rejects.toThrow(
    `Cannot begin: SSH_AUTH_SOCK names an agent that is gone (connect ENOENT ${gone}), at which the command plug-in would fail in every step; expected a running one, or none. Run: unset SSH_AUTH_SOCK, or use npx etcd-rotation pulumi`,
  );
});

test("so is an agent that is asked for and not named", async () => {
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  await expect(surveyCluster({ ...args, ssh: { user: "root", port: 22, agent: true } })).rejects.toThrow(
    "Cannot log in: agent is true, and SSH_AUTH_SOCK is not set; expected a running agent.",
  );
});

test("one that runs, or none, is no reason", async () => {
  const agent = createServer().listen(join(folder, "runs"));
  for (const socket of [join(folder, "runs"), "", undefined]) {
    vi.stubEnv("SSH_AUTH_SOCK", socket);
    await expect(refuseStaleAgent()).resolves.toBeUndefined();
  }
  agent.close();
});

test("the variable is taken from where npx etcd-rotation pulumi has put it", () => {
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  vi.stubEnv(agentVariable, "/run/agent");
  expect(agentSocket()).toBe("/run/agent");
});
