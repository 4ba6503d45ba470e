import { afterEach, beforeAll, expect, test } from "vitest";
import { readAllFacts } from "./facts.ts";
import { documentedBlocks } from "./support/documented.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { installNewerEtcdctl } from "./support/newer-etcdctl.ts";
import { until } from "./support/until.ts";
import { trustBoth, useLab } from "./support/use-lab.ts";
import { assertServing, assertWell, isServing } from "./support/well.ts";

// etcd's database is full, and etcdctl is that of 3.5, whose `endpoint health` fails under the alarm: it refuses, and breaks nothing.
// Not proven here: a CORRUPT alarm, another etcd than 3.4.

const minutes = 60_000;
const here = useLab("alarm", "a-0", trustBoth);
const names = ["master-1", "master-2", "master-3"];
const raised = "an alarm is raised (etcdctl alarm list)";
const folder = "D=/etc/kubernetes/pki/etcd ETCDCTL_API=3; export ETCDCTL_API";
const pair = "--cacert=$D/ca.pem --cert=$D/etcd-client.pem --key=$D/etcd-client-key.pem";

/** Runs a script on the first master with etcdctl as `e`. */
function ask(script: string): Promise<string> {
  const { address } = masterNamed(here.lab, "master-1");
  return inside(
    masterNamed(here.lab, "master-1"),
    `PATH=/usr/local/bin:$PATH ${folder}; e() { etcdctl --endpoints=https://${address}:2379 ${pair} "$@"; }\n${script}`,
  );
}

/** Writes values until etcd takes no more; the newer etcdctl then calls every member unhealthy. */
async function fill(): Promise<void> {
  await ask(
    "head -c 700000 /dev/zero | base64 -w 0 >/root/filler; n=0; while e put /filler/$n </root/filler >/dev/null 2>&1; do n=$((n + 1)); done",
  );
  expect(await ask("e alarm list")).toContain("alarm:NOSPACE");
  expect(await ask("e endpoint health --cluster -w json 2>/dev/null || :")).not.toContain('"health":true');
}

/** What docs/recovery.md says, on a database that has become smaller. */
async function clear(): Promise<void> {
  await ask("e del --prefix /filler/ >/dev/null");
  const [block = ""] = documentedBlocks("recovery.md", "An alarm is raised");
  await ask(
    here.lab.masters.reduce(
      (text, { address }, index) => text.replaceAll(`10.0.0.${index + 1}`, address),
      `set -e\n${block}`,
    ),
  );
  expect(await ask("e alarm list")).toBe("");
}

/** Files, and the processes that serve: the controllers end by themselves, since they cannot renew their leases. */
async function filesAndServers() {
  return Object.entries(await readAllFacts(here.lab)).map(([name, { files, processes }]) => [
    name,
    files,
    processes["etcd"],
    processes["kube-apiserver"],
  ]);
}

beforeAll(async () => {
  await installNewerEtcdctl(here.lab);
  for (const name of names) {
    await inside(
      masterNamed(here.lab, name),
      "printf 'ETCD_QUOTA_BACKEND_BYTES=16777216\\n' >>/etc/etcd.env && systemctl restart etcd",
    );
    await until(`${name} serves`, () => isServing(here.lab));
  }
  const { code, output } = await here.stack.up();
  expect(code, output).toBe(0);
}, 10 * minutes);

afterEach(clear, 5 * minutes);

test(
  "an alarm before a rollout refuses it: no key is made, nothing restarts, and no recovery is begun",
  async () => {
    await fill();
    const [state, keys] = [await filesAndServers(), here.stack.keys()];
    here.stack.configure({ rotation: "a-1" });
    for (const run of [await here.stack.preview(), await here.stack.up()]) {
      expect(run.code, run.output).not.toBe(0);
      expect(run.output.replace(/\s+/g, " ")).toContain(`Cannot start a rollout: ${raised}; expected none`);
      // but for the page that tells what to do
      expect(run.output).not.toMatch(/recovery(?!\.md)/);
    }
    expect(await filesAndServers()).toEqual(state);
    expect(here.stack.keys()).toEqual(keys);
  },
  10 * minutes,
);

test(
  "an alarm in the middle of a rollout stops it between two steps: everybody is served, and it goes on once the alarm is disarmed",
  async () => {
    here.stack.configure({ rotation: "a-2" });
    const running = here.stack.startUp();
    await running.saw("master-2 trust: restarting etcd");
    await fill();
    const { code, output } = await running.done;
    expect(code, output).not.toBe(0);
    expect(output).toMatch(
      new RegExp(
        `Cannot start \\w+: etcd is not healthy: ${raised.replace(/[()]/g, "\\$&")}; nothing was changed`,
      ),
    );
    expect(output).not.toContain("putting back");
    await assertServing(here.lab, names);
    expect(await insideAll(here.lab, () => "ls -d /var/lib/etcd-rotation/journal 2>/dev/null || :")).toEqual(
      Object.fromEntries(names.map((name) => [name, ""])),
    );

    const again = await here.stack.up();
    expect(again.code, again.output).not.toBe(0);
    expect(again.output.replace(/\s+/g, " ")).toContain(`Cannot start a rollout: ${raised}; expected none`);

    await clear();
    const last = await here.stack.up();
    expect(last.code, last.output).toBe(0);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  20 * minutes,
);
