import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from "vitest";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { LabStack } from "./stack.ts";
import { stackFile } from "./stack-file.ts";
import { runCli } from "./support/cli.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { saveEvidence } from "./support/evidence.ts";
import { underTraffic } from "./support/judged.ts";
import { untilIdle } from "./support/step-watch.ts";
import { cancel, drawHit, startStruckUp } from "./support/struck-up.ts";
import { assertWell, type Baseline, outputsOf, takeBaseline } from "./support/well.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";

// Three sets, and every way between them: at each point the masters serve exactly the certificates of that state.

const minutes = 60_000;
const labName = `lab-back-${process.pid}`;
const rotations = ["back-1", "back-2", "back-3"] as const;
type Rotation = (typeof rotations)[number];
let lab: Lab;
let stack: LabStack;
let baseline: Baseline;
const sets = new Map<Rotation, CertificateSet>();
/** by rotation: where the command has saved the state that had it */
const saved = new Map<string, string>();

/** What a set is to the masters. */
interface CertificateSet {
  readonly authorities: Readonly<Record<string, string>>;
  readonly served: Readonly<Record<string, string>>;
  /** by master, then path */
  readonly hashes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** keys and certificates in the state */
  readonly keys: readonly string[];
}

beforeAll(async () => {
  lab = await startLab({ name: labName });
  stack = await LabStack.create(lab, rotations[0]);
  baseline = await takeBaseline(lab);
  for (const rotation of rotations) {
    stack.configure({ rotation });
    const { code, output } = await stack.up();
    expect(code, output).toBe(0);
    sets.set(rotation, await readSet());
  }
}, 30 * minutes);

afterAll(async () => {
  stack?.remove();
  await stopLab(labName);
}, 5 * minutes);

beforeEach(({ task }) => {
  onTestFailed(() => saveEvidence(lab, `rollback ${task.name}`), 2 * minutes);
});

async function readSet(): Promise<CertificateSet> {
  const { authorities, served } = await outputsOf(stack);
  return { authorities, served, hashes: hashesOf(await readAllFacts(lab)), keys: stack.keys() };
}

function hashesOf(facts: Record<string, MasterFacts>): CertificateSet["hashes"] {
  return Object.fromEntries(
    Object.entries(facts).map(([name, { files }]) => [
      name,
      Object.fromEntries(
        Object.entries(files)
          .filter(([path]) => path.startsWith("/var/lib/etcd/cert/") || path.startsWith("/etc/kubernetes/pki/etcd/"))
          .map(([path, { hash }]) => [path, hash]),
      ),
    ]),
  );
}

async function expectSet(rotation: Rotation): Promise<void> {
  // the command has changed the stack file; this object still has what the test wrote
  stack.settings = { ...stack.settings, rotation };
  expect(readFileSync(stackFile(stack.name), "utf8")).toContain(`"etcd-rotation:rotation": "${rotation}"`);
  expect(await readSet()).toEqual(sets.get(rotation));
  await assertWell(lab, stack, baseline);
}

/** @returns the output as JSON */
async function goTo(rotation: Rotation, to: string): Promise<void> {
  const present = String(stack.settings["rotation"]);
  const violations = await underTraffic(lab, `to-${rotation}-${saved.size}`, async () => {
    const { code, stdout, stderr } = await runCli(stack, "rollback", "--to", to, "--yes", "--json");
    expect(code, stderr).toBe(0);
    const result: { saved: string } = JSON.parse(stdout);
    saved.set(present, result.saved);
  });
  expect(violations).toEqual([]);
}

test(
  "the list has the three sets, newest first",
  async () => {
    const { code, stdout, stderr } = await runCli(stack, "rollback", "--list", "--json");
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      { number: 3, rollout: 3, rotation: "back-3", condition: "valid", isPresent: true, authority: sets.get("back-3")?.authorities["etcd"] },
      { number: 2, rollout: 2, rotation: "back-2", condition: "valid", isPresent: false, authority: sets.get("back-2")?.authorities["etcd"] },
      { number: 1, rollout: 1, rotation: "back-1", condition: "valid", isPresent: false, authority: sets.get("back-1")?.authorities["etcd"] },
    ]);
  },
  2 * minutes,
);

