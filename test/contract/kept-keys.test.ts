import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The program on the real engine with the state that an engine before 3.211 leaves, which knows no replacementTrigger.
// The masters' answers are made up.

const folder = mkdtempSync(join(tmpdir(), "kept keys "));
const stack = new ClusterStack(folder, join(import.meta.dirname, "..", ".."), "etcd-rotation");
const cluster = "14841639068965178418";
const masters = await FakeCluster.start(
  foundAs(makePems("by-hand", "shared"), { clusterId: cluster, receipt: undefined, backups: [] }),
);
const stateFile = join(folder, "state", ".pulumi", "stacks", "etcd-rotation", "dev.json");

function configure(rotation: string): void {
  stack.configure(
    Object.fromEntries(
      Object.entries(masters.settings(folder, rotation)).map(([key, value]) => [
        `etcd-rotation:${key}`,
        value,
      ]),
    ),
  );
}

interface Key {
  readonly urn: string;
  readonly id: string;
  replacementTrigger: unknown;
}

function state(): { readonly checkpoint: { readonly latest: { readonly resources: Key[] } } } {
  return JSON.parse(readFileSync(stateFile, "utf8"));
}

/** Ids in order, which are made of the key; of two authorities and three leaves for each of three masters. */
function keys(): string[] {
  return state()
    .checkpoint.latest.resources.flatMap(({ urn, id }) =>
      urn.includes("$tls:index/privateKey:PrivateKey::") ? id : [],
    )
    .toSorted();
}

afterAll(async () => {
  await masters.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a rotation that keeps the keys ends before any step, and with the command that it tells every key is new", async () => {
  await stack.init();
  configure("2026-11");
  const made = await stack.run("up", "--yes", "--skip-preview");
  expect(made.code, made.stdout + made.stderr).toBe(0);
  masters.found = await stack.foundAfter("etcd-rotation/dev", { rotation: "2026-11", cluster });
  const old = state();
  for (const resource of old.checkpoint.latest.resources) {
    resource.replacementTrigger = undefined;
  }
  writeFileSync(stateFile, JSON.stringify(old));
  const before = keys();

  configure("2027-05");
  const kept = await stack.run("up", "--yes", "--skip-preview");
  expect(kept.code).not.toBe(0);
  const said = kept.stdout + kept.stderr;
  for (const name of ["etcd-ca", "etcd-peer-ca"]) {
    expect(said).toContain(
      `Cannot rotate: "${name} 2027-05" has the private key of "${name} 2026-11"; expected a new one.`,
    );
  }
  expect(said).not.toContain("command:remote:Command");
  expect(keys()).toEqual(before);

  const [, pattern = ""] = /up --replace '([^']+)'/.exec(said) ?? [];
  const rotated = await stack.run("up", "--yes", "--skip-preview", "--replace", pattern);
  expect(rotated.code, rotated.stdout + rotated.stderr).toBe(0);
  const after = keys();
  expect(after.filter((id) => before.includes(id))).toEqual([]);
  expect(after).toHaveLength(11);
});
