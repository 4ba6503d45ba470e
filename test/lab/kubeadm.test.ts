import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from "vitest";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { judge } from "./judge/judge.ts";
import { rolling } from "./judge/verdict.ts";
import { etcdFolder, labLayouts } from "./layouts.ts";
import { LabStack } from "./stack.ts";
import { saveEvidence } from "./support/evidence.ts";
import { insideAll } from "./support/inside.ts";
import { until } from "./support/until.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";
import { readRecord, startTraffic } from "./traffic/record.ts";

// Masters in kubeadm's layout: etcd is a static pod of the kubelet, one authority is for clients and members, and etcd's programs
// are in the container only. Judged by openssl, curl and the traffic, which know nothing of the program.
// Not proven here: kubeadm itself, which has not made these masters; kubelets with a rotated client certificate in a file of its own.

const minutes = 60_000;
const labName = `lab-kubeadm-${process.pid}`;
const { ca, cert, key } = labLayouts.kubeadm.clientFiles;
const folder = "/etc/kubernetes/pki/etcd";
let lab: Lab;
let stack: LabStack;

const expiredName = `lab-kubeadm-x-${process.pid}`;

beforeAll(async () => {
  lab = await startLab({ name: labName, layout: "kubeadm" });
  stack = await LabStack.create(lab, "2026-11");
  // as on a real cluster
  stack.configure({ kubernetes: undefined });
  await insideAll(lab, () => "cp -a /etc/kubernetes/pki /root/before");
}, 10 * minutes);

afterAll(async () => {
  stack?.remove();
  await stopLab(labName);
  await stopLab(expiredName);
}, 5 * minutes);

beforeEach(({ task }) => {
  onTestFailed(() => saveEvidence(lab, `kubeadm ${task.name}`), 2 * minutes);
});

test(
  "preview names one authority; up takes the cluster over without a failed write, one restart of etcd and of kube-apiserver, since their authority's key lies on the masters",
  async () => {
    const before = await readAllFacts(lab);
    const preview = await stack.preview();
    expect(preview.code, preview.output).toBe(0);
    expect(preview.output).toContain('Rollout 1 (rotation "2026-11", rolling):');
    expect(preview.output).toContain("etcd-ca");
    expect(preview.output).not.toContain("CertificateAuthority etcd-peer-ca");
    expect(await readAllFacts(lab)).toEqual(before);

    const started = await insideAll(lab, () => starts);
    const file = join(lab.folder, "kubeadm.jsonl");
    const traffic = await startTraffic(lab, file);
    const run = await stack.up().finally(() => traffic.stop());
    expect(run.code, run.output).toBe(0);
    expect(run.output).toContain("etcd CA and certs have successfully rotated!");
    const { violations, measures } = judge(await readRecord(file), rolling);
    process.stderr.write(`kubeadm: ${JSON.stringify(measures)}\n`);
    // beside a starting API server on a busy machine a retry times out too; bench.ts counts them
    expect(violations.filter(({ rule }) => rule !== "api-request")).toEqual([]);
    expect(measures.failedWriteRounds).toBe(0);
    rmSync(file);
    for (const [name, text] of Object.entries(await insideAll(lab, () => starts))) {
      const [etcd = 0, api = 0] = countsIn(text);
      const [etcdBefore = 0, apiBefore = 0] = countsIn(started[name] ?? "");
      expect({ name, etcd: etcd - etcdBefore, api: api - apiBefore }).toEqual({ name, etcd: 1, api: 1 });
    }
    await expectRotated(before);
  },
  20 * minutes,
);

test(
  "the previous authority is refused, and the next preview has no change",
  async () => {
    const ask = (files: string) =>
      insideAll(
        lab,
        ({ address }) =>
          `curl -sk --max-time 5 -o /dev/null -w '%{http_code}' --cert ${files}/apiserver-etcd-client.crt --key ${files}/apiserver-etcd-client.key https://${address}:2379/version || :`,
      );
    expect(await ask("/root/before")).toEqual({ "master-1": "000", "master-2": "000", "master-3": "000" });
    expect(await ask("/etc/kubernetes/pki")).toEqual({
      "master-1": "200",
      "master-2": "200",
      "master-3": "200",
    });
    const { code, output } = await stack.preview("--expect-no-changes");
    expect(code, output).toBe(0);
    expect(output).toContain("Nothing to do: every master serves the wanted certificates.");
  },
  5 * minutes,
);

