import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type ProgramResult, runProgram } from "./machine.ts";
import type { LabOptions } from "./options.ts";
import type { Rehearsal } from "./rehearsal/result.ts";
import { LabStack } from "./stack.ts";
import { isHealthy, readStatus } from "./status.ts";
import { runCli } from "./support/cli.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { until } from "./support/until.ts";
import { startLab, stopLab } from "./topology.ts";

// Rehearsals of labs from their saved surveys alone: the lab that was surveyed is down when its rehearsal begins. What is imitated has
// so been seen on masters that the lab can make; test/model/rehearsal-imitate.test.ts has others, on paper.

const minutes = 60_000;
const folder = mkdtempSync(join(tmpdir(), "rehearse-"));
const name = `lab-reh-${process.pid}`;
const reports = join(import.meta.dirname, "..", "..", "reports");
const seed = readSeed("rehearse.test.ts");

afterAll(async () => {
  await stopLab(name);
  await stopLab("rehearsal");
  rmSync(folder, { recursive: true });
  for (const page of globSync(join(reports, `rehearsal-of-${name}-rollout-*`))) {
    rmSync(page);
  }
}, 5 * minutes);

/** As `--save` writes it; `masters` as far as it is changed here. */
interface SavedSurvey {
  stack: string;
  masters: {
    files: Record<string, { certificates: string }>;
    holdings: unknown[];
  }[];
}

/** With a lab of the options, whose masters are well; it is down again in the end. */
async function withLab<T>(options: Partial<LabOptions>, use: (stack: LabStack) => Promise<T>): Promise<T> {
  const lab = await startLab({ name, ...options });
  const stack = await LabStack.create(lab, "2026-11");
  try {
    await until("every master is well", async () => isHealthy(await readStatus(lab)));
    return await use(stack);
  } finally {
    stack.remove();
    await stopLab(name);
  }
}

/** The survey of a lab that is down again, changed. */
async function surveyOf(
  options: Partial<LabOptions>,
  change: (survey: SavedSurvey) => void = () => undefined,
): Promise<string> {
  const saved = join(folder, `${Object.values(options).join("-")}.json`);
  if (!existsSync(saved)) {
    await withLab(options, async (stack) => {
      const { code, stderr } = await runCli(stack, "rehearse", "--save", saved);
      expect([code, stderr]).toEqual([0, ""]);
    });
  }
  const survey: SavedSurvey = JSON.parse(readFileSync(saved, "utf8"));
  change(survey);
  const file = join(folder, "changed.json");
  writeFileSync(file, JSON.stringify(survey));
  return file;
}

/** Runs the command; its result, and what it said meanwhile. */
function rehearse(file: string, ...args: string[]) {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  return resultOf(runProgram(process.execPath, [program, "rehearse", "--from", file, "--json", ...args]));
}

async function resultOf(running: Promise<ProgramResult>) {
  const { code, stdout, stderr } = await running;
  expect(stdout, stderr).not.toBe("");
  const result: Rehearsal = JSON.parse(stdout);
  return { code, result, said: stderr };
}

/** A rollout took place, nobody noticed, and its page is there. */
function expectRollout({ measures, report }: Rehearsal): void {
  expect(measures?.failedWriteRounds).toBe(0);
  expect(measures?.apiDoubleFailures).toBe(0);
  expectPage(report);
}

function expectPage(report: string | null): void {
  expect(readFileSync(report ?? "", "utf8")).toContain("rehearsal-of-");
}

const cases: readonly (readonly [string, () => Promise<void>])[] = [
  [
    "an ACK cluster in which clients.ignore has a Secret and a scraper: neither can connect in the end",
    async () => {
      const { code, result, said } = await rehearse(await surveyOf({ layout: "ack" }));
      expect(said).toContain("restarts: once on each master");
      expect(result.findings.map((each) => each.replace(/: 10\.77.*/, ""))).toEqual([
        "process curl in etcd-scraper.service on master-1: what it has no longer works with etcd",
        "Secret monitoring/etcd-certs: what it has no longer works with etcd",
      ]);
      expect(code).toBe(2);
      expectRollout(result);
    },
  ],
  [
    "an ACK cluster with moved folders and without other clients, the engine killed once: passed",
    async () => {
      const file = await surveyOf({ layout: "ack", moved: true }, ({ masters }) => {
        for (const master of masters) {
          master.holdings = [];
        }
      });
      const { code, result, said } = await rehearse(file, "--kill", "--seed", seed);
      expect([code, result.findings], said).toEqual([0, []]);
      expect(result.kill?.moment).not.toContain("too late");
      expect(result.notImitated).toContain("where the moved folders are: in the lab below /data");
      expectRollout(result);
    },
  ],
  [
    "a master whose trust file lacks the issuer of the leaves in use: it does not come up again, and no rollout is begun",
    async () => {
      const file = await surveyOf({ layout: "ack" }, ({ masters: [, second] }) => {
        const { "etcd-ca": own, "etcd-peer-ca": other } = second?.files ?? {};
        if (own !== undefined) {
          own.certificates = other?.certificates ?? "";
        }
      });
      const { code, result } = await rehearse(file);
      expect(code).toBe(2);
      expect(result.findings).toHaveLength(1);
      expect(result.findings[0]).toMatch(
        /^with the same files, started anew, not every master is well within 180 s, as each was when surveyed: .*master-2: etcd (?!healthy)/,
      );
      expect([result.measures, result.report]).toEqual([null, null]);
    },
  ],
  [
    "a cluster in kubeadm's layout: passed",
    async () => {
      const { code, result, said } = await rehearse(await surveyOf({ layout: "kubeadm" }));
      expect([code, result.findings], said).toEqual([0, []]);
      expectRollout(result);
    },
  ],
  [
    "five masters with ECDSA keys and an authority of its own for peers, in the tidy layout: passed",
    async () => {
      const file = await surveyOf({ layout: "tidy", masters: 5, algorithm: "ecdsa", peerCa: true });
      const { code, result, said } = await rehearse(file);
      expect([code, result.findings], said).toEqual([0, []]);
      expect(said).toContain("a lab of 5 masters, tidy,");
      expectRollout(result);
    },
  ],
  [
    "a master alone, of other versions, surveyed and rehearsed by one command: passed, with the outage that it must have",
    async () => {
      const shape = { layout: "tidy", masters: 1, etcd: "3.6", kubernetes: "1.37" } as const;
      const { code, result, said } = await withLab(shape, (stack) =>
        resultOf(runCli(stack, "rehearse", "--json")),
      );
      expect([code, result.findings], said).toEqual([0, []]);
      expect(said).toContain("a lab of one master, tidy, etcd 3.6, Kubernetes 1.37");
      expect(result.notImitated.join("\n")).not.toContain("the lab has");
      expect(result.measures?.failedWriteRounds).toBeGreaterThan(0);
      expectPage(result.report);
    },
  ],
];

test.each(isWholeMatrix() ? cases : new Dice(seed).sample(cases, 1))("%s", (_, run) => run(), 30 * minutes);
