import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { phases } from "../../components/model/plan.ts";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { stackFile } from "./stack-file.ts";
import { runCli } from "./support/cli.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { underTraffic } from "./support/judged.ts";
import { untilIdle } from "./support/step-watch.ts";
import { cancel, drawHit, startStruckUp } from "./support/struck-up.ts";
import { drawHandover, useLab } from "./support/use-lab.ts";
import { assertWell, outputsOf } from "./support/well.ts";

// Ways back between sets of certificates: at each point the masters serve exactly those of that state.

const minutes = 60_000;
const seed = readSeed("rollback.test.ts");
/** Two sets have one way back; a third one, and all ways between them, are in the whole matrix only. */
const rotations = isWholeMatrix() ? ["back-1", "back-2", "back-3"] : ["back-1", "back-2"];
const count = rotations.length;
const here = useLab("rollback", "back-1", (stack) =>
  stack.configure({ crossCertificates: drawHandover(`${seed}/handover`) }),
);
const sets = new Map<string, CertificateSet>();
/** by rotation: where the command has saved the state that had it */
const saved = new Map<string, string>();
let asked = count;

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
  for (const rotation of rotations) {
    here.stack.configure({ rotation });
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    sets.set(rotation, await readSet());
  }
}, 30 * minutes);

async function readSet(): Promise<CertificateSet> {
  const { authorities, served } = await outputsOf(here.stack);
  return { authorities, served, hashes: hashesOf(await readAllFacts(here.lab)), keys: here.stack.keys() };
}

function hashesOf(facts: Record<string, MasterFacts>): CertificateSet["hashes"] {
  return Object.fromEntries(
    Object.entries(facts).map(([name, { files }]) => [
      name,
      Object.fromEntries(
        Object.entries(files)
          .filter(
            ([path]) =>
              path.startsWith("/var/lib/etcd/cert/") || path.startsWith("/etc/kubernetes/pki/etcd/"),
          )
          .map(([path, { hash }]) => [path, hash]),
      ),
    ]),
  );
}

async function expectSet(rotation: string): Promise<void> {
  // the command has changed the stack file; this object still has what the test wrote
  here.stack.settings = { ...here.stack.settings, rotation };
  expect(readFileSync(stackFile(here.stack.name), "utf8")).toContain(
    `"etcd-rotation:rotation": "${rotation}"`,
  );
  expect(await readSet()).toEqual(sets.get(rotation));
  await assertWell(here.lab, here.stack, here.baseline);
}

/** @returns the output as JSON */
async function goTo(rotation: string, to: string): Promise<void> {
  const present = String(here.stack.settings["rotation"]);
  const violations = await underTraffic(here.lab, `to-${rotation}-${saved.size}`, async () => {
    const { code, stdout, stderr } = await runCli(here.stack, "rollback", "--to", to, "--yes", "--json");
    expect(code, stderr).toBe(0);
    const result: { saved: string } = JSON.parse(stdout);
    saved.set(present, result.saved);
  });
  expect(violations).toEqual([]);
}

test(
  "the list has every set, newest first",
  async () => {
    const { code, stdout, stderr } = await runCli(here.stack, "rollback", "--list", "--json");
    expect(code, stderr).toBe(0);
    const expected = rotations.map((rotation, index) => ({
      number: index + 1,
      rollout: index + 1,
      rotation,
      condition: "valid",
      isPresent: index === count - 1,
      authority: sets.get(rotation)?.authorities["etcd"],
    }));
    expect(JSON.parse(stdout)).toMatchObject(expected.toReversed());
  },
  2 * minutes,
);

test(
  "a preview shows the phases, keeps the authorities, and changes nothing",
  async () => {
    const before = await readAllFacts(here.lab);
    const [state, file] = [here.stack.state(), readFileSync(stackFile(here.stack.name), "utf8")];
    const { code, stdout, stderr } = await runCli(here.stack, "rollback", "--to", "1", "--preview-only");
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`Rollout ${count + 1} (rotation "back-1", rolling):`);
    expect(stdout).toContain("18 to replace");
    expect(await readAllFacts(here.lab)).toEqual(before);
    expect([here.stack.state(), readFileSync(stackFile(here.stack.name), "utf8")]).toEqual([state, file]);
  },
  3 * minutes,
);

