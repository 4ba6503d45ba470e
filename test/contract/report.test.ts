import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The command on states that the real engine has written; the masters' answers are made up.

const project = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "report "));
const stack = new ClusterStack(folder, project, "etcd-rotation");
const cluster = "14841639068165178418";
const masters = await FakeCluster.start(
  foundAs(makePems("by-hand", "shared"), { clusterId: cluster, receipt: undefined, backups: [] }),
);

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

function report(...args: string[]): Promise<ProgramResult> {
  const words = [join(project, "cli", "etcd-rotation.js"), "report", "dev", "--cwd", folder, ...args];
  return runProgram(process.execPath, words, {
    environment: { ...process.env, PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href },
  });
}

async function up(rotation: string): Promise<ProgramResult> {
  const settings = Object.entries(masters.settings(folder, rotation));
  stack.configure(Object.fromEntries(settings.map(([key, value]) => [`etcd-rotation:${key}`, value])));
  return await stack.run("up", "--yes", "--skip-preview");
}

test("the record of a rollout that ended well, and of one that failed, without the passphrase", async () => {
  await stack.init();
  const none = await report();
  expect({ code: none.code, stdout: none.stdout }).toEqual({ code: 2, stdout: "" });
  expect(none.stderr).toMatch(/^Cannot report a rollout of dev: no state of its history has a step/);
  expect(existsSync(join(folder, "reports"))).toBe(false);

  const made = await up("2026-11");
  expect(made.code, made.stdout + made.stderr).toBe(0);
  masters.found = await stack.foundAfter("etcd-rotation/dev", { rotation: "2026-11", cluster });
  masters.words = {
    "backup-master-1": "a banner\nmaster-1 backup: backup in /var/lib/etcd-rotation/backup/rollout-2\n",
    "trust-master-1": "master-1 trust: restarting etcd\nmaster-1 trust: <b>&amp;</b>\n",
  };
  masters.failing = "trust-master-2";
  expect((await up("2027-05")).code).not.toBe(0);

  const { code, stdout, stderr } = await report("--json");
  expect(code, stderr).toBe(0);
  const failed = JSON.parse(stdout);
  expect(failed).toMatchObject({
    stack: "dev",
    cluster,
    rotation: "2027-05",
    rollout: 2,
    result: "failed",
    update: { number: 2, result: "failed" },
    before: { rollout: 1 },
    masters: ["master-1", "master-2", "master-3"],
    restarts: { "master-1": { etcd: 1 }, "master-2": {}, "master-3": {} },
    pending: [],
    later: [],
  });
  expect(
    failed.steps.map(({ phase, master }: Record<string, string>) => `${phase} ${master}`).toSorted(),
  ).toEqual(["backup master-1", "backup master-2", "backup master-3", "trust master-1"]);
  const { started, ended } = failed.update;
  for (const step of failed.steps) {
    const times = [started, step.started, step.ended, ended];
    expect(times).toEqual(times.toSorted());
  }
  expect(failed.remaining.slice(0, 3)).toEqual(["trust-master-2", "trust-master-3", "issue-master-1"]);
  expect(failed.remaining).toHaveLength(14);
  const changes = failed.certificates.map(({ change }: { change: string }) => change);
  expect(changes).toEqual(Array(11).fill("renewed"));
  const page = readFileSync(join(folder, "reports", "dev-rollout-2.html"), "utf8");
  expect(page).toContain("trust on master-1 ended at");
  expect(page).toContain("<br>&lt;b&gt;&amp;amp;&lt;/b&gt;");

  const first = await report("--rollout", "1");
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Rollout 1 of dev: succeeded\n/) });
  expect(readdirSync(join(folder, "reports")).toSorted()).toEqual(
    ["1.html", "1.json", "2.html", "2.json"].map((end) => `dev-rollout-${end}`),
  );
  for (const name of readdirSync(join(folder, "reports"))) {
    const text = readFileSync(join(folder, "reports", name), "utf8");
    expect(text).not.toMatch(/PRIVATE KEY|BEGIN|ciphertext|etcdsalt|v1:|a banner/);
  }
  // as after a run that was killed: its steps are in the present state alone
  const kept = join(folder, "state", ".pulumi", "history", "etcd-rotation", "dev");
  const last = readdirSync(kept).toSorted().at(-1)?.split(".")[0] ?? "";
  for (const name of readdirSync(kept).filter((each) => each.startsWith(last))) {
    rmSync(join(kept, name));
  }
  const killed = JSON.parse((await report("--json")).stdout);
  expect(killed).toMatchObject({
    rollout: 2,
    result: "unfinished",
    before: { rollout: 1 },
    remaining: failed.remaining,
  });
  expect(killed.steps).toHaveLength(4);

  expect(await report("--rollout", "7")).toEqual({
    code: 3,
    stdout: "",
    stderr: "Cannot report rollout 7 of dev; expected one of 1, 2\n",
  });
});
