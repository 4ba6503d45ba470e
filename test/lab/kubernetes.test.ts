import { beforeAll, expect, test } from "vitest";
import { type MasterFacts, readAllFacts, startsOn } from "./facts.ts";
import { Dice, readSeed } from "./support/dice.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { finish, startStruckUp } from "./support/struck-up.ts";
import { useLab } from "./support/use-lab.ts";
import { yearsLeft } from "./support/years-left.ts";

// Kubernetes' own certificates and kubeconfigs, renewed in the same rollout; judged by OpenSSL and kubectl alone.
// Not proven here: workers (workers.test.ts), the kubeadm layout (kubeadm.test.ts).

const minutes = 60_000;
const dice = new Dice(readSeed("kubernetes.test.ts"));
// as on a real cluster
const here = useLab("kube", "n-0", (stack) => stack.configure({ kubernetes: undefined }));
let before: Record<string, MasterFacts>;
let described: Record<string, string>;
let token: string;
/** by master: the container of a pod that has nothing to do with all this */
let workloads: Record<string, string>;

const kubeconfigs = ["admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf"];
const files = `/etc/kubernetes/pki/*.crt /var/lib/kubelet/pki/kubelet.crt ${kubeconfigs.map((name) => `/etc/kubernetes/${name}`).join(" ")} /root/.kube/config`;

/** Prints, for every certificate on disk or in a kubeconfig, what COMMANDS make of it. */
function forEachCertificate(commands: string): string {
  return `
for f in ${files}; do
  c=$(mktemp); grep -q 'BEGIN CERTIFICATE' "$f" && cat "$f" >"$c" || sed -n 's/.*client-certificate-data: *"\\{0,1\\}\\([A-Za-z0-9+/=]*\\).*/\\1/p' "$f" | base64 -d >"$c"
  echo "== $f"; ${commands}; rm "$c"
done`;
}

/** Subject, names and uses, field by field, in OpenSSL's words. */
const description = forEachCertificate(
  'openssl x509 -in "$c" -noout -subject -issuer -nameopt oneline,show_type; openssl x509 -in "$c" -noout -ext basicConstraints,keyUsage,extendedKeyUsage,subjectAltName 2>/dev/null',
);

/** Every certificate lies there with its key, and no key is the one from before. */
const pairs = `
for f in /etc/kubernetes/pki/{apiserver,apiserver-kubelet-client,front-proxy-client,ca,front-proxy-ca}.crt /var/lib/kubelet/pki/kubelet.crt; do
  [ "$(openssl x509 -in "$f" -noout -pubkey)" = "$(openssl pkey -in "\${f%.crt}.key" -pubout)" ] || echo "no pair: $f"
done
data() { sed -n "s/.*$2: *\\"\\{0,1\\}\\([A-Za-z0-9+/=]*\\).*/\\1/p" "$1" | base64 -d; }
for f in ${kubeconfigs.map((name) => `/etc/kubernetes/${name}`).join(" ")} /root/.kube/config; do
  [ "$(data "$f" client-certificate-data | openssl x509 -noout -pubkey)" = "$(data "$f" client-key-data | openssl pkey -pubout)" ] || echo "no pair: $f"
  data "$f" certificate-authority-data | cmp -s - /etc/kubernetes/pki/ca.crt || echo "another authority: $f"
done`;

beforeAll(async () => {
  await insideAll(
    here.lab,
    () => "cp -a /etc/kubernetes /root/before; cp -a /var/lib/kubelet/pki /root/before/kubelet",
  );
  before = await readAllFacts(here.lab);
  described = await insideAll(here.lab, () => description);
  // controller manager makes the account, soon after its start
  const request = `for n in $(seq 120); do ${kubectl("create token default --duration 24h")} 2>/dev/null && exit; sleep 0.5; done; exit 1`;
  token = (await inside(masterNamed(here.lab, "master-1"), request)).trim();
  workloads = await insideAll(
    here.lab,
    ({ name, nodeName }) => `${startWorkload(name, nodeName)}\n${workload(name)}`,
  );
}, 10 * minutes);

const kubectl = (args: string, config = "/etc/kubernetes/admin.conf") =>
  `/usr/local/bin/kubectl --kubeconfig ${config} --request-timeout=20s ${args}`;

