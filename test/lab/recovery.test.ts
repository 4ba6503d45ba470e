import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { exitCodes } from "../../cli/command-error.ts";
import type { Phase } from "../../components/model/plan.ts";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { judge } from "./judge/judge.ts";
import { recovery } from "./judge/verdict.ts";
import { runCli } from "./support/cli.ts";
import { deal, isWholeMatrix, readSeed } from "./support/dice.ts";
import {
  type ForeignOptions,
  type ForeignSet,
  layDown,
  makeForeignSet,
  past,
  restartEtcd,
  restartKubernetes,
} from "./support/foreign.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { untilIdle } from "./support/step-watch.ts";
import { finish, type Kill, startStruckUp } from "./support/struck-up.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell, isServing, readHealth } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";
import { readRecord, startTraffic } from "./traffic/record.ts";

// Clusters that are broken already: the same `pulumi up`, and nothing to switch on.
// Not proven here: a member whose data is lost, machines whose clocks differ; workers (workers.test.ts).

const minutes = 60_000;
const seed = readSeed("recovery.test.ts");
// as on a real cluster: Kubernetes' own certificates too
const here = useLab("recovery", "r-0", (stack) => stack.configure({ kubernetes: undefined }));
let sets = 0;

const etcdHealth = async () =>
  Object.fromEntries(
    Object.entries(await readHealth(here.lab)).map(([name, health]) => [name, health["etcd"]]),
  );

function makeSet(options: ForeignOptions = {}): Promise<ForeignSet> {
  sets += 1;
  return makeForeignSet(here.lab, String(sets), options);
}

/** All masters run well with certificates of an authority that this program has not made. */
async function rotateByHand(options: ForeignOptions = {}): Promise<ForeignSet> {
  const set = await makeSet(options);
  for (const master of here.lab.masters) {
    layDown(set, master, ["trust", "leaves"]);
  }
  await restartEtcd(here.lab.masters);
  await restartKubernetes(here.lab.masters);
  await until("the masters are well with the other set", () => isServing(here.lab));
  return set;
}

/** Other leaves of the same authority, on these masters; etcd reads them at its next handshake. */
async function replaceLeaves(
  authorities: ForeignSet,
  masters: readonly LabMaster[],
  options: ForeignOptions,
): Promise<void> {
  const set = await makeSet({ authorities, ...options });
  for (const master of masters) {
    layDown(set, master, ["leaves"]);
  }
}

const file = (master: LabMaster, path: string) => join(master.root, path);
const etcdPids = (facts: Record<string, MasterFacts>) =>
  Object.fromEntries(Object.entries(facts).map(([name, { processes }]) => [name, processes["etcd"]]));

interface Scenario {
  readonly name: string;
  /** breaks the cluster, and shows that it is broken */
  readonly breakIt: () => Promise<void>;
  /** what preview says of it */
  readonly says: RegExp;
  /** masters whose etcd is not to be restarted before retire */
  readonly untouched?: readonly string[];
  /** what else is true when all is well */
  readonly proveIt?: () => Promise<void>;
}

/** what the official page has a procedure of its own for */
const always = "Kubernetes' certificates and authorities expired as well: nodes not ready, kubectl refused";
const clientOfKubelets =
  "kube-apiserver's own client certificate for kubelets has expired: no recovery, since it serves everybody else, and a rollout goes its way without renewing it";
const killedAfterIssue =
  "killed after issue, with one of three members out: the other two accept each other, and one more up finishes";
const killedInSettle = "killed in settle, between etcd and the API server: one more up finishes";

