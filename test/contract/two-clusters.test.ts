import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The example on the real engine, with the real providers and real SSH on loopback; the masters' answers are made up.

const folder = mkdtempSync(join(tmpdir(), "two clusters "));
const stack = new ClusterStack(
  folder,
  join(import.meta.dirname, "..", "..", "examples", "two-clusters"),
  "two-clusters",
);
const [prodId, stagingId] = ["14841639068965178418", "9372538179322589801"];
const untouched = (clusterId: string) =>
  foundAs(makePems("by-hand", "shared"), { clusterId, receipt: undefined, backups: [] });
const [prod, staging] = await Promise.all([
  FakeCluster.start(untouched(prodId)),
  FakeCluster.start(untouched(stagingId)),
]);

function configure(stagingRotation: string): void {
  stack.configure({
    "two-clusters:prod": prod.settings(folder, "2026-11"),
    "two-clusters:staging": staging.settings(folder, stagingRotation),
  });
}

let up: ProgramResult;

function report(...args: string[]): Promise<ProgramResult> {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  return runProgram(process.execPath, [program, "report", "dev", "--cwd", folder, ...args], {
    environment: { ...process.env, PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href },
  });
}

/** Both are taken over. */
beforeAll(async () => {
  await stack.init();
  configure("2026-11");
  up = await stack.run("up", "--yes", "--skip-preview");
  expect(up.code, up.stdout + up.stderr).toBe(0);
  prod.found = await stack.foundAfter("two-clusters/dev/prod", {
    rotation: "2026-11",
    cluster: prodId,
    prefix: "prod-",
  });
});

/** As after the take-over, whatever a test has made of it. */
beforeEach(async () => {
  configure("2026-11");
  staging.found = await stack.foundAfter("two-clusters/dev/staging", {
    rotation: "2026-11",
    cluster: stagingId,
    prefix: "staging-",
  });
});

afterAll(async () => {
  await Promise.all([prod.stop(), staging.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

test("report has each cluster by itself, without the passphrase", async () => {
  const { code, stdout, stderr } = await report("--rollout", "1", "--json");
  expect(code, stderr).toBe(0);
  const reports: unknown[] = JSON.parse(stdout);
  expect(reports).toMatchObject(
    ["prod", "staging"].map((name) => ({
      ...{ stack: `dev/${name}`, rollout: 1, result: "succeeded", rotation: "2026-11", remaining: [] },
      masters: ["master-1", "master-2", "master-3"],
      steps: expect.objectContaining({ length: 18 }),
      certificates: expect.objectContaining({ length: 11 }),
    })),
  );
  expect(stdout).not.toMatch(/PRIVATE KEY|BEGIN|ciphertext|v1:/);
});

test("two clusters in one stack: taken over, steady, and rotated one without the other", async () => {
  expect(up.stdout + up.stderr).toMatch(/\+ 125 created/);
  expect(up.code).toBe(0);

  const steady = await stack.run("preview", "--expect-no-changes");
  expect(steady.stdout + steady.stderr).toMatch(/125 unchanged/);
  expect(steady.code).toBe(0);
  for (const name of ["prod", "staging"]) {
    expect(steady.stdout).toMatch(
      new RegExp(
        `Rollout \\(${name}-rollout\\):\\s+Nothing to do: every master serves the wanted certificates`,
      ),
    );
  }

  configure("2027-05");
  const rotation = await stack.run("preview", "--diff");
  expect(rotation.code).toBe(0);
  // each of its two authorities gets a cross-certificate, by the one before
  expect(rotation.stdout).toMatch(/\+ 4 to create\s+\+-49 to replace\s+53 changes\. 76 unchanged/);
  const replaced = [...rotation.stdout.matchAll(/\(replace\)\n.*\n\s+\[urn=.*::(\w+)-.*\]/g)].map(
    ([, cluster]) => cluster,
  );
  expect(replaced).toEqual(Array(49).fill("staging"));
});

test("another etcd cluster behind the same settings is refused by that cluster's own outputs", async () => {
  staging.found = { masters: staging.found.masters.map((master) => ({ ...master, clusterId: "777" })) };
  const refused = await stack.run("preview");
  expect(refused.code).not.toBe(0);
  expect(refused.stdout + refused.stderr).toContain(
    `staging: Cannot rotate as two-clusters/dev/staging: the masters belong to etcd cluster 777, this stack to ${stagingId}`,
  );
});

test("one file for two rows that want different contents is refused, before anything is made", async () => {
  staging.found = foundAs(makePems("by-hand", "shared"), { clusterId: stagingId, receipt: undefined });
  staging.found = {
    masters: staging.found.masters.map((master) => ({
      ...master,
      files: Object.fromEntries(
        Object.entries(master.files).map(([id, file]) => [
          id,
          id === "etcd-peer-ca" ? { ...file, realPath: "/var/lib/etcd/cert/ca.pem" } : file,
        ]),
      ),
    })),
  };
  const refused = await stack.run("up", "--yes", "--skip-preview");
  expect(refused.code).not.toBe(0);
  const text = refused.stdout + refused.stderr;
  expect(text).toContain(
    "staging: Cannot rotate master-1: layout.paths.etcd-ca and layout.paths.etcd-peer-ca are one file, /var/lib/etcd/cert/ca.pem",
  );
  expect(text).not.toMatch(/\d+ (created|replaced|updated)/);
});
