import { describe, expect, test } from "vitest";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import type { Run } from "./stack.ts";
import type { Overrides } from "./stack-file.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { breakEtcd, type Fault, mendEtcd } from "./support/faulty-etcd.ts";
import { insideAll, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { readReceipt } from "./support/step-watch.ts";
import { trustBoth, useLab } from "./support/use-lab.ts";
import { assertServing, assertWell } from "./support/well.ts";

// A gate that fails stops the rollout at its master; what it had changed is put back, and the others go on serving.

const minutes = 60_000;
const certificates = "/var/lib/etcd/cert";
const here = useLab("gates", "g-0", trustBoth);

/** What a person does after the failure: the same again, or one more fresh set in place of the one that failed. */
type Ending = "the next up finishes" | "a fresh set is forced in";
const endings: readonly Ending[] = ["the next up finishes", "a fresh set is forced in"];
const kinds = ["puts back and exits with 5", "exits with 6 and keeps the journal"] as const;
const all = kinds.flatMap((kind) => endings.map((ending) => ({ kind, ending })));
const chosen = isWholeMatrix() ? all : new Dice(readSeed("gates.test.ts")).sample(all, 1);
let rotations = 0;

interface FailedRun {
  readonly run: Run;
  readonly before: Record<string, MasterFacts>;
  /** names, in the order of trust */
  readonly first: string;
  readonly second: string;
  readonly third: string;
}

function rotate(overrides: Overrides = {}): void {
  rotations += 1;
  here.stack.configure({ rotation: `g-${rotations}`, ...overrides });
}

/** The cause is mended, then the ending; a set that is forced in shares no key with the one that failed. */
async function end(ending: Ending, second: string): Promise<void> {
  await mendEtcd(masterNamed(here.lab, second));
  const failed = here.stack.keys();
  here.stack.configure({ gate: "60s" });
  if (ending === "a fresh set is forced in") {
    rotate();
  }
  const { code, output } = await here.stack.up();
  expect(code, output).toBe(0);
  expect(here.stack.keys().some((key) => failed.includes(key))).toBe(ending === "the next up finishes");
}

/** A new rotation, with a second master whose etcd does not start again. */
async function failAtSecond(fault: Fault): Promise<FailedRun> {
  rotate({ gate: "45s" });
  const { output } = await here.stack.preview();
  const [, first = "", second = "", third = ""] =
    /trust: {2}(\S+), then (\S+), then (\S+):/.exec(output) ?? [];
  const before = await readAllFacts(here.lab);
  const running = here.stack.startUp();
  await running.saw(`${first} trust: wrote`);
  await breakEtcd(masterNamed(here.lab, second), fault);
  return { run: await running.done, before, first, second, third };
}

/** The gate stands between the second master and the third. */
async function expectStoppedAtSecond({ run, before, first, second, third }: FailedRun): Promise<void> {
  expect(run.code).not.toBe(0);
  expect(run.output).not.toContain(`${third} trust:`);
  const after = await readAllFacts(here.lab);
  expect(after[third]).toEqual(before[third]);
  expect(after[second]?.files).toEqual(before[second]?.files);
  // it was stale as well, and had gone along with etcd
  expect(after[second]?.processes["kube-apiserver"]).not.toBe(before[second]?.processes["kube-apiserver"]);
  const authorities = await insideAll(here.lab, () => `grep -c 'BEGIN CERTIFICATE' ${certificates}/ca.pem`);
  expect(authorities).toEqual({ [first]: "2\n", [second]: "1\n", [third]: "1\n" });
}

const failures: Readonly<Record<(typeof kinds)[number], () => Promise<FailedRun>>> = {
  "puts back and exits with 5": async () => {
    const failed = await failAtSecond("while two authorities are trusted");
    const { run, second } = failed;
    await expectStoppedAtSecond(failed);
    expect(run.output).toMatch(
      new RegExp(
        `${second} trust: Cannot finish trust: etcd: no new process: the unit etcd is \\S+, its last result \\S+; putting back what was there before`,
      ),
    );
    expect(run.output).toContain(
      `the previous files are back and ${second} is healthy. See journalctl -u etcd there, fix the cause, then run pulumi up again`,
    );
    expect(run.output).toMatch(/exit(ed with)? status 5/);
    await assertServing(
      here.lab,
      here.lab.masters.map(({ name }) => name),
    );
    expect(
      await insideAll(here.lab, () => "ls -d /var/lib/etcd-rotation/journal 2>/dev/null || true"),
    ).toEqual({
      "master-1": "",
      "master-2": "",
      "master-3": "",
    });
    return failed;
  },
  "exits with 6 and keeps the journal": async () => {
    const failed = await failAtSecond("always");
    const { run, first, second, third } = failed;
    await expectStoppedAtSecond(failed);
    expect(run.output).toMatch(
      new RegExp(
        `Cannot finish trust: etcd: .+; the previous files are back, and ${second} is still unhealthy: .+\\. They are kept in /var/lib/etcd-rotation/journal\\. See journalctl -u etcd there, fix the cause, then run pulumi up again`,
      ),
    );
    expect(run.output).toMatch(/exit(ed with)? status 6/);
    await assertServing(here.lab, [first, third]);
    const journal = await insideAll(
      here.lab,
      () => "cat /var/lib/etcd-rotation/journal/phase 2>/dev/null || true",
    );
    expect(journal).toEqual({ [first]: "", [second]: "trust\n", [third]: "" });
    expect((await readReceipt(masterNamed(here.lab, second)))["complete"]).toBe("0");
    return failed;
  },
};

describe.each(chosen)("a gate that fails on the second master", ({ kind, ending }) => {
  test(
    `${kind}; ${ending}`,
    async () => {
      const violations = await underTraffic(here.lab, `gate-${rotations}`, async () => {
        const { second } = await failures[kind]();
        await end(ending, second);
      });
      await assertWell(here.lab, here.stack, here.baseline);
      expect(violations).toEqual([]);
    },
    40 * minutes,
  );
});
