import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { claimMasters } from "../../components/survey/claim.ts";
import { type SurveyTarget, takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { args } from "../components/program.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import { type FakeMasters, startFakeMasters } from "../support/fake-masters.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { surveyText } from "../support/survey-text.ts";
import { freePort, makeKeyPair, startSshServer } from "./ssh-server.ts";

// Real SSH on loopback; the masters' answers are made up.

const privateKey = makeSshKey();
let fakes: FakeMasters;

beforeAll(async () => {
  fakes = await startFakeMasters(
    foundAs(makePems("survey")).masters.map((master) => () => surveyText(master)),
  );
});

afterAll(() => fakes.stop());

/** Port 1 is where nobody listens. */
function targets(
  ports: readonly (number | undefined)[],
  hostKey = "unchecked",
  agent = false,
): SurveyTarget[] {
  const masters = specs.map((spec, index) => ({
    ...spec,
    host: "127.0.0.1",
    port: ports[index] ?? 1,
    hostKey: index === 0 ? hostKey : "unchecked",
  }));
  const ssh = { ...args.ssh, agent, privateKey: agent ? undefined : privateKey };
  return surveyTargets({ ...args, masters, ssh }, "etcd-rotation/test", [...ackLayout, ...ackKubernetes]);
}

test("a master that does not answer is an error, and left out only where that is allowed", async () => {
  const out = targets([fakes.ports[0], 1, fakes.ports[2]]);
  await expect(takeSurvey(out)).rejects.toThrow(
    "Cannot connect to 127.0.0.1:1 as root: connect ECONNREFUSED",
  );
  const { masters } = await takeSurvey(out, true);
  expect(masters.map(({ name }) => name)).toEqual(["master-1", "master-3"]);
});

test("a master whose Kubernetes reads certificates only when it starts is looked at again, with that in the rows", async () => {
  const scripts: string[] = [];
  const versions = ["v1.18.8-aliyun.1", "v1.30.14"];
  const masters = await startFakeMasters(
    foundAs(makePems("old"))
      .masters.slice(0, 2)
      .map((master, index) => (script) => {
        scripts.push(
          `${versions[index]} ${/^FILE_RESTARTS=.*$/m.exec(script)?.[0].includes("'kube-apiserver kubelet kube-controller-manager'")}`,
        );
        return surveyText({ ...master, kubernetes: versions[index] ?? "" });
      }),
  );
  try {
    const { masters: found } = await takeSurvey(targets([...masters.ports]).slice(0, 2));
    expect(found.map(({ kubernetes }) => kubernetes)).toEqual(versions);
    expect(scripts.toSorted()).toEqual(["v1.18.8-aliyun.1 false", "v1.18.8-aliyun.1 true", "v1.30.14 false"]);
  } finally {
    await masters.stop();
  }
});

test("a bastion that drops connections before the handshake, as sshd does by MaxStartups, is tried again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "survey-contract-"));
  const key = makeKeyPair(folder, "key");
  const bastion = await startSshServer(folder, "bastion", [key], "10:100:10");
  try {
    const access = { ...bastion, privateKey: key.privateKey };
    const clusters = Array.from({ length: 8 }, () =>
      targets([...fakes.ports]).map((target) => ({ ...target, bastion: access })),
    );
    const surveys = await Promise.all(clusters.map((cluster) => takeSurvey(cluster, true)));
    expect(surveys.map(({ masters }) => masters.length)).toEqual(clusters.map(() => 3));
    expect(bastion.log()).toMatch(/beginning MaxStartups throttling/);
  } finally {
    await bastion.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("one that drops every connection does not answer", async () => {
  let dropped = 0;
  const port = await freePort("127.0.0.1");
  const server = createServer((socket) => {
    dropped += 1;
    socket.end("Exceeded MaxStartups\r\n");
  }).listen(port, "127.0.0.1");
  try {
    const out = targets([fakes.ports[0], port, fakes.ports[2]]);
    const { masters } = await takeSurvey(out, true);
    expect(masters.map(({ name }) => name)).toEqual(["master-1", "master-3"]);
    expect(dropped).toBe(6);
  } finally {
    server.close();
  }
});

test("one that shows another host key, or has none of that type, is an error in any case, and so are three that do not answer", async () => {
  const other = targets([...fakes.ports], "ssh-rsa AAAA");
  await expect(takeSurvey(other, true)).rejects.toThrow(
    /its host key is SHA256:.+, expected the hostKey of the stack file \(ssh-rsa\)/,
  );
  const ofAnotherType = targets([...fakes.ports], "ssh-ed25519 AAAA");
  await expect(takeSurvey(ofAnotherType, true)).rejects.toThrow(
    "its host key is of another type, expected the hostKey of the stack file (ssh-ed25519)",
  );
  await expect(takeSurvey(targets([1, 1, 1]), true)).rejects.toThrow("Cannot connect to 127.0.0.1:1");
});

test("a master that another run has claimed is claimed by nobody else, and the others are let go", async () => {
  const since = Math.floor(Date.now() / 1000) - 300;
  const claimed = await startFakeMasters([() => "", () => ""], {
    claims: ["claimed", `taken ${since} other/stack you@there pid 9`],
  });
  try {
    await expect(claimMasters(targets([...claimed.ports]).slice(0, 2), "etcd-rotation/test")).rejects.toThrow(
      "Cannot begin: master-2 is being worked on by other/stack (you@there pid 9), since 5 min;",
    );
  } finally {
    // ends only when no connection is left
    await claimed.stop();
  }
});

test("nothing that a master says when a look at it fails can move a cursor, or pose as another line", async () => {
  let said: Uint8Array = new Uint8Array();
  const failing = await startFakeMasters([() => said]);
  try {
    const [target] = targets([failing.ports[0]]);
    const look = async (bytes: Uint8Array) => {
      said = bytes;
      return takeSurvey(target === undefined ? [] : [target]).catch(String);
    };
    expect(await look(Buffer.from("no\x1b]52;c;cm0gLXJmIC8=\x07\r\nCannot begin"))).toBe(
      "AggregateError: Cannot survey master-1: exit code 1: no ]52;c;cm0gLXJmIC8= Cannot begin",
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1 }), async (bytes) => {
        expect(await look(bytes)).toMatch(
          /^AggregateError: Cannot survey master-1: exit code 1: [^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u,
        );
      }),
      { numRuns: 10 },
    );
  } finally {
    await failing.stop();
  }
});

test("an agent that is asked for and gone is an error in any case", async () => {
  vi.stubEnv("SSH_AUTH_SOCK", "/nowhere/agent");
  await expect(
    takeSurvey(targets([1, fakes.ports[1], fakes.ports[2]], "unchecked", true), true),
  ).rejects.toThrow(
    "the SSH agent at /nowhere/agent does not answer (Failed to connect to agent); expected a running one.",
  );
  vi.unstubAllEnvs();
});