test(
  "a preview shows the phases, keeps the authorities, and changes nothing",
  async () => {
    const before = await readAllFacts(lab);
    const [state, file] = [stack.state(), readFileSync(stackFile(stack.name), "utf8")];
    const { code, stdout, stderr } = await runCli(stack, "rollback", "--to", "1", "--preview-only");
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('Rollout 4 (rotation "back-1", rolling):');
    expect(stdout).toContain("18 to replace");
    expect(await readAllFacts(lab)).toEqual(before);
    expect([stack.state(), readFileSync(stackFile(stack.name), "utf8")]).toEqual([state, file]);
  },
  3 * minutes,
);

test(
  "to the set before, under traffic",
  async () => {
    await goTo("back-2", "2");
    await expectSet("back-2");
  },
  10 * minutes,
);

// the same way twice more: in the whole matrix only
test.runIf(isWholeMatrix())(
  "further, to the first set",
  async () => {
    await goTo("back-1", "1");
    await expectSet("back-1");
  },
  10 * minutes,
);

test.runIf(isWholeMatrix())(
  "forward again to the newest set, by the state that was saved",
  async () => {
    await goTo("back-3", saved.get("back-3") ?? "");
    await expectSet("back-3");
  },
  10 * minutes,
);

const phase = new Dice(readSeed("rollback.test.ts")).pick(["trust", "issue", "retire"] as const);

test(
  `a rotation that was killed in ${phase} is aborted: back to the set before it, whatever mixture was left`,
  async () => {
    const violations = await underTraffic(lab, "abort", async () => {
      const rotate = () => stack.configure({ rotation: "back-4" });
      const { running } = await startStruckUp(stack, rotate, drawHit(new Dice(`${phase}/abort`), "pulumi", phase, lab.masters));
      await running.done;
      await untilIdle(lab.masters);
      await cancel(stack);
      const { code, stderr } = await runCli(stack, "rollback", "--abort", "--yes", "--json");
      expect(code, stderr).toBe(0);
    });
    await expectSet(isWholeMatrix() ? "back-3" : "back-2");
    expect(violations).toEqual([]);
    const again = await runCli(stack, "rollback", "--abort", "--yes");
    expect([again.code, again.stderr]).toEqual([3, expect.stringContaining("Cannot abort: the last update that changed certificates has ended well")]);
  },
  15 * minutes,
);

test(
  "the masters' backups are listed; an old one is removed everywhere, the newest and the original stay",
  async () => {
    const list = async () => {
      const { code, stdout, stderr } = await runCli(stack, "backups", "--json");
      expect(code, stderr).toBe(0);
      const parsed: {
        masters: { name: string; backups: { rollout: number; rotation?: string; kind: string; damaged: string[]; snapshot?: { revision?: number } }[] }[];
      } = JSON.parse(stdout);
      return parsed.masters;
    };
    const before = await list();
    expect(before.map(({ name }) => name)).toEqual(["master-1", "master-2", "master-3"]);
    const kinds = before.map(({ backups }) => backups.map(({ rollout, rotation, kind, damaged }) => [rollout, rotation, kind, damaged]));
    expect(kinds[1]).toEqual(kinds[0]);
    expect(kinds[2]).toEqual(kinds[0]);
    const [unfinished = 0, newest = 0, middle = 0, oldest = 0] = before[0]?.backups.map(({ rollout }) => rollout) ?? [];
    // the killed rotation's own number, and that of the way back
    expect(kinds[0]).toEqual([
      [unfinished, "back-4", "unfinished", []],
      [newest, isWholeMatrix() ? "back-3" : "back-2", "complete", []],
      [middle, isWholeMatrix() ? "back-1" : "back-3", "complete", []],
      [oldest, "back-2", "complete", []],
      [1, undefined, "original", []],
    ]);
    // one master has given each snapshot
    expect(before.flatMap(({ backups }) => backups.filter(({ rollout, snapshot }) => rollout === newest && (snapshot?.revision ?? 0) > 0))).toHaveLength(1);
    expect((await runCli(stack, "backups", "purge", String(newest), "--yes")).code).toBe(3);
    expect((await runCli(stack, "backups", "purge", "1", "--yes")).code).toBe(3);
    const { code, stdout, stderr } = await runCli(stack, "backups", "purge", String(middle), "--yes", "--json");
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ rollout: middle, masters: { "master-1": "removed", "master-2": "removed", "master-3": "removed" } });
    const left = [unfinished, newest, oldest, 1];
    expect((await list()).map(({ backups }) => backups.map(({ rollout }) => rollout))).toEqual([left, left, left]);
    await assertWell(lab, stack, baseline);
  },
  5 * minutes,
);