const scenarios: readonly Scenario[] = [
  {
    name: "leaves expired, the members still linked, everything looks green",
    breakIt: async () => {
      await replaceLeaves(await rotateByHand(), here.lab.masters, { etcdLeaf: past() });
      expect(await insideAll(here.lab, ({ address }) => `curl -sk https://${address}:6443/readyz`)).toEqual({
        "master-1": "ok",
        "master-2": "ok",
        "master-3": "ok",
      });
      expect(await etcdHealth()).toEqual({
        "master-1": "unhealthy",
        "master-2": "unhealthy",
        "master-3": "unhealthy",
      });
    },
    says: /master-1: etcd-peer expired on /,
  },
  {
    name: "leaves expired, one member restarted since",
    breakIt: async () => {
      await replaceLeaves(await rotateByHand(), here.lab.masters, { etcdLeaf: past() });
      await restartEtcd([masterNamed(here.lab, "master-2")]);
      expect(await etcdHealth()).toMatchObject({ "master-2": "unhealthy" });
    },
    says: /master-2: apiserver-etcd-client expired on /,
  },
  {
    name: "leaves expired, two members restarted since: quorum lost, API servers down",
    breakIt: async () => {
      await replaceLeaves(await rotateByHand(), here.lab.masters, { etcdLeaf: past() });
      await restartEtcd([masterNamed(here.lab, "master-1"), masterNamed(here.lab, "master-2")]);
      await until("no API server is ready", async () =>
        Object.values(await readHealth(here.lab)).every((health) => health["api"] !== "ok"),
      );
    },
    says: /etcd has no quorum that answers: 0 of 3 members do/,
  },
  {
    name: "the authority expired as well, everything running and nobody accepted",
    breakIt: async () => {
      const soon = { start: Date.now() - 60_000, end: Date.now() + 75_000 };
      await rotateByHand({ etcdLeaf: soon, etcdCa: soon });
      await wait(Math.max(0, soon.end + 1000 - Date.now()));
      expect(await etcdHealth()).toEqual({
        "master-1": "unhealthy",
        "master-2": "unhealthy",
        "master-3": "unhealthy",
      });
    },
    says: /master-3: etcd-ca expired on /,
  },
  {
    name: "everything stopped, its authority expired; data and log where variables of the unit say",
    breakIt: async () => {
      const authorities = await rotateByHand();
      const expired = await makeSet({ authorities, etcdLeaf: past(), etcdCa: past() });
      for (const master of here.lab.masters) {
        layDown(expired, master, ["trust", "leaves"]);
      }
      await insideAll(here.lab, () => stopAndMoveLog);
      await restartKubernetes(here.lab.masters);
      expect(await etcdHealth()).toEqual({
        "master-1": "unhealthy",
        "master-2": "unhealthy",
        "master-3": "unhealthy",
      });
    },
    says: /master-2: etcd is not running/,
    // each stopped member's data is copied before its start
    proveIt: async () =>
      expect(Object.values(await insideAll(here.lab, () => keyInCopy))).toEqual(
        here.lab.masters.map(() => expect.stringMatching(/^\//)),
      ),
  },
  {
    name: always,
    breakIt: async () => {
      const authorities = await rotateByHand();
      const expired = await makeSet({
        authorities,
        etcdLeaf: past(),
        kubernetesLeaf: past(),
        kubernetesCa: past(),
      });
      for (const master of here.lab.masters) {
        layDown(expired, master, ["kubernetes"]);
      }
      await restartKubernetes(here.lab.masters);
      const ask =
        "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --request-timeout=5s 2>&1 || :";
      await until("kubectl is refused everywhere", async () =>
        Object.values(await insideAll(here.lab, () => ask)).every((text) =>
          text.includes("certificate has expired"),
        ),
      );
      for (const master of here.lab.masters) {
        layDown(expired, master, ["leaves"]);
      }
      await restartEtcd(here.lab.masters);
      await until("no API server is ready", async () =>
        Object.values(await readHealth(here.lab)).every((health) => health["api"] !== "ok"),
      );
    },
    says: /master-1: apiserver expired on /,
    proveIt: async () => {
      const kubectl = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=20s";
      await until(
        "all nodes are ready",
        async () =>
          (
            await inside(
              masterNamed(here.lab, "master-1"),
              `${kubectl} get nodes --no-headers 2>/dev/null || :`,
            )
          ).match(/ Ready /g)?.length === 3,
      );
      const ends = await insideAll(
        here.lab,
        () =>
          "for f in /etc/kubernetes/pki/*.crt /var/lib/kubelet/pki/kubelet.crt; do openssl x509 -in $f -noout -checkend 1500000000 || echo $f; done | grep -v 'will not expire' || :",
      );
      expect(ends).toEqual({ "master-1": "", "master-2": "", "master-3": "" });
    },
  },
  {
    name: "a rotation by hand that ended after its first master",
    breakIt: async () => {
      await rotateByHand();
      const next = await makeSet();
      const first = masterNamed(here.lab, "master-1");
      layDown(next, first, ["trust", "leaves"]);
      await restartEtcd([first]);
      expect(await etcdHealth()).toEqual({
        "master-1": "unhealthy",
        "master-2": "healthy",
        "master-3": "healthy",
      });
    },
    says: /master-1: etcd-peer is not accepted by etcd-peer-ca of master-2, master-3/,
  },
  {
    name: "a rotation by hand that ended after its second master",
    breakIt: async () => {
      await rotateByHand();
      const next = await makeSet();
      const done = [masterNamed(here.lab, "master-1"), masterNamed(here.lab, "master-2")];
      for (const master of done) {
        layDown(next, master, ["trust", "leaves"]);
      }
      await restartEtcd(done);
      await restartKubernetes(done);
      await until("master-3 is alone", async () => (await etcdHealth())["master-3"] === "unhealthy");
    },
    says: /master-3: etcd-peer is not accepted by etcd-peer-ca of master-1, master-2/,
  },
  {
    name: "a rotation by hand that wrote all files and restarted nothing",
    breakIt: async () => {
      await rotateByHand();
      const next = await makeSet();
      for (const master of here.lab.masters) {
        layDown(next, master, ["trust", "leaves"]);
      }
      expect(await etcdHealth()).toEqual({
        "master-1": "unhealthy",
        "master-2": "unhealthy",
        "master-3": "unhealthy",
      });
    },
    says: /master-2: etcd does not answer, and runs with files that have changed since its start/,
  },
  {
    name: "a key that belongs to another certificate",
    breakIt: () =>
      breakOwn(
        "master-2",
        (master) => `openssl ecparam -genkey -name prime256v1 -noout >${cert}/${master.etcdName}-key.pem`,
      ),
    says: /master-2: etcd-peer does not belong to its key/,
    untouched: ["master-1", "master-3"],
  },
  {
    name: "an authority file that is empty",
    breakIt: async () => {
      truncateSync(file(masterNamed(here.lab, "master-3"), `${cert}/ca.pem`));
      await breakOwn("master-3", () => ":");
    },
    says: /master-3: etcd-ca holds no certificate/,
    untouched: ["master-1", "master-2"],
  },
  {
    name: "an authority file that is cut off in the middle",
    breakIt: async () => {
      truncateSync(file(masterNamed(here.lab, "master-3"), `${cert}/peer-ca.pem`), 200);
      await breakOwn("master-3", () => ":");
    },
    says: /master-3: etcd-peer-ca holds no certificate/,
    untouched: ["master-1", "master-2"],
  },
  {
    name: "a key that belongs to root",
    breakIt: () => breakOwn("master-1", () => `chown root:root ${cert}/etcd-server-key.pem`),
    says: /master-1: etcd-server-key cannot be read by etcd \(root:root 600\)/,
    untouched: ["master-2", "master-3"],
  },
  {
    name: "peers that may not be clients",
    breakIt: async () => {
      const authorities = await rotateByHand();
      const broken = masterNamed(here.lab, "master-2");
      await replaceLeaves(authorities, [broken], { peerUses: "serverAuth" });
      await restartEtcd([broken]);
      // etcd itself looks healthy: the others still connect to it, and not the other way round
      await until("master-2 answers", async () => (await etcdHealth())["master-2"] === "healthy");
      const pair = `--cert ${cert}/${broken.etcdName}.pem --key ${cert}/${broken.etcdName}-key.pem`;
      expect(
        await inside(
          broken,
          `curl -sk --max-time 5 -o /dev/null -w '%{http_code}' ${pair} https://${masterNamed(here.lab, "master-1").address}:2380/version || :`,
        ),
      ).toBe("000");
    },
    says: /master-2: etcd-peer may not be used for client_auth/,
  },
];

const cert = "/var/lib/etcd/cert";

const stopAndMoveLog = `
systemctl kill -s KILL etcd; systemctl stop etcd
mv /var/lib/etcd/data.etcd/member/wal /var/lib/etcd/log
sed -i 's/ --data-dir=data.etcd//' "$(systemctl show -p FragmentPath --value etcd)"
printf 'ETCD_DATA_DIR=data.etcd\nETCD_WAL_DIR=/var/lib/etcd/log\n' >>/etc/etcd.env
systemctl daemon-reload`;

/** A key that a crash copy holds, told by an etcd that starts from it alone. */
const keyInCopy = `
cp -a "$(find /var/lib/etcd-rotation -path '*/rollout-*/data' -prune | tail -n 1)" /root/copy
etcd --data-dir=/root/copy --force-new-cluster --listen-client-urls=http://127.0.0.1:12379 --advertise-client-urls=http://127.0.0.1:12379 \
  --listen-peer-urls=http://127.0.0.1:12380 >/root/copy.log 2>&1 &
until ETCDCTL_API=3 etcdctl --endpoints=http://127.0.0.1:12379 get / --prefix --keys-only --limit=1 2>/dev/null | grep /; do
  kill -0 $! || { cat /root/copy.log >&2; exit 1; }
  sleep 0.5
done
kill $!
wait
rm -rf /root/copy`;

/** Breaks a file of this program's own set and restarts etcd there, which then is out. */
async function breakOwn(name: string, command: (master: LabMaster) => string): Promise<void> {
  const master = masterNamed(here.lab, name);
  await inside(master, command(master));
  await restartEtcd([master]);
  await until(`${name} is out`, async () => (await etcdHealth())[name] === "unhealthy");
  expect(Object.values(await etcdHealth()).filter((health) => health === "healthy")).toHaveLength(2);
}

const all = [
  ...scenarios.map(({ name }) => name).filter((name) => name !== always),
  clientOfKubelets,
  killedAfterIssue,
  killedInSettle,
];
const chosen = isWholeMatrix() ? [always, ...all] : [always, ...deal(seed, all)];

test.runIf(chosen.includes(clientOfKubelets))(
  clientOfKubelets,
  async () => {
    const { folder } = await makeSet({ kubernetesLeaf: past() });
    for (const master of here.lab.masters) {
      for (const name of ["apiserver-kubelet-client.crt", "apiserver-kubelet-client.key"]) {
        writeFileSync(
          file(master, `/etc/kubernetes/pki/${name}`),
          readFileSync(join(folder, "pki", master.name, "kubernetes/pki", name)),
        );
      }
    }
    const pair =
      "--cert /etc/kubernetes/pki/apiserver-kubelet-client.crt --key /etc/kubernetes/pki/apiserver-kubelet-client.key";
    const ask = ({ address }: LabMaster) =>
      `curl -sk -o /dev/null -w '%{http_code}' ${pair} https://${address}:6443/readyz`;
    expect(await insideAll(here.lab, ask)).toEqual({
      "master-1": "401",
      "master-2": "401",
      "master-3": "401",
    });
    const preview = await here.stack.preview();
    expect(preview.code, preview.output).toBe(0);
    expect(preview.output).not.toContain("This is a recovery");
    here.stack.configure({ kubernetes: { renew: "never" } });
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    await assertWell(here.lab, here.stack, here.baseline);
    here.stack.configure({ kubernetes: undefined });
  },
  10 * minutes,
);

describe.each(scenarios.filter(({ name }) => chosen.includes(name)))(
  "$name",
  ({ breakIt, says, untouched = [], proveIt = async () => undefined }) => {
    test(
      "one up, and everything is well, with all data",
      async () => {
        if ((await here.stack.preview("--expect-no-changes")).code !== 0 && untouched.length > 0) {
          // what is broken here is this program's own set
          const { code, output } = await here.stack.up();
          expect(code, output).toBe(0);
        }
        await breakIt();
        const before = await readAllFacts(here.lab);
        const plan = await runCli(here.stack, "plan", "--check");
        const words = plan.stdout + plan.stderr;
        expect(words).toContain("This is a recovery");
        expect(words).toMatch(says);
        // who is refused already is no fault of the rollout; nobody else is on its way
        expect(words).toMatch(
          /^Check: (no connection is refused in |connections are refused as it is now:$)/m,
        );
        expect(plan.code, words).toBe(
          words.includes("refused as it is now") ? exitCodes.refused : exitCodes.due,
        );
        process.stdout.write(words.slice(words.indexOf("\nCheck: ")));
        expect((await readAllFacts(here.lab))["master-1"]?.files).toEqual(before["master-1"]?.files);

        const started = Date.now();
        const running = here.stack.startUp();
        void until("etcd answers everywhere", async () =>
          Object.values(await etcdHealth()).every((health) => health === "healthy"),
        ).then(
          () =>
            process.stdout.write(
              `quorum ${((Date.now() - started) / 1000).toFixed(1)} s after the start of up\n`,
            ),
          () => undefined,
        );
        const { code, output } = await running.done;
        process.stdout.write(`up took ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
        expect(code, output).toBe(0);
        await assertWell(here.lab, here.stack, here.baseline);
        const pids = etcdPids(await readAllFacts(here.lab));
        await proveIt();
        expect(untouched.map((name) => pids[name])).toEqual(untouched.map((name) => etcdPids(before)[name]));
      },
      20 * minutes,
    );
  },
);

const strikeNow = (kill: Kill, phase: Phase, master: string, lines = 0) =>
  startStruckUp(here.stack, () => undefined, { kill, phase, master, lines, delayMilliseconds: 0 });

test.runIf(chosen.includes(killedAfterIssue))(
  killedAfterIssue,
  async () => {
    const authorities = await rotateByHand();
    const out = masterNamed(here.lab, "master-3");
    await replaceLeaves(authorities, [out], { etcdLeaf: past() });
    await restartEtcd([out]);
    await until("master-3 is out", async () => (await etcdHealth())["master-3"] === "unhealthy");
    const preview = await here.stack.preview();
    expect(preview.output).toContain(
      "This is a recovery of master-3 (etcd, kube-apiserver): it is started in issue",
    );
    expect(preview.output).toContain("CAUTION: 2 of 3 members answer");

    // the last one that issue comes to
    const { running } = await strikeNow("pulumi", "issue", "master-2");
    expect((await running.done).code).not.toBe(0);
    await untilIdle(here.lab.masters);
    const serving = ["master-1", "master-2"].map((name) => masterNamed(here.lab, name));
    const record = join(here.lab.folder, "after-issue.jsonl");
    const traffic = await startTraffic(here.lab, record);
    // nothing of what they have in memory or open is left
    for (const master of serving) {
      await restartEtcd([master]);
      await until(`${master.name} answers`, async () => (await etcdHealth())[master.name] === "healthy");
      await restartKubernetes([master]);
      await until(
        `the API server of ${master.name} is ready`,
        async () => (await readHealth(here.lab))[master.name]?.["api"] === "ok",
      );
    }
    await wait(10_000);
    await traffic.stop();
    expect(judge(await readRecord(record), recovery(30_000)).violations).toEqual([]);

    const { code, output } = await finish(here.stack);
    expect(code, output).toBe(0);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  20 * minutes,
);

test.runIf(chosen.includes(killedInSettle))(
  killedInSettle,
  async () => {
    await replaceLeaves(await rotateByHand(), here.lab.masters, { etcdLeaf: past() });
    // etcd has been told to start, which takes longer than the blow
    const { running } = await strikeNow("script", "settle", "master-1", 1);
    expect((await running.done).code).not.toBe(0);
    await untilIdle(here.lab.masters);
    await until("master-1 answers", async () => (await etcdHealth())["master-1"] === "healthy");
    expect((await readHealth(here.lab))["master-1"]?.["api"]).not.toBe("ok");
    const preview = await here.stack.preview();
    expect(preview.output).toContain(
      "master-1: kube-apiserver is not ready, and runs with files that have changed since its start",
    );

    const { code, output } = await finish(here.stack);
    expect(code, output).toBe(0);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  20 * minutes,
);
