import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shellOn } from "./facts.ts";
import { runOn } from "./master.ts";
import { layDown, makeForeignSet, past, restartEtcd, restartKubernetes } from "./support/foreign.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { isServing } from "./support/well.ts";
import type { LabMachine } from "./topology.ts";

// A worker while Kubernetes' certificates are renewed, and the command that brings it the authority's renewed certificate, as printed.
// Not proven here: a worker whose own certificate has expired, and what a real worker of ACK has beside its kubelet.

const minutes = 60_000;
const here = useLab("workers", "w-0", (stack) => stack.configure({ kubernetes: undefined }), { workers: 1 });
const first = () => masterNamed(here.lab, "master-1");
const node = "cn-lab.10.77.0.21";
const authority = "/etc/kubernetes/pki/apiserver-ca.crt";

function worker(): LabMachine {
  const [found] = here.lab.workers;
  if (found === undefined) {
    throw new Error("Cannot find the worker of the lab");
  }
  return found;
}

const kubectl = (args: string) =>
  inside(
    first(),
    `/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=20s ${args}`,
  );
/** Whether the node is ready, and since when. */
const readiness = () =>
  kubectl(
    `get node ${node} -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastTransitionTime}'`,
  );
/** The pod's container, and how often that was started again. */
const container = () =>
  kubectl(
    "get pod workload -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}'",
  );
const kubeletStarts = async () =>
  Number(await inside(worker(), "journalctl -u kubelet --no-pager -o cat | grep -c '^Started kubelet'"));
/** Fingerprints of what the worker's kubelet is told to trust, and of the masters' certificate. */
const held = () =>
  inside(
    worker(),
    `openssl x509 -noout -fingerprint </etc/kubernetes/pki/ca.crt
sed -n 's/.*certificate-authority-data: \\([A-Za-z0-9+/=]*\\).*/\\1/p' /etc/kubernetes/kubelet.conf | base64 -d | openssl x509 -noout -fingerprint`,
  );
const renewed = async () => {
  const fingerprint = await inside(first(), `openssl x509 -noout -fingerprint <${authority}`);
  return `${fingerprint}${fingerprint}`;
};

async function isReady(): Promise<boolean> {
  const { stdout } = await runOn(
    here.lab,
    first(),
    `kubectl --kubeconfig /etc/kubernetes/admin.conf get node ${node} --no-headers`,
  );
  return / Ready /.test(stdout);
}

/** By way of its kubelet, which has to accept kube-apiserver's certificate. */
async function hasLogs(): Promise<boolean> {
  return (
    (await runOn(here.lab, first(), "kubectl --kubeconfig /etc/kubernetes/admin.conf logs workload")).code ===
    0
  );
}

/** The stack's list of who holds an earlier certificate. */
async function carriers(): Promise<string[]> {
  const { code, output } = await here.stack.run(
    "stack",
    "output",
    "kubernetes",
    "--json",
    "--stack",
    here.stack.name,
  );
  expect(code, output).toBe(0);
  const { carriers: list }: { carriers: string[] } = JSON.parse(output.slice(output.indexOf("{")));
  return list;
}

async function lineOf(who: string): Promise<string> {
  const list = await carriers();
  const found = list.find((line) => line.startsWith(`${who}: `));
  expect(found, list.join("\n")).toBeDefined();
  return found ?? "";
}

/** Exactly the command that the line ends with, on the master that it names, as root over SSH. */
async function runPrinted(line: string): Promise<string> {
  const [, master = "", command = ""] = /; run on (\S+): (.+)$/s.exec(line) ?? [];
  return shellOn(here.lab, masterNamed(here.lab, master), command);
}

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "workload", namespace: "default" },
  spec: {
    nodeName: node,
    automountServiceAccountToken: false,
    hostNetwork: true,
    tolerations: [{ operator: "Exists" }],
    containers: [
      {
        name: "pause",
        image: "registry-vpc.cn-hangzhou.aliyuncs.com/acs/pause:3.9",
        imagePullPolicy: "IfNotPresent",
      },
    ],
  },
};

/** As kubeadm publishes it. */
const clusterInfo = `apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-info, namespace: kube-public}
data:
  kubeconfig: |
    apiVersion: v1
    clusters:
    - cluster:
        certificate-authority-data: AUTHORITY
        server: https://10.77.0.10:6443
      name: ""
    kind: Config
    users: []
`;

let workload: string;

test(
  "during a rollout with Kubernetes' certificates the worker's node stays ready, its pod runs on, and it is named with a date and a command",
  async () => {
    await until("the node is ready", isReady);
    // the account that admits pods comes soon after controller manager's start
    await until("the pod can be made", async () =>
      (
        await inside(
          first(),
          `echo '${JSON.stringify(pod)}' | /usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - 2>&1 || :`,
        )
      ).startsWith("pod/workload "),
    );
    await until(
      "the pod runs",
      async () => (await kubectl("get pod workload -o 'jsonpath={.status.phase}'")) === "Running",
    );
    await inside(
      first(),
      `echo '${clusterInfo}' | sed "s#AUTHORITY#$(base64 -w 0 <${authority})#" | /usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -`,
    );
    workload = await container();
    expect(workload).toMatch(/^containerd:\/\/[0-9a-f]{64} 0$/);
    const ready = await readiness();
    const [starts, before] = [await kubeletStarts(), await held()];
    const up = async () => {
      const { code, output } = await here.stack.up();
      expect(code, output).toBe(0);
      expect(output).toMatch(
        /worker cn-lab\.10\.77\.0\.21: valid until \d{4}-\d\d-\d\d; run on master-1: ssh root@10\.77\.0\.21 /,
      );
    };
    const violations = await underTraffic(here.lab, "workers", up, "every request");
    expect(violations).toEqual([]);
    expect(await readiness()).toBe(ready);
    expect([await container(), await kubeletStarts(), await held()]).toEqual([workload, starts, before]);
    expect(await held()).not.toBe(await renewed());
    expect(await hasLogs()).toBe(true);
  },
  15 * minutes,
);