test(
  "preview says what is renewed, and why; nothing changes",
  async () => {
    const { code, output } = await here.stack.preview();
    expect(code, output).toBe(0);
    expect(output).toContain(
      "because master-3: apiserver, apiserver-kubelet-client, front-proxy-client, kubelet-server, admin.conf, controller-manager.conf, scheduler.conf, kubelet.conf, root-kubeconfig, kube.conf, cloud-controller-manager.conf, dashboard: to be renewed, since the etcd authority is new",
    );
    expect(output).toContain("because master-2: cluster-ca is to be renewed with the same key");
    expect(await readAllFacts(here.lab)).toEqual(before);
  },
  5 * minutes,
);

test(
  "every certificate ends in fifty years, with the same subject, names and uses; nothing restarts once more for it; old clients go on",
  async () => {
    const started = Object.fromEntries(
      await Promise.all(
        here.lab.masters.map(async (master) => [master.name, await startsOn(here.lab, master)] as const),
      ),
    );
    const restarts = () => insideAll(here.lab, () => controllerStarts);
    const controllersBefore = await restarts();
    const kubeletsBefore = await insideAll(here.lab, () => kubeletStarts);
    const up = async () => {
      const { code, output } = await here.stack.up();
      expect(code, output).toBe(0);
      expect(output).toContain("etcd CA and certs have successfully rotated!");
    };
    const violations = await underTraffic(here.lab, "renewal", up, "every request");
    expect(violations).toEqual([]);

    const ends = await insideAll(here.lab, () => forEachCertificate('openssl x509 -in "$c" -noout -enddate'));
    for (const text of Object.values(ends)) {
      expect(yearsLeft(text)).toEqual(Array(12).fill(50));
      expect(text.match(/^==/gm)).toHaveLength(12);
    }
    expect(await insideAll(here.lab, () => description)).toEqual(described);
    expect(await insideAll(here.lab, () => pairs)).toEqual({
      "master-1": "",
      "master-2": "",
      "master-3": "",
    });
    const authorities = await insideAll(
      here.lab,
      () => "sha256sum </etc/kubernetes/pki/ca.crt; sha256sum </etc/kubernetes/pki/front-proxy-ca.crt",
    );
    expect(new Set(Object.values(authorities)).size).toBe(1);
    const after = await readAllFacts(here.lab);
    for (const { name } of here.lab.masters) {
      expect(ownersOf(after[name])).toEqual(ownersOf(before[name]));
      for (const path of [
        "/etc/kubernetes/pki/sa.key",
        "/etc/kubernetes/pki/ca.key",
        "/etc/kubernetes/pki/front-proxy-ca.key",
      ]) {
        expect(after[name]?.files[path]).toEqual(before[name]?.files[path]);
      }
      for (const path of [
        "/etc/kubernetes/pki/apiserver.key",
        "/etc/kubernetes/pki/front-proxy-client.key",
        "/etc/kubernetes/scheduler.conf",
      ]) {
        expect(after[name]?.files[path]?.hash).not.toBe(before[name]?.files[path]?.hash);
      }
    }
    for (const master of here.lab.masters) {
      const now = await startsOn(here.lab, master);
      expect(now.etcd - (started[master.name]?.etcd ?? 0)).toBeLessThanOrEqual(2);
      expect(now.api - (started[master.name]?.api ?? 0)).toBeLessThanOrEqual(2);
    }
    const kubeletsAfter = await insideAll(here.lab, () => kubeletStarts);
    for (const [name, text] of Object.entries(kubeletsAfter)) {
      expect({ name, kubelet: Number(text) - Number(kubeletsBefore[name]) }).toEqual({ name, kubelet: 1 });
    }
    // every container that was there runs on
    expect(Object.values(workloads).every((text) => /^containerd:\/\/[0-9a-f]{64} 0\n$/.test(text))).toBe(
      true,
    );
    expect(await insideAll(here.lab, ({ name }) => workload(name))).toEqual(workloads);
    for (const [name, text] of Object.entries(await restarts())) {
      const [manager = 0, scheduler = 0] = text.split("\n").map(Number);
      const [managerBefore = 0, schedulerBefore = 0] = (controllersBefore[name] ?? "")
        .split("\n")
        .map(Number);
      expect({ name, manager: manager - managerBefore, scheduler: scheduler - schedulerBefore }).toEqual({
        name,
        manager: 1,
        scheduler: 1,
      });
    }
  },
  20 * minutes,
);