test(
  "another rotation goes the same way, by way of the kubelet's back-off",
  async () => {
    const before = await readAllFacts(lab);
    stack.configure({ rotation: "2026-12", kubernetes: { renew: "never" } });
    const { code, output } = await stack.up();
    expect(code, output).toBe(0);
    await expectRotated(before);
  },
  10 * minutes,
);

test(
  "certificates that have all expired, etcd and API servers in back-off: the same up starts everything",
  async () => {
    stack.remove();
    await stopLab(labName);
    lab = await startLab({ name: expiredName, layout: "kubeadm", expired: "all" });
    stack = await LabStack.create(lab, "2026-11");
    await until("the kubelet runs etcd on every master", async () =>
      Object.values(await insideAll(lab, () => etcdPid)).every((pid) => pid !== ""),
    );
    for (const wait of [60, 60, 0]) {
      // the first start after an end is at once, the second after 10 s, the third after 20 s
      await insideAll(
        lab,
        () =>
          `old=$(${etcdPid}); kill -KILL $old; for n in $(seq ${wait}); do new=$(${etcdPid}); [ "\${new:-$old}" = "$old" ] || break; sleep 0.5; done`,
      );
    }
    const before = await readAllFacts(lab);
    const { code, output } = await stack.up();
    expect(code, output).toBe(0);
    expect(output).toContain("settle: starting etcd");
    await expectRotated(before);
    expect((await stack.preview("--expect-no-changes")).code).toBe(0);
  },
  20 * minutes,
);

/** How often the kubelet has started etcd and kube-apiserver again: it numbers their log files. */
const starts =
  "for c in etcd kube-apiserver; do { ls /var/log/pods/kube-system_$c-*/$c | sort -n | tail -n 1 | cut -d . -f 1; } 2>/dev/null; done";

const etcdPid = "{ grep -lx etcd /proc/[0-9]*/comm | cut -d / -f 3 | head -n 1; } 2>/dev/null";

function countsIn(text: string): number[] {
  return text.trim().split("\n").map(Number);
}

/** Everything that a rotation promises, by commands that know nothing of the program. */
async function expectRotated(before: Record<string, MasterFacts>): Promise<void> {
  const after = await readAllFacts(lab);
  for (const { name } of lab.masters) {
    const [old, now] = [before[name], after[name]];
    for (const file of [
      "ca.crt",
      "server.crt",
      "server.key",
      "peer.crt",
      "peer.key",
      "healthcheck-client.crt",
      "healthcheck-client.key",
    ]) {
      expect(now?.files[`${folder}/${file}`]?.hash, `${name} ${file}`).not.toBe(
        old?.files[`${folder}/${file}`]?.hash,
      );
    }
    // of the authority's key kubeadm's copy is left
    expect(now?.files[`${folder}/ca.key`]).toEqual(old?.files[`${folder}/ca.key`]);
    expect(ownersOf(now)).toEqual(ownersOf(old));
  }
  const [first] = Object.values(after);
  expect(Object.values(after).map(({ files }) => files[ca]?.hash)).toEqual(
    lab.masters.map(() => first?.files[ca]?.hash),
  );
  const question = ({ address }: { readonly address: string }) => `
grep -c 'BEGIN CERTIFICATE' ${ca}
for port in 2379 2380; do : | openssl s_client -connect ${address}:$port 2>/dev/null | openssl x509 | openssl verify -CAfile ${ca} 2>/dev/null; done
for c in ${folder}/{server,peer,healthcheck-client} /etc/kubernetes/pki/apiserver-etcd-client; do
  openssl verify -CAfile ${ca} $c.crt >/dev/null && [ "$(openssl x509 -in $c.crt -noout -pubkey)" = "$(openssl pkey -in $c.key -pubout)" ] && echo pair
done
ETCDCTL_API=3 ${etcdFolder}/etcdctl --endpoints=https://${address}:2379 --cacert=${ca} --cert=${cert} --key=${key} endpoint health 2>&1 | grep -o 'is healthy'
curl --silent --insecure --max-time 10 https://${address}:6443/readyz`;
  const well = "1\nstdin: OK\nstdin: OK\npair\npair\npair\npair\nis healthy\nok";
  expect(await insideAll(lab, question)).toEqual(
    Object.fromEntries(lab.masters.map(({ name }) => [name, well])),
  );
}

function ownersOf(facts: MasterFacts | undefined) {
  return Object.fromEntries(Object.entries(facts?.files ?? {}).map(([path, { owner }]) => [path, owner]));
}