test(
  "the printed command gives it the renewed certificate and restarts its kubelet only; then it is no longer named",
  async () => {
    // a person's way in from a master
    copyFileSync(here.lab.sshKeyPath, join(first().root, "root/.ssh/id_ed25519"));
    copyFileSync(join(here.lab.folder, "known_hosts"), join(first().root, "root/.ssh/known_hosts"));
    const [starts, ready] = [await kubeletStarts(), await readiness()];
    const preview = await here.stack.preview("--expect-no-changes");
    expect(preview.code, preview.output).toBe(0);
    expect(preview.output).toMatch(
      /notice: an earlier certificate of cluster-ca is still held by worker cn-lab\.10\.77\.0\.21 \(valid until [\d-]+\), ConfigMap kube-public\/cluster-info \(valid until [\d-]+\); pulumi stack output kubernetes has the commands/,
    );
    const line = await lineOf(`worker ${node}`);
    const said = await runPrinted(line);
    expect(said).toContain("replaced the certificate of the authority in /etc/kubernetes/kubelet.conf");
    expect(said).toContain("replaced the certificate of the authority in /etc/kubernetes/pki/ca.crt");
    expect(said).toContain(`node/${node} annotated`);
    expect(await held()).toBe(await renewed());
    expect(await kubeletStarts()).toBe(starts + 1);
    // a kubelet that has just started knows its pods a moment later
    await until("the pod's logs can be read", hasLogs);
    expect(await readiness()).toBe(ready);
    expect(await container()).toBe(workload);
    expect(await runPrinted(line)).toContain("nothing to replace");
    expect(await kubeletStarts()).toBe(starts + 1);

    await runPrinted(await lineOf("ConfigMap kube-public/cluster-info"));
    const published = await kubectl(
      "get configmap cluster-info -n kube-public -o 'jsonpath={.data.kubeconfig}'",
    );
    const [, data = ""] = /certificate-authority-data: (\S+)/.exec(published) ?? [];
    expect(Buffer.from(data, "base64").toString()).toBe(readFileSync(join(first().root, authority), "utf8"));
    expect(published.replace(data, "AUTHORITY")).toBe(
      clusterInfo.split("kubeconfig: |\n")[1]?.replaceAll(/^ {4}/gm, ""),
    );

    const after = await here.stack.preview("--expect-no-changes");
    expect(after.output).not.toContain("an earlier certificate of cluster-ca is still held");
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    expect((await carriers()).filter((each) => !each.startsWith("kubeconfigs "))).toEqual([]);
  },
  10 * minutes,
);

test(
  "where the authority has expired: one up, and the masters are ready; the worker is not, and is named as such; its command makes it ready",
  async () => {
    const period = past();
    const expired = await makeForeignSet(here.lab, "expired", {
      etcdLeaf: period,
      kubernetesLeaf: period,
      kubernetesCa: period,
    });
    for (const master of here.lab.masters) {
      layDown(expired, master, ["trust", "leaves", "kubernetes"]);
    }
    copyFileSync(
      join(expired.folder, "pki/ca/apiserver-ca.crt"),
      join(worker().root, "etc/kubernetes/pki/ca.crt"),
    );
    await inside(
      worker(),
      'sed -i "s#certificate-authority-data: [A-Za-z0-9+/=]*#certificate-authority-data: $(base64 -w 0 </etc/kubernetes/pki/ca.crt)#" /etc/kubernetes/kubelet.conf; systemctl restart kubelet',
    );
    await restartEtcd(here.lab.masters);
    await restartKubernetes(here.lab.masters);
    await until("nothing serves", async () => !(await isServing(here.lab)));

    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    const nodes = () => kubectl("get nodes --no-headers");
    await until("the masters are ready, and the worker is not", async () =>
      /^(cn-lab\S+ +Ready .*\n){3}cn-lab\S+ +NotReady .*\n$/.test(await nodes()),
    );
    const yesterday = new Date(period.end).toISOString().slice(0, 10);
    const line = await lineOf(`worker ${node}`);
    expect(output).toContain(line);
    expect(line).toContain(`worker ${node}: expired on ${yesterday}; run on master-1: `);
    expect((await here.stack.preview("--expect-no-changes")).output).toContain(
      `still held by worker ${node} (expired on ${yesterday})`,
    );
    expect(await hasLogs()).toBe(false);

    await runPrinted(line);
    expect(await held()).toBe(await renewed());
    await until("the worker is ready", isReady);
    await until("the pod's logs can be read", hasLogs);
    expect(await container()).toBe(workload);
    // the ConfigMap has one of before, which has not expired
    expect((await here.stack.preview("--expect-no-changes")).output).toContain(
      "still held by ConfigMap kube-public/cluster-info (valid until ",
    );
  },
  15 * minutes,
);
