import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { parse } from "yaml";
import { phases } from "../../components/model/plan.ts";
import { readAllFacts } from "./facts.ts";
import { extraSansIn, labLayouts } from "./layouts.ts";
import { runProgram } from "./machine.ts";
import type { LabOptions } from "./options.ts";
import { LabStack } from "./stack.ts";
import { scrapers, stackFile } from "./stack-file.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { saveEvidence } from "./support/evidence.ts";
import { underTraffic } from "./support/judged.ts";
import { assertWell, type Baseline, ownersIn, takeBaseline } from "./support/well.ts";
import { type Lab, startLab, stopLab } from "./topology.ts";

// One command from one master of a cluster to its first preview, then up, with nothing edited in between.
// Not proven here: a bastion, paths that the flags have elsewhere (test/contract/adopt.test.ts and test/cli/adopt.test.ts).

const minutes = 60_000;
const labName = `lab-adopt-${process.pid}`;
const dice = new Dice(readSeed("adopt.test.ts"));

interface Shape extends Partial<LabOptions> {
  readonly label: string;
}

const shapes: readonly Shape[] = [
  { label: "three masters" },
  { label: "a master alone", masters: 1 },
  { label: "five masters", masters: 5 },
  { label: "one authority for clients and peers", layout: "tidy" },
  { label: "an authority of its own for peers, in ECDSA", layout: "tidy", peerCa: true, algorithm: "ecdsa" },
  { label: "folders that are links", moved: true },
  { label: "certificates that have expired", expired: "leaves" },
  { label: "kubeadm's layout", layout: "kubeadm" },
];

describe.each(isWholeMatrix() ? shapes : dice.sample(shapes, 1))("$label", ({ label, ...options }) => {
  let lab: Lab;
  let stack: LabStack;
  let baseline: Baseline;

  beforeAll(async () => {
    lab = await startLab({ ...options, name: labName });
    stack = LabStack.unmade(lab);
    // without quorum nothing can be written; of kubeadm's layout kubeadm.test.ts is the judge
    baseline =
      options.expired === undefined && options.layout !== "kubeadm"
        ? await takeBaseline(lab)
        : { owners: await ownersIn(lab), data: "" };
  }, 10 * minutes);

  afterAll(async () => {
    await stopLab(labName);
    stack?.remove();
  }, 5 * minutes);

  test(
    "adopt writes the stack file and previews the whole plan; up then does it",
    async () => {
      onTestFailed(() => saveEvidence(lab, `adopt ${label}`), 2 * minutes);
      const files = async () =>
        Object.fromEntries(
          Object.entries(await readAllFacts(lab)).map(([name, facts]) => [name, facts.files]),
        );
      const before = await files();
      const run = await adopt(lab, stack, dice.pick(lab.masters).address);
      expect(run.code, `${run.stdout}${run.stderr}`).toBe(0);
      const { paths } = labLayouts[lab.options.layout];
      const rotation = new Date().toISOString().slice(0, 10);
      expect(parse(readFileSync(stackFile(stack.name), "utf8")).config).toEqual({
        "etcd-rotation:rotation": rotation,
        "etcd-rotation:masters": lab.masters.map((master) => {
          const { name, address, etcdName, hostKey } = master;
          // each layout's leaves have a name that a new one would not have by itself
          return { name, address, etcdName, hostKey, extraSans: extraSansIn(lab, master) };
        }),
        "etcd-rotation:ssh": { privateKeyPath: lab.sshKeyPath.replace(homedir(), "~") },
        ...(options.layout === "kubeadm" ? { "etcd-rotation:layout": { kind: "kubeadm" } } : {}),
        ...(paths === undefined ? {} : { "etcd-rotation:layout": { paths } }),
        // `stack init` writes the file anew, with plain values as text
        ...(lab.masters.length < 3 ? { "etcd-rotation:allowOutage": "true" } : {}),
      });
      expect(run.stdout).toContain(
        `Rollout 1 (rotation "${rotation}", ${options.expired === undefined ? "rolling" : "recovery"}):`,
      );
      for (const step of lab.masters.flatMap(({ name }) => phases.map((phase) => `${phase}-${name}`))) {
        expect(run.stdout).toMatch(new RegExp(`${step} +create`));
      }
      expect(await files()).toEqual(before);

      stack.settings = { rotation };
      for (const [index, client] of scrapers(lab).entries()) {
        const set = await stack.run(
          "config",
          "set",
          "--stack",
          stack.name,
          "--path",
          `etcd-rotation:clients.ignore[${index}]`,
          client,
        );
        expect(set.code, set.output).toBe(0);
      }
      const up = async () => {
        const { code, output } = await stack.up();
        expect(code, output).toBe(0);
      };
      if (options.layout === "kubeadm") {
        await up();
        const { code, output } = await stack.preview("--expect-no-changes");
        expect(code, output).toBe(0);
        return;
      }
      if (options.expired === undefined && lab.masters.length > 1) {
        expect(await underTraffic(lab, "adopt", up)).toEqual([]);
      } else {
        await up();
      }
      await assertWell(lab, stack, baseline);
    },
    30 * minutes,
  );
});

/** The command as a person runs it, in the lab's network, with the lab's known_hosts. */
function adopt(lab: Lab, stack: LabStack, host: string) {
  const program = join(stack.project, "cli", "etcd-rotation.js");
  const words = [
    "adopt",
    stack.name,
    "--host",
    host,
    "--key",
    lab.sshKeyPath,
    "--known-hosts",
    join(lab.folder, "known_hosts"),
  ];
  const { env } = stack.command();
  return runProgram("ip", ["netns", "exec", lab.namespace, process.execPath, program, ...words], {
    environment: { ...env, NO_COLOR: "1" },
  });
}
