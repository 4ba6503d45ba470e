import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { runProgram } from "./machine.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { killTree } from "./support/process-tree.ts";
import { untilIdle } from "./support/step-watch.ts";
import { finish } from "./support/struck-up.ts";
import { trustBoth, useLab } from "./support/use-lab.ts";
import { assertWell } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";

// What the people around a rollout do, and what their machines are like: other clients of etcd, a second person, clocks, disks.
// Not proven here: clocks that really differ. The masters share one; a shim shows what the scripts make of another.

const minutes = 60_000;
const here = useLab("operators", "o-0", trustBoth);
/** the one of the two long ones that a sample leaves out; in the whole matrix none */
const left = isWholeMatrix()
  ? undefined
  : new Dice(readSeed("operators.test.ts")).pick(["second person", "disk"] as const);
const certificates = "/var/lib/etcd/cert";
const pki = "/etc/kubernetes/pki/etcd";

const filesOf = (facts: Record<string, MasterFacts>) =>
  Object.fromEntries(Object.entries(facts).map(([name, { files }]) => [name, files]));

describe("another client of etcd, such as a backup job with its own copy of the certificates", () => {
  /** The job's copy of what it connects with. */
  const copy = () => join(here.lab.folder, "job");

  async function jobReads(): Promise<boolean> {
    const files = [
      "--cacert",
      join(copy(), "ca.pem"),
      "--cert",
      join(copy(), "etcd-client.pem"),
      "--key",
      join(copy(), "etcd-client-key.pem"),
    ];
    const answer = await runProgram(
      "ip",
      [
        "netns",
        "exec",
        here.lab.namespace,
        "curl",
        "-s",
        "--max-time",
        "5",
        ...files,
        `https://${masterNamed(here.lab, "master-1").address}:2379/version`,
      ],
      { timeoutSeconds: 10 },
    );
    return answer.code === 0;
  }

  test(
    "is named while the rollout is held before retire, and works; when it is released, the earlier authority goes",
    async () => {
      mkdirSync(copy(), { mode: 0o700 });
      for (const name of ["ca.pem", "etcd-client.pem", "etcd-client-key.pem"]) {
        copyFileSync(join(masterNamed(here.lab, "master-1").root, pki, name), join(copy(), name));
      }
      expect(await jobReads()).toBe(true);
      here.stack.configure({ holdBefore: "retire" });
      const held = await here.stack.up();
      expect(held.code, held.output).toBe(0);
      expect(held.output).toContain(
        "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too.",
      );
      // it accepts the server by the authority that the job knows no more
      const clients = await insideAll(here.lab, ({ address }) => clientOf(address));
      expect(clients).toEqual({ "master-1": "200", "master-2": "200", "master-3": "200" });
      const pair = ["-cert", join(copy(), "etcd-client.pem"), "-key", join(copy(), "etcd-client-key.pem")];
      const server = `${masterNamed(here.lab, "master-1").address}:2379`;
      const job = spawn(
        "ip",
        ["netns", "exec", here.lab.namespace, "openssl", "s_client", "-quiet", "-connect", server, ...pair],
        {
          stdio: ["pipe", "ignore", "ignore"],
        },
      );
      try {
        const { code, output } = await here.stack.preview("--expect-no-changes");
        expect(code, output).toBe(0);
        expect(output).toContain(
          "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too.",
        );
        expect(output).toContain(
          "notice: other clients of etcd, which must trust the new authority before retire: 10.77.0.1",
        );
      } finally {
        job.kill("SIGKILL");
      }
      here.stack.configure({ holdBefore: undefined });
      const { code, output } = await here.stack.up();
      expect(code, output).toBe(0);
      await assertWell(here.lab, here.stack, here.baseline);
      expect(await insideAll(here.lab, ({ address }) => clientOf(address))).toEqual({
        "master-1": "000",
        "master-2": "000",
        "master-3": "000",
      });
    },
    20 * minutes,
  );

  /** The status that a member gives to the job's certificate, from the first backup; 000 without an answer. */
  function clientOf(address: string): string {
    const old = `/var/lib/etcd-rotation/backups/rollout-1/files${pki}`;
    return `curl -sk --max-time 5 -o /dev/null -w '%{http_code}' --cert ${old}/etcd-client.pem --key ${old}/etcd-client-key.pem https://${address}:2379/version || :`;
  }
});

