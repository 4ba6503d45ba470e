import { beforeAll, expect, test } from "vitest";
import { phases } from "../../components/model/plan.ts";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { Dice, isWholeMatrix, readSeed } from "./support/dice.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { trustBoth, useLab } from "./support/use-lab.ts";
import { assertWell } from "./support/well.ts";

// Less than a rotation: one more name in a certificate, a step once again, a phase without the ones before it.

const minutes = 60_000;
const dice = new Dice(readSeed("partial.test.ts"));
const here = useLab("partial", "p-0", trustBoth);
let rotations = 0;

beforeAll(async () => {
  const { code, output } = await here.stack.up();
  expect(code, output).toBe(0);
}, 5 * minutes);

const processesOf = (facts: Record<string, MasterFacts>) =>
  Object.values(facts).map(({ processes }) => processes);

/** Makes the keys and certificates of a new rotation, and runs these steps of it alone. */
async function rotateBy(...steps: string[]) {
  const targets = [
    "**index:Rollout::rollout",
    "**index:CertificateAuthority::**",
    "**index:LeafCertificate::**",
    "**tls:index/**",
    ...steps.map((step) => `**::${step}`),
  ];
  return here.stack.up(...targets.flatMap((target) => ["--target", target]));
}

/** A rotation that has just been asked for; it is finished, and all is well, when the test has done its part. */
async function inRotation(act: () => Promise<void>): Promise<void> {
  rotations += 1;
  here.stack.configure({ rotation: `p-${rotations}` });
  await act();
  const { code, output } = await here.stack.up();
  expect(code, output).toBe(0);
  await assertWell(here.lab, here.stack, here.baseline);
}

test(
  "one more SAN replaces only that master's server and peer leaf, and restarts nothing",
  async () => {
    const before = await readAllFacts(here.lab);
    const name = "etcd-2.example.org";
    here.stack.addName(name, "master-2");
    const up = async () => {
      const { code, output } = await here.stack.up();
      expect(code, output).toBe(0);
    };
    expect(await underTraffic(here.lab, "san", up, "every request")).toEqual([]);
    const after = await readAllFacts(here.lab);
    expect(processesOf(after)).toEqual(processesOf(before));
    expect({ ...after, "master-2": undefined }).toEqual({ ...before, "master-2": undefined });
    const changed = Object.entries(after["master-2"]?.files ?? {}).filter(
      ([path, { hash }]) => before["master-2"]?.files[path]?.hash !== hash,
    );
    const { etcdName } = masterNamed(here.lab, "master-2");
    expect(changed.map(([path]) => path).toSorted()).toEqual([
      `/var/lib/etcd/cert/${etcdName}.pem`,
      "/var/lib/etcd/cert/etcd-server.pem",
    ]);
    const second = masterNamed(here.lab, "master-2");
    expect(
      await inside(
        second,
        `: | openssl s_client -connect ${second.address}:2379 2>/dev/null | openssl x509 -noout -text`,
      ),
    ).toContain(`DNS:${name}`);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  5 * minutes,
);

test.each(isWholeMatrix() ? phases : dice.sample(phases, 2))(
  "%s done again by hand on a cluster that is well restarts nothing",
  async (phase) => {
    const before = await readAllFacts(here.lab);
    const run = await here.stack.up("--replace", `**::${phase}-master-2`);
    expect(run.code, run.output).toBe(0);
    expect(run.output).toContain(`${phase}-master-2 replaced`);
    expect(await readAllFacts(here.lab)).toEqual(before);
  },
  3 * minutes,
);

test.each([
  {
    step: "issue-master-1",
    first: ["trust-master-1"],
    refusal:
      /Cannot issue: 10\.77\.0\.1[23]:2379 does not accept a leaf of the wanted authority yet; run the whole rollout: pulumi up/,
  },
  {
    step: "retire-master-2",
    first: ["trust-master-1", "trust-master-2", "trust-master-3", "issue-master-2"],
    refusal:
      /Cannot retire: 10\.77\.0\.1[13]:2379 does not serve a leaf of the wanted authority; run the whole rollout: pulumi up/,
  },
])(
  "$step before the other masters have got so far stops with exit 3, names another one, and has written nothing",
  async ({ step, first, refusal }) => {
    await inRotation(async () => {
      const prepared = await rotateBy(...first);
      // which ends a run that was not all of a rollout
      expect(prepared.output).toContain("Cannot finish rollout");
      expect(prepared.output).toContain(`${first.at(-1)} replaced`);
      const before = await readAllFacts(here.lab);
      const { code, output } = await rotateBy(step);
      expect(code).not.toBe(0);
      expect(output).toMatch(/exit status 3|Process exited with status 3/);
      expect(output).toMatch(refusal);
      expect(await readAllFacts(here.lab)).toEqual(before);
    });
  },
  10 * minutes,
);
