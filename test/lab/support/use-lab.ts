import { afterAll, beforeAll, beforeEach, onTestFailed } from "vitest";
import type { LabOptions } from "../options.ts";
import { LabStack } from "../stack.ts";
import { type Lab, startLab, stopLab } from "../topology.ts";
import { Dice } from "./dice.ts";
import { saveEvidence } from "./evidence.ts";
import { type Baseline, takeBaseline } from "./well.ts";

/** What the tests of one file work with; there once they begin. */
export interface LabOfTests {
  lab: Lab;
  stack: LabStack;
  readonly baseline: Baseline;
}

const minutes = 60_000;

/** For tests of what happens while both authorities are trusted: where a key is at hand a rotation would do without that. */
export function trustBoth(stack: LabStack): void {
  stack.configure({ crossCertificates: "never" });
}

/** Draws crossCertificates: one restart where a key is at hand, or always two; for tests that must pass either way. */
export function drawHandover(draw: string): "auto" | "never" {
  return new Dice(draw).pick(["auto", "never"]);
}

/** A lab for the tests of one file: up before them and down after them; what a failed one leaves is kept. */
export function useLab(
  name: string,
  rotation: string,
  prepare: (stack: LabStack) => void = () => undefined,
  options: Partial<LabOptions> = {},
  startTimeout = 10 * minutes,
): LabOfTests {
  const labName = `lab-${name}-${process.pid}`;
  let parts: LabOfTests | undefined;
  const there = (): LabOfTests => {
    if (parts === undefined) {
      throw new Error(`Cannot use the lab '${labName}' before it is up`);
    }
    return parts;
  };
  beforeAll(async () => {
    const lab = await startLab({ ...options, name: labName });
    const stack = await LabStack.create(lab, rotation);
    prepare(stack);
    parts = { lab, stack, baseline: await takeBaseline(lab) };
  }, startTimeout);
  afterAll(async () => {
    await stopLab(labName);
    parts?.stack.remove();
  }, 5 * minutes);
  beforeEach(({ task }) => {
    onTestFailed(
      () => saveEvidence(there().lab, `${name} ${task.suite?.name ?? ""} ${task.name}`),
      2 * minutes,
    );
  });
  return {
    get lab() {
      return there().lab;
    },
    set lab(lab) {
      there().lab = lab;
    },
    get stack() {
      return there().stack;
    },
    set stack(stack) {
      there().stack = stack;
    },
    get baseline() {
      return there().baseline;
    },
  };
}