test(
  "who was there before goes on: a kubeconfig, a service account's token, a kubelet; the controllers lead; mounts are the new files",
  async () => {
    for (const { name, address, nodeName } of here.lab.masters) {
      const master = masterNamed(here.lab, name);
      expect(await inside(master, kubectl("get namespace default -o name", "/root/before/admin.conf"))).toBe(
        "namespace/default\n",
      );
      expect(await inside(master, kubectl(`get node ${nodeName} -o name`, "/root/before/kubelet.conf"))).toBe(
        `node/${nodeName}\n`,
      );
      const asToken = `curl --silent --cacert /root/before/pki/apiserver-ca.crt --header @- https://${address}:6443/api <<<'Authorization: Bearer ${token}'`;
      expect(await inside(master, asToken)).toContain('"kind": "APIVersions"');
      // what is served: the new files, by openssl's word
      for (const [port, file] of [
        ["6443", "/etc/kubernetes/pki/apiserver.crt"],
        ["10250", "/var/lib/kubelet/pki/kubelet.crt"],
      ]) {
        const served = `[ "$(: | openssl s_client -connect ${address}:${port} 2>/dev/null | openssl x509 -outform DER | sha256sum)" = "$(openssl x509 -in ${file} -outform DER | sha256sum)" ] && echo same`;
        expect(await inside(master, served)).toBe("same\n");
      }
      // a single-file hostPath stays the old file until the container starts anew
      const mounted =
        "for p in /proc/[0-9]*; do case $(cat $p/comm) in kube-scheduler) cmp $p/root/etc/kubernetes/scheduler.conf /etc/kubernetes/scheduler.conf && echo same ;; kube-controller) cmp $p/root/etc/kubernetes/controller-manager.conf /etc/kubernetes/controller-manager.conf && echo same ;; esac; done";
      expect(await inside(master, mounted)).toBe("same\nsame\n");
    }
    const first = masterNamed(here.lab, "master-1");
    const leases = `for lease in kube-controller-manager kube-scheduler; do t=$(${kubectl('get lease -n kube-system $lease -o "jsonpath={.spec.renewTime}"')}); [ $(($(date +%s) - $(date -d "$t" +%s))) -lt 30 ] && echo "$lease held"; done`;
    expect(await inside(first, leases)).toBe("kube-controller-manager held\nkube-scheduler held\n");
    const ready = kubectl(
      `get nodes -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'`,
    );
    expect(await inside(first, ready)).toBe("True\nTrue\nTrue\n");
    // controller manager gives every namespace the new certificate of the authority
    const published = `for n in $(seq 60); do ${kubectl(`get configmap kube-root-ca.crt -n default -o "jsonpath={.data.ca\\\\.crt}"`)} | diff -q - /etc/kubernetes/pki/ca.crt >/dev/null && echo same && exit; sleep 1; done`;
    expect(await inside(first, published)).toBe("same\n");
    const { code, output } = await here.stack.preview("--expect-no-changes");
    expect(code, output).toBe(0);
    expect(output).toContain("Nothing to do");
    const outputs = await here.stack.run(
      "stack",
      "output",
      "kubernetes",
      "--json",
      "--stack",
      here.stack.name,
    );
    expect(outputs.output).toMatch(
      /kubeconfigs that embed an earlier certificate of cluster-ca: valid until \d{4}-\d\d-\d\d; give them \/etc\/kubernetes\/pki\/apiserver-ca\.crt/,
    );
  },
  5 * minutes,
);

