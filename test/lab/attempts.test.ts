import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readAllFacts } from "./facts.ts";
import { LabStack } from "./stack.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { inside, insideAll } from "./support/inside.ts";
import { killTree } from "./support/process-tree.ts";
import { knownAttempts, readReceipt, untilIdle } from "./support/step-watch.ts";
import { drawHit, finish, startStruckUp } from "./support/struck-up.ts";
import { until } from "./support/until.ts";
import { trustBoth, useLab } from "./support/use-lab.ts";
import { assertWell, outputsOf } from "./support/well.ts";

// What a person may do between a failed `up` and the next one, and to the state: the next `up` finishes what is wanted now.

const minutes = 60_000;
const certificates = "/var/lib/etcd/cert";
const pki = "/etc/kubernetes/pki/etcd";
const seed = readSeed("attempts.test.ts");
const dice = new Dice(seed);
const here = useLab("attempts", "a-0", trustBoth);
let rotations = 0;

function rotate(): void {
  rotations += 1;
  here.stack.configure({ rotation: `a-${rotations}` });
}

/** Starts a rotation and kills the engine in a phase; resolves when no script is at work any more. */
async function failIn(phase: "trust" | "issue"): Promise<void> {
  const { running } = await startStruckUp(
    here.stack,
    rotate,
    drawHit(dice, "pulumi", phase, here.lab.masters),
  );
  expect((await running.done).code).not.toBe(0);
  await untilIdle(here.lab.masters);
}

async function expectFinished(): Promise<void> {
  const { code, output } = await finish(here.stack);
  expect(code, output).toBe(0);
  await assertWell(here.lab, here.stack, here.baseline);
}

/** The highest number of a rollout that any master knows of. */
async function highestRollout(): Promise<number> {
  const numbers = await insideAll(
    here.lab,
    () =>
      "{ ls /var/lib/etcd-rotation/backups | sed -n 's/^rollout-//p'; sed -n 's/^rollout=//p' /var/lib/etcd-rotation/receipt; } | sort -n | tail -n 1",
  );
  return Math.max(...Object.values(numbers).map(Number));
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  "another rotation is asked for": async () => {
    await failIn("trust");
    rotate();
    await expectFinished();
  },

  "another SAN is asked for": async () => {
    await failIn("trust");
    here.stack.addName("later.example.org", "master-2");
    await expectFinished();
    const [, second] = here.lab.masters;
    expect(
      second && (await inside(second, `openssl x509 -in ${certificates}/etcd-server.pem -noout -text`)),
    ).toContain("DNS:later.example.org");
  },

  "a trust file is replaced by hand": async () => {
    const victim = dice.pick(here.lab.masters);
    const old = await inside(victim, `cat ${certificates}/ca.pem`);
    await failIn("issue");
    await inside(victim, `cat >${certificates}/ca.pem <<'END'\n${old}END`);
    await expectFinished();
  },

  "a certificate and its key are deleted by hand": async () => {
    await failIn("trust");
    const victim = dice.pick(here.lab.masters);
    await inside(victim, `rm ${certificates}/etcd-client.pem ${certificates}/etcd-client-key.pem`);
    await expectFinished();
  },

  "the engine is killed after the last verify": async () => {
    const known = await knownAttempts(here.lab);
    rotate();
    const running = here.stack.startUp();
    await until(
      "every receipt is complete",
      async () =>
        (await Promise.all(here.lab.masters.map(readReceipt))).every(
          (receipt) => receipt["complete"] === "1" && !known.includes(receipt["attempt"] ?? ""),
        ),
      1800,
    );
    if (running.child.pid !== undefined) {
      killTree(running.child.pid);
    }
    await running.done;
    await untilIdle(here.lab.masters);
    const before = await readAllFacts(here.lab);
    await expectFinished();
    expect(await readAllFacts(here.lab)).toEqual(before);
  },

  "an older state and its stack file are brought back": async () => {
    rotate();
    const first = await here.stack.up();
    expect(first.code, first.output).toBe(0);
    const old = await outputsOf(here.stack);
    const file = join(here.lab.folder, "older-state.json");
    expect((await here.stack.run("stack", "export", "--stack", here.stack.name, "--file", file)).code).toBe(
      0,
    );
    const rotation = here.stack.settings["rotation"];
    rotate();
    const second = await here.stack.up();
    expect(second.code, second.output).toBe(0);
    const highest = await highestRollout();

    expect((await here.stack.run("stack", "import", "--stack", here.stack.name, "--file", file)).code).toBe(
      0,
    );
    rmSync(file);
    const trap = await here.stack.preview();
    expect(trap.output).toContain(
      `this state is an older one, of rotation "${String(rotation)}": up makes a third set of authorities.`,
    );
    here.stack.configure({ rotation });
    const { code, output } = await here.stack.preview();
    expect(code, output).toBe(0);
    expect(output).toContain(`Rollout ${highest + 1} (rotation "${String(rotation)}", rolling):`);
    expect(output.match(/command:remote:Command.*replace/g)?.length).toBeGreaterThanOrEqual(18);
    await expectFinished();
    expect((await outputsOf(here.stack)).authorities).toEqual(old.authorities);
    expect((await outputsOf(here.stack)).rollout).toBe(highest + 1);
  },

  "the state is lost": async () => {
    const first = await here.stack.up();
    expect(first.code, first.output).toBe(0);
    const highest = await highestRollout();
    const settings = here.stack.settings;
    rmSync(here.stack.backend, { recursive: true });
    here.stack = await LabStack.create(here.lab, "a-new");
    here.stack.configure(settings);
    rotate();
    await expectFinished();
    expect((await outputsOf(here.stack)).rollout).toBe(highest + 1);
  },

  "a master is reinstalled with the files it had before": async () => {
    await insideAll(
      here.lab,
      () =>
        `rm -rf /root/before && mkdir /root/before && cp -a --parents ${certificates} ${pki} /root/before`,
    );
    await failIn("issue");
    await inside(dice.pick(here.lab.masters), "cp -a /root/before/. / && rm -rf /var/lib/etcd-rotation");
    await expectFinished();
  },
};

