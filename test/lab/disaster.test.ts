import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startsOn } from "./facts.ts";
import { runCli } from "./support/cli.ts";
import { isWholeMatrix } from "./support/dice.ts";
import { documentedBlocks } from "./support/documented.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell, isServing, readHealth } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";

// Every copy of etcd's data is gone: a backup's snapshot brings it back, by the very commands of docs/restore.md.
// Not proven here: etcdutl of etcd 3.5 and later, workers, and controllers that are not restarted.

const minutes = 60_000;
const here = useLab("disaster", "d-1");
const data = "/var/lib/etcd/data.etcd";
const kubectl = (args: string) =>
  `/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=20s ${args}`;

/** The documented block with the lab's names in place of the document's. */
function onMaster(block: string, { address, etcdName }: LabMaster): string {
  const own = block.replace(/^name=\S+ ip=\S+$/m, `name=${etcdName} ip=${address}`);
  return `set -e\n${here.lab.masters.reduce((text, each, index) => text.replaceAll(`10.0.0.${index + 1}`, each.address), own)}`;
}

/** Runs lines of `npx etcd-rotation pulumi …` with the lab's stack, without a question. */
async function onThisMachine(block: string): Promise<string> {
  let said = "";
  for (const line of block.trim().split("\n")) {
    const words = line.replaceAll("<c>", here.stack.name).replace("npx etcd-rotation pulumi ", "").split(" ");
    const { code, output } = await here.stack.run(
      ...words,
      ...(words[0] === "up" ? ["--yes", "--skip-preview"] : []),
    );
    expect(code, output).toBe(0);
    said += output;
  }
  return said;
}

/** The master that has the newest snapshot, and what the program says of it. */
async function newestSnapshot(): Promise<{
  readonly master: LabMaster;
  readonly rollout: number;
  readonly revision: number;
}> {
  const { code, stdout, stderr } = await runCli(here.stack, "backups", "--json");
  expect(code, stderr).toBe(0);
  const {
    masters,
  }: { masters: { name: string; backups: { rollout: number; snapshot?: { revision?: number } }[] }[] } =
    JSON.parse(stdout);
  const [newest] = masters
    .flatMap(({ name, backups }) =>
      backups.map(({ rollout, snapshot }) => ({ name, rollout, revision: snapshot?.revision ?? 0 })),
    )
    .filter(({ revision }) => revision > 0)
    .toSorted((a, b) => b.rollout - a.rollout);
  if (newest === undefined) {
    throw new Error(`Cannot find a snapshot in ${stdout}`);
  }
  return { ...newest, master: masterNamed(here.lab, newest.name) };
}

test(
  "etcd's data is lost on every master: restored from the backup's snapshot, and nothing is to be rotated",
  async () => {
    const [first] = here.lab.masters;
    const ask = (script: string) => inside(masterNamed(here.lab, first?.name ?? ""), script);
    await ask(kubectl("create configmap before --from-literal=a=1"));
    const up = await here.stack.up();
    expect(up.code, up.output).toBe(0);
    await ask(kubectl("create configmap after --from-literal=a=1"));
    const { master: holder, rollout, revision } = await newestSnapshot();

    await insideAll(here.lab, () => `systemctl stop etcd && rm -rf ${data}/*`);
    const lost = Object.values(await readHealth(here.lab)).map((health) => health["etcd"]);
    expect(lost).toEqual(["unhealthy", "unhealthy", "unhealthy"]);

    const [
      choose = "",
      stop = "",
      restore = "",
      startEtcd = "",
      startKubernetes = "",
      takeOver = "",
      ...more
    ] = documentedBlocks("restore.md", "Restore etcd's data from a snapshot");
    expect(more).toEqual([]);
    expect(
      await inside(holder, onMaster(choose.replace("rollout-2", `rollout-${rollout}`), holder)),
    ).toContain(` ${revision} `);
    for (const master of here.lab.masters.filter((each) => each !== holder)) {
      copyFileSync(join(holder.root, "root/restore.db"), join(master.root, "root/restore.db"));
    }
    await insideAll(here.lab, (master) => onMaster(stop, master));
    await insideAll(here.lab, (master) => onMaster(restore, master));
    await insideAll(here.lab, (master) => onMaster(startEtcd, master));
    await until("every member is healthy", async () =>
      Object.values(await readHealth(here.lab)).every((health) => health["etcd"] === "healthy"),
    );
    await insideAll(here.lab, (master) => onMaster(startKubernetes, master));
    await until("every member and every API server serves", () => isServing(here.lab));

    // the snapshot's objects are there, later ones are not, and controllers work on them
    const names = kubectl("get configmaps before after -o name --ignore-not-found");
    expect(await insideAll(here.lab, () => names)).toEqual({
      "master-1": "configmap/before\n",
      "master-2": "configmap/before\n",
      "master-3": "configmap/before\n",
    });
    await ask(kubectl("create namespace restored"));
    await until("a controller serves the new namespace", async () =>
      (await ask(kubectl("get serviceaccounts -n restored -o name"))).includes("default"),
    );

    const refused = await here.stack.preview();
    expect(refused.code).not.toBe(0);
    expect(refused.output.replace(/\s+/g, " ")).toContain(
      `If etcd's data was restored from a snapshot: set takeOver: etcd-rotation/${here.stack.name}`,
    );
    const starts = () => Promise.all(here.lab.masters.map((master) => startsOn(here.lab, master)));
    const before = await starts();
    expect(await onThisMachine(takeOver)).toContain(
      "Nothing to do: every master serves the wanted certificates.",
    );
    expect(await starts()).toEqual(before);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  15 * minutes,
);

test.runIf(isWholeMatrix())(
  "the restored cluster is rotated as any other",
  async () => {
    here.stack.configure({ rotation: "d-2" });
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  10 * minutes,
);