test(
  "kubernetes.rotation alone renews again and restarts neither etcd nor kube-apiserver, also when it is killed in the middle",
  async () => {
    const was = await readAllFacts(here.lab);
    const hit = {
      kill: "script",
      phase: "retire",
      master: dice.pick(here.lab.masters).name,
      lines: 0,
      delayMilliseconds: dice.number(6000),
    } as const;
    let rotations = 0;
    const rotate = () => {
      rotations += 1;
      here.stack.configure({ kubernetes: { rotation: `k-${rotations}` } });
    };
    const { running } = await startStruckUp(here.stack, rotate, hit);
    expect((await running.done).code).not.toBe(0);
    expect(await insideAll(here.lab, () => pairs)).toEqual({
      "master-1": "",
      "master-2": "",
      "master-3": "",
    });
    const { code, output } = await finish(here.stack);
    expect(code, output).toBe(0);
    expect(await insideAll(here.lab, () => pairs)).toEqual({
      "master-1": "",
      "master-2": "",
      "master-3": "",
    });
    const now = await readAllFacts(here.lab);
    for (const { name } of here.lab.masters) {
      expect(now[name]?.processes["etcd"]).toBe(was[name]?.processes["etcd"]);
      expect(now[name]?.processes["kube-apiserver"]).toBe(was[name]?.processes["kube-apiserver"]);
      expect(now[name]?.files["/etc/kubernetes/pki/apiserver.crt"]?.hash).not.toBe(
        was[name]?.files["/etc/kubernetes/pki/apiserver.crt"]?.hash,
      );
      expect(now[name]?.files["/var/lib/etcd/cert/etcd-server.pem"]).toEqual(
        was[name]?.files["/var/lib/etcd/cert/etcd-server.pem"],
      );
    }
    expect(await insideAll(here.lab, () => description)).toEqual(described);
    expect((await here.stack.preview("--expect-no-changes")).code).toBe(0);
  },
  20 * minutes,
);

test(
  "an authority key that is not there: what is under it stays, and is said; everything else goes on",
  async () => {
    const victim = dice.pick(here.lab.masters);
    await inside(victim, "mv /etc/kubernetes/pki/ca.key /root/away.key");
    const was = await readAllFacts(here.lab);
    here.stack.configure({ kubernetes: { rotation: "without-a-key" } });
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    const now = await readAllFacts(here.lab);
    expect(now[victim.name]?.files["/etc/kubernetes/pki/apiserver.crt"]).toEqual(
      was[victim.name]?.files["/etc/kubernetes/pki/apiserver.crt"],
    );
    expect(now[victim.name]?.files["/etc/kubernetes/pki/front-proxy-client.crt"]?.hash).not.toBe(
      was[victim.name]?.files["/etc/kubernetes/pki/front-proxy-client.crt"]?.hash,
    );
    const outputs = await here.stack.run(
      "stack",
      "output",
      "kubernetes",
      "--json",
      "--stack",
      here.stack.name,
    );
    expect(outputs.output).toMatch(
      new RegExp(
        `${victim.name}: apiserver stays until \\d{4}-\\d\\d-\\d\\d: the key of cluster-ca is not on this master`,
      ),
    );
    const preview = await here.stack.preview("--expect-no-changes");
    expect(preview.code, preview.output).toBe(0);
    expect(preview.output).toContain(`notice: ${victim.name}: apiserver stays until`);
    await inside(victim, "mv /root/away.key /etc/kubernetes/pki/ca.key");
  },
  20 * minutes,
);

const kubeletStarts = "journalctl -u kubelet --no-pager -o cat | grep -c '^Started kubelet'";

/** A pod on that node, once it runs: its image is that of the pods' own sandboxes, which is there already. */
function startWorkload(name: string, nodeName: string): string {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `workload-${name}`, namespace: "default" },
    spec: {
      nodeName,
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
  return `for n in $(seq 60); do echo '${JSON.stringify(pod)}' | ${kubectl("apply -f -")} >/dev/null && break; sleep 1; done
for n in $(seq 120); do [ "$(${kubectl(`get pod workload-${name} -o "jsonpath={.status.phase}"`)})" = Running ] && break; sleep 0.5; done`;
}

/** Its container and how often that was started again. */
function workload(name: string): string {
  return kubectl(
    `get pod workload-${name} -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}'`,
  );
}

/** How often the kubelet has started each controller: it numbers their log files. */
const controllerStarts =
  "for c in kube-controller-manager kube-scheduler; do ls /var/log/pods/kube-system_$c-*/$c | sort -n | tail -n 1 | cut -d . -f 1; done";

function ownersOf(facts: MasterFacts | undefined) {
  return Object.fromEntries(Object.entries(facts?.files ?? {}).map(([path, { owner }]) => [path, owner]));
}