test(
  "to the set before, under traffic",
  async () => {
    const before = `back-${count - 1}`;
    await goTo(before, String(count - 1));
    await expectSet(before);
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

test(
  "the masters' backups are listed; an old one is removed everywhere, the newest and the original stay",
  async () => {
    const list = async () => {
      const { code, stdout, stderr } = await runCli(here.stack, "backups", "--json");
      expect(code, stderr).toBe(0);
      const parsed: {
        masters: {
          name: string;
          backups: {
            rollout: number;
            rotation?: string;
            kind: string;
            damaged: string[];
            snapshot?: { revision?: number };
          }[];
        }[];
      } = JSON.parse(stdout);
      return parsed.masters;
    };
    const before = await list();
    expect(before.map(({ name }) => name)).toEqual(["master-1", "master-2", "master-3"]);
    const kinds = before.map(({ backups }) =>
      backups.map(({ rollout, rotation, kind, damaged }) => [rollout, rotation, kind, damaged]),
    );
    expect(kinds[1]).toEqual(kinds[0]);
    expect(kinds[2]).toEqual(kinds[0]);
    const expected = isWholeMatrix()
      ? [
          [6, "back-1"],
          [5, "back-2"],
          [4, "back-3"],
        ]
      : [
          [3, "back-2"],
          [2, "back-1"],
        ];
    expect(kinds[0]).toEqual([
      ...expected.map(([rollout, rotation]) => [rollout, rotation, "complete", []]),
      [1, undefined, "original", []],
    ]);
    const numbers = before[0]?.backups.map(({ rollout }) => rollout) ?? [];
    const [newest = 0, middle = 0] = numbers;
    // one master has given each snapshot
    expect(
      before.flatMap(({ backups }) =>
        backups.filter(({ rollout, snapshot }) => rollout === newest && (snapshot?.revision ?? 0) > 0),
      ),
    ).toHaveLength(1);
    expect((await runCli(here.stack, "backups", "purge", String(newest), "--yes")).code).toBe(6);
    expect((await runCli(here.stack, "backups", "purge", "1", "--yes")).code).toBe(6);
    const { code, stdout, stderr } = await runCli(
      here.stack,
      "backups",
      "purge",
      String(middle),
      "--yes",
      "--json",
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      rollout: middle,
      masters: { "master-1": "removed", "master-2": "removed", "master-3": "removed" },
    });
    const left = numbers.filter((number) => number !== middle);
    expect((await list()).map(({ backups }) => backups.map(({ rollout }) => rollout))).toEqual([
      left,
      left,
      left,
    ]);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  5 * minutes,
);

test.each(isWholeMatrix() ? phases : new Dice(seed).sample(phases, 1))(
  "a rotation that was killed in %s is aborted: back to the set before it, whatever mixture was left",
  async (phase) => {
    let before = "";
    const rotate = async () => {
      before = String(here.stack.settings["rotation"]);
      sets.set(before, await readSet());
      asked += 1;
      here.stack.configure({ rotation: `back-${asked}` });
    };
    const violations = await underTraffic(here.lab, `abort-${phase}`, async () => {
      const { running } = await startStruckUp(
        here.stack,
        rotate,
        drawHit(new Dice(`${seed}/abort/${phase}`), "pulumi", phase, here.lab.masters),
      );
      expect((await running.done).code).not.toBe(0);
      await untilIdle(here.lab.masters);
      await cancel(here.stack);
      const { code, stderr } = await runCli(here.stack, "rollback", "--abort", "--yes", "--json");
      expect(code, stderr).toBe(0);
    });
    await expectSet(before);
    expect(violations).toEqual([]);
    const again = await runCli(here.stack, "rollback", "--abort", "--yes");
    expect([again.code, again.stderr]).toEqual([
      6,
      expect.stringContaining("Cannot abort: the last update that changed certificates has ended well"),
    ]);
  },
  15 * minutes,
);
