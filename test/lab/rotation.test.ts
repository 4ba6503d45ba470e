import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exitCodes } from "../../cli/command-error.ts";
import { type MasterFacts, readAllFacts, shellOn, startsOn } from "./facts.ts";
import { judge } from "./judge/judge.ts";
import { type Measures, rolling } from "./judge/verdict.ts";
import { runOn } from "./master.ts";
import { LabStack } from "./stack.ts";
import { lastReport, runCli } from "./support/cli.ts";
import { cliLogsSince } from "./support/cli-logs.ts";
import { until } from "./support/until.ts";
import { yearsLeft } from "./support/years-left.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";
import { readRecord, startTraffic } from "./traffic/record.ts";

const minutes = 60_000;
const certificates = "/var/lib/etcd/cert";
let lab: Lab;
let stack: LabStack;
let original: Record<string, MasterFacts>;
const started = Date.now();

beforeAll(async () => {
  await stopLab("lab-t-rotation");
  lab = await startLab({ name: "lab-t-rotation" });
  stack = await LabStack.create(lab, "2026-11");
  for (const master of lab.masters) {
    // as many do: then the take-over has nothing to sign with
    await shellOn(lab, master, `cp -a ${certificates} /root/original; rm ${certificates}/{,peer-}ca-key.pem`);
  }
  original = await readAllFacts(lab);
}, 10 * minutes);

afterAll(async () => {
  stack?.remove();
  await stopLab("lab-t-rotation");
}, 5 * minutes);

/** Runs `up` under recorded traffic and judges it. */
async function upUnderTraffic(name: string) {
  const file = join(lab.folder, `${name}.jsonl`);
  const traffic = await startTraffic(lab, file);
  const run = await stack.up();
  await traffic.stop();
  expect(run.output).toContain("Resources:");
  expect(run.code, run.output).toBe(0);
  const verdict = judge(await readRecord(file), rolling);
  expect(verdict.violations).toEqual([]);
  rmSync(file);
  return { run, verdict };
}

const steps = ["backup", "trust", "issue", "settle", "retire", "verify"].flatMap((phase) =>
  ["master-1", "master-2", "master-3"].map((master) => `${phase}-${master}`),
);
const authorities = ["etcd-ca", "etcd-peer-ca"];
const leaves = ["master-1", "master-2", "master-3"].flatMap((master) =>
  ["etcd-server", "etcd-peer", "etcd-client"].map((role) => `${master}-${role}`),
);

/** Names of the resources that a preview would treat so, read from the engine's own JSON. */
async function planned(operation: string): Promise<string[]> {
  const run = await stack.run("preview", "--stack", stack.name, "--json", "--non-interactive");
  expect(run.code, run.output).toBe(0);
  const json: unknown = JSON.parse(run.output.slice(run.output.indexOf("\n{") + 1));
  if (typeof json !== "object" || json === null || !("steps" in json) || !Array.isArray(json.steps)) {
    throw new Error(`No plan in ${run.output}`);
  }
  return json.steps
    .filter((step: { op: string }) => step.op === operation)
    .map((step: { urn: string }) => step.urn.split("::").at(-1) ?? "");
}

describe("a cluster that no state has ever seen", () => {
  test(
    "preview names every authority, leaf and step, and says in words what will happen; nothing changes",
    async () => {
      expect(await planned("create")).toEqual(expect.arrayContaining([...authorities, ...leaves, ...steps]));
      const { output, code } = await stack.preview();
      expect(code, output).toBe(0);
      expect(output).toContain('Rollout 1 (rotation "2026-11", rolling):');
      expect(output).toMatch(
        /trust: {2}master-\d, then master-\d, then master-\d: old and new authorities; etcd and kube-apiserver restart on each/,
      );
      expect(output).toContain(
        'restarts: twice on each master, since no key of "CA" is at hand to sign with',
      );
      expect(output).toMatch(
        /master-1: first to expire is etcd-(ca|peer-ca|server|peer|client), on \d{4}-\d\d-\d\d/,
      );
      const plan = await runCli(stack, "plan", "--check", "--json");
      expect(plan.code, plan.stderr).toBe(exitCodes.due);
      const { check } = JSON.parse(plan.stdout).clusters[0];
      expect(check).toMatchObject({ isComplete: true, refused: [], way: [] });
      expect(check.states).toBeGreaterThan(500);
      expect(await readAllFacts(lab)).toEqual(original);
    },
    10 * minutes,
  );

  test(
    "up takes it over without a failed write, and proves what is served; no key is shown anywhere, and the next preview has no change",
    async () => {
      for (let index = 0; index < 50; index++) {
        await etcd(`put /data/${index} ${"x".repeat(index + 1)}`);
      }
      const earlier = await starts();
      // Looks at every process's arguments and environment on the masters for as long as the rollout runs. The first
      // line of a key, since a script that looks for keys has "PRIVATE KEY" in its pattern, as this one has.
      const watch = `rm -f /root/arguments.seen; (while [ ! -e /root/arguments.stop ]; do grep -lE 'BEGIN ([A-Z]+ )?PRIVATE KEY' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null >> /root/arguments.seen; sleep 0.5; done) </dev/null >/dev/null 2>&1 &`;
      for (const each of lab.masters) {
        await shellOn(lab, each, watch);
      }
      const { run, verdict } = await upUnderTraffic("adoption");
      for (const each of lab.masters) {
        await shellOn(lab, each, "touch /root/arguments.stop");
      }
      expect(run.output).toContain("etcd CA and certs have successfully rotated!");
      expect(run.output).not.toContain("using pulumi-resource");
      expect(verdict.measures.failedWriteRounds).toBe(0);
      await expectRotated(original);
      expect(startsBetween(earlier, await starts())).toEqual([2, 2, 2, 2, 2, 2]);
      expect(
        (await etcd("get /data/ --prefix --keys-only")).split("\n").filter((line) => line !== ""),
      ).toHaveLength(50);
      await expectNoKeyIn(stack.state(), run.output);
      const { code, output } = await stack.preview("--expect-no-changes");
      expect(code, output).toBe(0);
      expect(output).toContain("Nothing to do: every master serves the wanted certificates.");
    },
    20 * minutes,
  );
});

