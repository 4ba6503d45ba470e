import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { args } from "../components/program.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import { type FakeLogin, startFakeMasters } from "../support/fake-masters.ts";
import { surveyText } from "../support/survey-text.ts";
import type { ConnectionSpec } from "./spec.ts";
import { messagesOf, TestStack } from "./test-stack.ts";

// Machines that let nobody in by a key. Their SSH server is ssh2's: one of OpenSSH would need an account of this machine.

vi.setConfig({ testTimeout: 180_000 });

const password = "correct-horse 7f31";
const bastionPassword = "battery staple 5c02";
const folder = mkdtempSync(join(tmpdir(), "password-contract-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A master behind a bastion, each with one way to log in. */
async function machines(method: FakeLogin["method"]) {
  const [master] = foundAs(makePems("password")).masters;
  const target = await startFakeMasters(
    [
      (script) =>
        script.includes("PHASE='survey'") && master !== undefined ? surveyText(master) : "hello\n",
    ],
    {
      login: { method, password },
    },
  );
  const bastion = await startFakeMasters([() => ""], { login: { method, password: bastionPassword } });
  const stop = async () => {
    await target.stop();
    await bastion.stop();
  };
  return {
    port: target.ports[0] ?? 0,
    bastionPort: bastion.ports[0] ?? 0,
    hostKey: target.hostKey,
    bastionHostKey: bastion.hostKey,
    stop,
  };
}

describe.each(["password", "keyboard-interactive"] as const)("by %s", (method) => {
  test("the survey logs in, also on a bastion, and a wrong one is told as such and not shown", async () => {
    const { port, bastionPort, hostKey, bastionHostKey, stop } = await machines(method);
    const look = (own: string, ownBastion?: string) => {
      const login = { user: "root", privateKey: undefined, agent: false };
      const bastion =
        ownBastion === undefined
          ? {}
          : {
              bastion: {
                ...login,
                host: "127.0.0.1",
                port: bastionPort,
                hostKey: bastionHostKey,
                password: ownBastion,
              },
            };
      const masters = specs.slice(0, 1).map((spec) => ({ ...spec, host: "127.0.0.1", port, hostKey }));
      return takeSurvey(
        surveyTargets(
          { ...args, masters, ssh: { ...login, port: 22, password: own, ...bastion } },
          "etcd-rotation/test",
          [...ackLayout, ...ackKubernetes],
        ),
      );
    };
    try {
      expect((await look(password)).masters).toMatchObject([{ name: "master-1" }]);
      expect((await look(password, bastionPassword)).masters).toMatchObject([{ name: "master-1" }]);
      const refused = (where: number) =>
        `Cannot connect to 127.0.0.1:${where} as root: the password was refused; expected that user's, and PasswordAuthentication or KbdInteractiveAuthentication in its sshd_config (PermitRootLogin yes for root). Try: ssh -p ${where} root@127.0.0.1 true`;
      await expect(look("wrong-word-1")).rejects.toThrow(refused(port));
      await expect(look(password, "wrong-word-2")).rejects.toThrow(refused(bastionPort));
      await expect(look("wrong-word-1")).rejects.not.toThrow("wrong-word");
    } finally {
      await stop();
    }
  });

  test("the command plug-in logs in, also on a bastion; neither its state nor its words have the password", async () => {
    const { port, bastionPort, hostKey, bastionHostKey, stop } = await machines(method);
    const stack = new TestStack(join(folder, method));
    const to = (where: number, key: string, own: string): ConnectionSpec => ({
      host: "127.0.0.1",
      port: where,
      user: "root",
      hostKey: key,
      password: own,
      dialErrorLimit: 1,
    });
    try {
      await stack.init();
      const proxy = to(bastionPort, bastionHostKey, bastionPassword);
      const run = await stack.up({
        direct: { connection: to(port, hostKey, password), create: "x" },
        proxied: { connection: { ...to(port, hostKey, password), proxy }, create: "x" },
        refused: { connection: to(port, hostKey, "wrong-word-1"), create: "x" },
      });
      expect(
        ["direct", "proxied"].map((name) => stack.commands().get(name)?.outputs?.["stdout"]),
        run.output,
      ).toEqual(["hello", "hello"]);
      expect(messagesOf(run, "refused")).toMatch(/unable to authenticate/);
      for (const secret of [password, bastionPassword, "wrong-word-1"]) {
        expect(stack.stateText()).not.toContain(secret);
        expect(run.output).not.toContain(secret);
      }
    } finally {
      await stop();
    }
  });
});