const names = Object.keys(scenarios);
const chosen = isWholeMatrix() ? names : dice.sample(names, 1);

test.each(chosen)(
  "after a failure, or without one: %s; one more up finishes",
  async (name) => {
    await scenarios[name]?.();
  },
  60 * minutes,
);

test(
  "a master that another script is at work on is left alone, and the error names that script",
  async () => {
    const victim = dice.pick(here.lab.masters);
    rotate();
    here.stack.configure({ gate: "10s" });
    // the lock of a script of another day, still held
    const holding = inside(
      victim,
      `mkdir -p -m 700 /var/lib/etcd-rotation; cd /var/lib/etcd-rotation
printf '%s %s %s %s %s\\n' "$$" etcd-rotation/elsewhere trust 0123456789abcdef "$(($(date +%s) - 86400))" >lock
exec 9>>lock; flock 9; : >/run/held
until [ -e /run/release ]; do sleep 0.1; done; rm -f /run/release /run/held`,
      1800,
    );
    try {
      await until(
        "the lock is held",
        async () => (await inside(victim, "ls /run/held 2>/dev/null || true")) !== "",
        60,
      );
      const { code, output } = await here.stack.up();
      expect(code).not.toBe(0);
      expect(output).toMatch(/exit(ed with)? status 3/);
      expect(output).toMatch(
        /Cannot lock \/var\/lib\/etcd-rotation\/lock: held for 86\d\d\d s by pid \d+, etcd-rotation\/elsewhere trust 0123456789abcdef; wait until it has ended, then run pulumi up again/,
      );
    } finally {
      await inside(victim, ": >/run/release");
      await holding;
    }
    here.stack.configure({ gate: "60s" });
    await expectFinished();
  },
  40 * minutes,
);