describe("a cluster that this stack has taken over", () => {
  // which it has already, unless a test of these runs alone
  beforeAll(async () => {
    expect((await stack.up()).code).toBe(0);
  }, 20 * minutes);

  test(
    "a new rotation replaces every authority, leaf and step, and restarts etcd and kube-apiserver once on each master",
    async () => {
      const before = await readAllFacts(lab);
      stack.configure({ rotation: "2026-12" });
      expect(await planned("replace")).toEqual(expect.arrayContaining([...authorities, ...leaves, ...steps]));
      expect(await readAllFacts(lab)).toEqual(before);
      const { output } = await stack.preview();
      expect(output).toMatch(
        /restarts: once on each master, since "etcd-ca 2026-11" and "etcd-peer-ca 2026-11" sign the new ones/,
      );
      const old = "/root/before";
      for (const each of lab.masters) {
        await shellOn(lab, each, `cp -a ${certificates} ${old}`);
      }
      const earlier = await starts();
      const { verdict } = await upUnderTraffic("rotation");
      expect(verdict.measures.failedWriteRounds).toBe(0);
      expect(startsBetween(earlier, await starts())).toEqual([1, 1, 1, 1, 1, 1]);
      await expectRotated(before, old);
      await expectProbed(verdict.measures);
      for (const each of lab.masters) {
        const counts = await shellOn(
          lab,
          each,
          `cd ${certificates} && grep -hc 'BEGIN CERTIFICATE' etcd-server.pem etcd-client.pem ${each.etcdName}.pem`,
        );
        expect(counts).toBe("1\n1\n1\n");
      }
      expect((await stack.preview("--expect-no-changes")).code).toBe(0);
    },
    20 * minutes,
  );

  test(
    "destroy removes state and touches no master",
    async () => {
      await etcd("put /data/kept xx");
      const before = await readAllFacts(lab);
      const run = await stack.run(
        "destroy",
        "--stack",
        stack.name,
        "--yes",
        "--skip-preview",
        "--non-interactive",
      );
      expect(run.code, run.output).toBe(0);
      expect(await readAllFacts(lab)).toEqual(before);
      expect((await etcd("get /data/kept --print-value-only")).trim()).toBe("xx");
    },
    10 * minutes,
  );
});

function master(name: string) {
  const found = lab.masters.find((each) => each.name === name);
  if (found === undefined) {
    throw new Error(`No ${name}`);
  }
  return found;
}

/** No line of a private key of the masters is in these texts or the CLI's own logs, in an argument or in a temporary file. */
async function expectNoKeyIn(...texts: string[]): Promise<void> {
  const logs = cliLogsSince(started);
  expect(logs.filter(({ name }) => name.includes(stack.name))).not.toHaveLength(0);
  for (const each of lab.masters) {
    const keys = await shellOn(
      lab,
      each,
      `cat ${certificates}/*-key.pem /etc/kubernetes/pki/etcd/*-key.pem | grep -v -e -----`,
    );
    const bodies = keys.split("\n").filter((line) => line.length > 40);
    expect(bodies).not.toHaveLength(0);
    for (const text of [...texts, ...logs.map((log) => log.text)]) {
      expect(text).not.toMatch(/PRIVATE KEY/);
      for (const body of bodies) {
        expect(text).not.toContain(body);
      }
    }
    expect(await shellOn(lab, each, "cat /root/arguments.seen 2>/dev/null || true")).toBe("");
    const found = await shellOn(
      lab,
      each,
      "grep -rlE 'BEGIN (EC |RSA )?PRIVATE KEY' /tmp /run /var/tmp /dev/shm /root/.bash_history /var/log 2>/dev/null || true",
    );
    expect(found).toBe("");
  }
}

