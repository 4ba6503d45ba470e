import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAllFacts } from "./facts.ts";
import { cutNetwork, mendNetwork } from "./master.ts";
import { LabStack } from "./stack.ts";
import { runCli } from "./support/cli.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";

const minutes = 60_000;
const masterNames = ["master-1", "master-2", "master-3"];
/** the bundle that kube-apiserver's clients are checked with holds the console's authority, too */
const consoles = "cluster-ca other";

interface Status {
  readonly exitCode: number;
  readonly clusters: readonly {
    readonly state: string;
    readonly rollout: number | null;
    readonly rotation: string | null;
    readonly lastBackup: number | null;
    readonly masters: readonly { readonly name: string; readonly state: string }[];
    readonly certificates: readonly {
      readonly master: string;
      readonly file: string;
      readonly state: string;
      readonly port: number | null;
    }[];
    readonly findings: readonly { readonly state: string; readonly master?: string; readonly what: string }[];
  }[];
}

async function status(stack: LabStack) {
  const { code, stdout, stderr } = await runCli(stack, "status", "--json");
  expect(stderr).toBe("");
  const { exitCode, clusters }: Status = JSON.parse(stdout);
  const [cluster] = clusters;
  if (cluster === undefined) {
    throw new Error(`Cannot read the status: ${stdout}`);
  }
  const cells = Object.groupBy(cluster.certificates, ({ state }) => state);
  return {
    code,
    exitCode,
    state: cluster.state,
    masters: Object.fromEntries(cluster.masters.map(({ name, state }) => [name, state])),
    rollout: cluster.rollout,
    rotation: cluster.rotation,
    lastBackup: cluster.lastBackup,
    counts: Object.fromEntries(Object.entries(cells).map(([state, own = []]) => [state, own.length])),
    odd: cluster.certificates
      .filter(({ state }) => state !== "ok")
      .map(({ master, file, state }) => `${master} ${file} ${state}`),
    findings: cluster.findings.map(({ state, master = "-", what }) => `${state} ${master} ${what}`),
  };
}

describe("three masters after a rollout", () => {
  let lab: Lab;
  let stack: LabStack;

  beforeAll(async () => {
    await stopLab("lab-t-status");
    lab = await startLab({ name: "lab-t-status" });
    stack = await LabStack.create(lab, "2026-11");
    // the lab's own Kubernetes certificates last 20 days and are left alone
    stack.configure({ certificates: { renewBefore: "10d" } });
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
  }, 10 * minutes);

  afterAll(async () => {
    stack?.remove();
    await stopLab("lab-t-status");
  }, 5 * minutes);

  test("steady: every certificate is ok, and the masters are as before", async () => {
    const before = await readAllFacts(lab);
    expect(await status(stack)).toEqual({
      code: 0,
      exitCode: 0,
      state: "ok",
      masters: { "master-1": "ok", "master-2": "ok", "master-3": "ok" },
      rollout: 1,
      rotation: "2026-11",
      lastBackup: 1,
      counts: { ok: 66, other: 3 },
      odd: masterNames.map((name) => `${name} ${consoles}`),
      findings: [],
    });
    expect(await readAllFacts(lab)).toEqual(before);
  });

  test("within renewBefore: due", async () => {
    stack.configure({ certificates: { renewBefore: "30d" } });
    const { code, state, counts } = await status(stack);
    expect({ code, state, counts }).toEqual({ code: 1, state: "due", counts: { ok: 33, due: 33, other: 3 } });
    stack.configure({ certificates: { renewBefore: "10d" } });
  });

  test("one leaf replaced by hand: drifted, and only there", async () => {
    const master = masterNamed(lab, "master-2");
    const file = "/var/lib/etcd/cert/etcd-client.pem";
    await inside(
      master,
      `cp -a ${file} /root/kept.pem && cat /etc/kubernetes/pki/apiserver-kubelet-client.crt >${file}`,
    );
    const { code, state, odd, masters, findings } = await status(stack);
    await inside(master, `cp -a /root/kept.pem ${file}`);
    expect({ code, state, odd, masters, findings }).toEqual({
      code: 2,
      state: "drifted",
      odd: [
        `master-1 ${consoles}`,
        "master-2 etcd-client drifted",
        `master-2 ${consoles}`,
        `master-3 ${consoles}`,
      ],
      masters: { "master-1": "ok", "master-2": "drifted", "master-3": "ok" },
      findings: [
        "drifted master-2 etcd-client does not belong to its key",
        "drifted master-2 etcd-client is not issued by any authority in etcd-ca of master-1, master-2, master-3",
      ],
    });
    expect((await status(stack)).code).toBe(0);
  });

  test("one master out of reach: the others are shown", async () => {
    const master = masterNamed(lab, "master-3");
    await cutNetwork(lab, master);
    const { code, state, counts, masters, findings } = await status(stack);
    await mendNetwork(lab, master);
    expect({ code, state, counts, masters }).toEqual({
      code: 3,
      state: "unreachable",
      counts: { ok: 44, other: 2 },
      masters: { "master-1": "ok", "master-2": "ok", "master-3": "unreachable" },
    });
    expect(findings).toEqual([
      expect.stringMatching(/^unreachable master-3 Cannot connect to 10\.77\.0\.13:22 as root: /),
    ]);
  });
});

describe("leaves that have expired", () => {
  let lab: Lab;
  let stack: LabStack;

  beforeAll(async () => {
    await stopLab("lab-t-status");
    lab = await startLab({ name: "lab-t-status", expired: "leaves" });
    stack = await LabStack.create(lab, "2026-11");
    stack.configure({ certificates: { renewBefore: "10d" } });
  }, 10 * minutes);

  afterAll(async () => {
    stack?.remove();
    await stopLab("lab-t-status");
  }, 5 * minutes);

  test("expired, by name, on every master", async () => {
    const { code, state, odd, masters } = await status(stack);
    const files = ["etcd-server", "etcd-peer", "etcd-client", "apiserver-etcd-client"];
    expect({ code, state, masters }).toEqual({
      code: 2,
      state: "expired",
      masters: { "master-1": "expired", "master-2": "expired", "master-3": "expired" },
    });
    expect(odd).toEqual(
      masterNames.flatMap((name) => [
        ...files.map((file) => `${name} ${file} expired`),
        `${name} ${consoles}`,
      ]),
    );
  });
});