describe.skipIf(left === "second person")("a second person, with another backend", () => {
  test(
    "is refused before anything is done, and can begin when the first one's run is gone",
    async () => {
      const other = await here.stack.elsewhere("second");
      // the other one waits 35 s for the claim, and looks after that
      here.stack.configure({ rotation: "o-1", pauseBetweenMasters: "120s" });
      const running = here.stack.startUp();
      await running.saw("trust: wrote");
      // the first one's run has read the stack file that both share
      other.configure({ rotation: "o-second" });
      const refused = await other.up();
      expect(refused.code).not.toBe(0);
      expect(refused.output).toMatch(
        new RegExp(
          `Cannot begin: master-1 is being worked on by etcd-rotation/${here.stack.name} \\(root@\\S+ pid \\d+\\), since [01] min; wait until that run has ended, then run pulumi up again\\. A run that is gone is noticed within 30 s`,
        ),
      );
      expect(refused.output).not.toContain("trust: ");
      const preview = await other.preview();
      expect(preview.output).toMatch(
        new RegExp(`notice: master-2 is being worked on by etcd-rotation/${here.stack.name} root@`),
      );
      if (running.child.pid !== undefined) {
        killTree(running.child.pid);
      }
      await running.done;
      await untilIdle(here.lab.masters);
      const { code, output } = await other.up();
      expect(code, output).toBe(0);
      await assertWell(here.lab, other, here.baseline);
      here.stack.configure({ pauseBetweenMasters: "2s" });
      const last = await finish(here.stack);
      expect(last.code, last.output).toBe(0);
      await assertWell(here.lab, here.stack, here.baseline);
    },
    30 * minutes,
  );
});

describe("a clock that is wrong", () => {
  test.each([
    [
      "a master 10 minutes behind",
      "master-2",
      -600,
      /Cannot issue certificates for master-2: its clock is (59|60)\d s behind this machine's; expected at most 30 s/,
    ],
    [
      "a master a day ahead",
      "master-3",
      86_400,
      /Cannot issue certificates for master-3: its clock is 86[34]\d\d s ahead of this machine's; expected at most 30 s/,
    ],
  ])(
    "%s: refused before anything is done",
    async (_, name, seconds, says) => {
      const master = masterNamed(here.lab, name);
      const before = await readAllFacts(here.lab);
      await inside(
        master,
        `printf '%s\\n' '#!/bin/sh' 'case "$*" in *-d*|*@*) exec /usr/bin/date "$@" ;; esac' 'exec /usr/bin/date -d "${seconds} seconds" "$@"' >/usr/local/bin/date; chmod 755 /usr/local/bin/date`,
      );
      try {
        here.stack.configure({ rotation: "o-clock" });
        const { code, output } = await here.stack.up();
        expect(code).not.toBe(0);
        expect(output).toMatch(says);
      } finally {
        await inside(master, "rm -f /usr/local/bin/date");
      }
      expect(await readAllFacts(here.lab)).toEqual(before);
    },
    5 * minutes,
  );
});