/** By master: how often etcd and kube-apiserver have started. */
function starts() {
  return Promise.all(lab.masters.map((each) => startsOn(lab, each)));
}

/** etcd's and kube-apiserver's of each master. */
function startsBetween(earlier: Awaited<ReturnType<typeof starts>>, later: typeof earlier): number[] {
  return later.flatMap(({ etcd, api }, index) => [
    etcd - (earlier[index]?.etcd ?? 0),
    api - (earlier[index]?.api ?? 0),
  ]);
}

/** etcdctl as a person on a master would run it. */
async function etcd(command: string): Promise<string> {
  const pki = "/etc/kubernetes/pki/etcd";
  return shellOn(
    lab,
    master("master-1"),
    `ETCDCTL_API=3 etcdctl --endpoints=https://10.77.0.11:2379 --cacert=${pki}/ca.pem --cert=${pki}/etcd-client.pem --key=${pki}/etcd-client-key.pem ${command}`,
  );
}

/**
 * The report of the last rollout has what the probes have seen. A probe asks its own master alone, as the judge's observer does, so its
 * longest gap is that master's longest outage, but for the time between two tries at its begin, and a handshake, an election and a try at
 * its end. The judge's writer goes on to another master: when it has got nothing written, some probe has not either.
 */
async function expectProbed({ longestWriteGapMilliseconds, outages }: Measures): Promise<void> {
  const betweenTries = 600;
  const late = 3000;
  const { probes } = await lastReport(stack);
  for (const { name, address } of lab.masters) {
    for (const [target, { [address]: outage }] of [
      ["etcd", outages.etcd],
      ["kube-apiserver", outages.api],
    ] as const) {
      const { state, tries, longestGapMilliseconds: gap } = probes[name]?.[target] ?? {};
      expect([name, target, state]).toEqual([name, target, "answers"]);
      expect(tries).toBeGreaterThan(20);
      expect(gap, `${name} ${target}`).toBeGreaterThan(
        (outage?.longestMilliseconds ?? Number.POSITIVE_INFINITY) - betweenTries,
      );
      expect(gap, `${name} ${target}`).toBeLessThan((outage?.longestMilliseconds ?? 0) + betweenTries + late);
    }
    await until(`nothing of the probe is left on ${name}`, async () => {
      const state = "/var/lib/etcd-rotation";
      const left = await shellOn(lab, master(name), `ls ${state} | grep probe || :; pgrep -a openssl || :`);
      return left === "";
    });
  }
  const gaps = lab.masters.map(({ name }) => probes[name]?.etcd?.longestGapMilliseconds ?? 0);
  expect(Math.max(...gaps)).toBeGreaterThan(longestWriteGapMilliseconds - betweenTries);
  expect((await etcd("get /etcd-rotation/ --prefix --keys-only")).trim()).toBe("");
}

/** Everything that a rotation promises, by commands that know nothing of the program. */
async function expectRotated(before: Record<string, MasterFacts>, retired = "/root/original"): Promise<void> {
  const after = await readAllFacts(lab);
  for (const { name, address, etcdName } of lab.masters) {
    const [old, now] = [before[name], after[name]];
    for (const port of ["2379", "2380"]) {
      expect(now?.served[port], `${name}:${port} serves a new certificate`).not.toBe(old?.served[port]);
    }
    // owners and modes as before, for every file; contents changed for etcd's own
    expect(owners(now)).toEqual(owners(old));
    for (const file of [
      "ca.pem",
      "peer-ca.pem",
      "etcd-server.pem",
      "etcd-server-key.pem",
      `${etcdName}.pem`,
      `${etcdName}-key.pem`,
      "etcd-client.pem",
      "etcd-client-key.pem",
    ]) {
      expect(now?.files[`${certificates}/${file}`]?.hash).not.toBe(
        old?.files[`${certificates}/${file}`]?.hash,
      );
    }
    const ends = await shellOn(
      lab,
      master(name),
      `for port in 2379 2380; do : | openssl s_client -connect ${address}:$port 2>/dev/null | openssl x509 -noout -enddate; done; openssl x509 -in ${certificates}/ca.pem -noout -enddate`,
    );
    expect(yearsLeft(ends)).toEqual([50, 50, 50]);
    // the old authority's client is refused, the present one is accepted
    const connect = (folder: string) =>
      runOn(
        lab,
        master(name),
        `ETCDCTL_API=3 etcdctl --dial-timeout=2s --command-timeout=3s --endpoints=https://${address}:2379 --cacert=${certificates}/ca.pem --cert=${folder}/etcd-client.pem --key=${folder}/etcd-client-key.pem endpoint health`,
      );
    expect((await connect(retired)).code).not.toBe(0);
    expect((await connect(certificates)).code).toBe(0);
    expect((await connect("/etc/kubernetes/pki/etcd")).code).toBe(0);
  }
}

function owners(facts: MasterFacts | undefined) {
  return Object.fromEntries(Object.entries(facts?.files ?? {}).map(([path, { owner }]) => [path, owner]));
}