test(
  "outside the window of the stack file up refuses before anything is done, and preview says so",
  async () => {
    const before = await readAllFacts(here.lab);
    const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    // three days from now, at this machine's time or another one's
    const day = days[(new Date().getUTCDay() + 3) % 7];
    here.stack.configure({
      rotation: "o-window",
      window: { days: [day], from: "10:00", to: "11:00", timeZone: "UTC" },
    });
    const says = new RegExp(
      `Cannot begin a rollout of ${here.stack.name} now: it is .* UTC; expected a time inside the window ${day} 10:00 to 11:00 UTC, which opens next on `,
    );
    const preview = await here.stack.preview();
    expect(preview.code, preview.output).toBe(0);
    expect(preview.output).toMatch(says);
    const { code, output } = await here.stack.up();
    here.stack.configure({ window: undefined });
    expect(code).not.toBe(0);
    expect(output).toMatch(says);
    expect(await readAllFacts(here.lab)).toEqual(before);
  },
  5 * minutes,
);

describe.skipIf(left === "disk")("a disk that is full, or cannot be written to", () => {
  /** Runs `up`, which fails with this message; nothing has changed on these masters. */
  async function failsWith(says: RegExp, names: readonly string[]): Promise<void> {
    const before = filesOf(await readAllFacts(here.lab));
    const { code, output } = await here.stack.up();
    expect(code).not.toBe(0);
    expect(output).toMatch(says);
    const after = filesOf(await readAllFacts(here.lab));
    expect(names.map((name) => after[name])).toEqual(names.map((name) => before[name]));
  }

  async function mountOver(
    master: LabMaster,
    path: string,
    megabytes: number,
    act: () => Promise<void>,
  ): Promise<void> {
    await inside(
      master,
      `rm -rf /root/kept && cp -a ${path} /root/kept && mount -t tmpfs -o size=${megabytes}m,mode=700 tmpfs ${path} && cp -a /root/kept/. ${path}/`,
    );
    try {
      await act();
    } finally {
      await inside(master, `umount -l ${path}`);
    }
  }

  test(
    "before the rollout and in the middle of it: the step changes nothing, and the next up finishes",
    async () => {
      const violations = await underTraffic(here.lab, "disks", async () => {
        here.stack.configure({ rotation: "o-disks" });
        const [first, second, third] = ["master-1", "master-2", "master-3"].map((name) =>
          masterNamed(here.lab, name),
        );
        if (first === undefined || second === undefined || third === undefined) {
          throw new Error("Cannot find three masters");
        }
        await inside(
          third,
          "mkdir -p -m 700 /var/lib/etcd-rotation/backups && rm -rf /root/kept && mkdir /root/kept && mount -t tmpfs -o size=1m tmpfs /var/lib/etcd-rotation/backups",
        );
        try {
          const says =
            /Cannot back up to \/var\/lib\/etcd-rotation\/backups: \d+ KiB free; expected at least 65536 KiB/;
          await failsWith(says, ["master-1", "master-2", "master-3"]);
        } finally {
          await inside(third, "umount -l /var/lib/etcd-rotation/backups");
        }
        await inside(
          second,
          `mount --bind ${certificates} ${certificates} && mount -o remount,bind,ro ${certificates}`,
        );
        try {
          await failsWith(
            /master-2 trust: Cannot write to \/var\/lib\/etcd\/cert: it is missing or read-only/,
            ["master-2", "master-3"],
          );
        } finally {
          await inside(second, `umount -l ${certificates}`);
        }
        await mountOver(third, pki, 8, () =>
          failsWith(
            /master-3 trust: Cannot write to \/etc\/kubernetes\/pki\/etcd: \d+ KiB free; expected at least 16384 KiB/,
            ["master-3"],
          ),
        );
        const { code, output } = await here.stack.up();
        expect(code, output).toBe(0);
      });
      await assertWell(here.lab, here.stack, here.baseline);
      expect(violations).toEqual([]);
      const mounts = "mount | grep -c 'etcd/cert\\|pki/etcd\\|rotation/backups' || :";
      expect(await insideAll(here.lab, () => mounts)).toEqual({
        "master-1": "0\n",
        "master-2": "0\n",
        "master-3": "0\n",
      });
    },
    30 * minutes,
  );
});
