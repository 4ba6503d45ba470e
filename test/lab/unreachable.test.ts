import { describe, expect, test } from "vitest";
import { readFacts } from "./facts.ts";
import { mustRun } from "./machine.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { assertServing, assertWell, isServing } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";

// A master that cannot be reached over SSH, with skipUnreachable. Not proven here: five masters, of which one is dead.

const minutes = 60_000;
const here = useLab("unreachable", "u-0");

/** Lets nothing through that this master's SSH server says; all its other traffic goes on. */
async function ssh(master: LabMaster, action: "mend" | "cut"): Promise<void> {
  const rule = ["priority", "1", "ipproto", "tcp", "sport", "22", "blackhole"];
  await mustRun("ip", ["-n", master.namespace, "rule", action === "cut" ? "add" : "del", ...rule]);
}

describe("a master without SSH whose etcd serves", () => {
  test(
    "stops a rollout that may not do without it, and holds one that may after trust; with SSH back the next up finishes",
    async () => {
      const third = masterNamed(here.lab, "master-3");
      const violations = await underTraffic(here.lab, "unreachable", async () => {
        await ssh(third, "cut");
        try {
          const refused = await here.stack.up();
          expect(refused.code).not.toBe(0);
          expect(refused.output).toContain("Cannot connect to 10.77.0.13:22");
          here.stack.configure({ skipUnreachable: true });
          const preview = await here.stack.preview();
          expect(preview.code, preview.output).toBe(0);
          expect(preview.output).toContain(
            "issue, settle, retire, verify: held until master-3 can be reached over SSH (its etcd serves, and would refuse the new leaves)",
          );
          const held = await here.stack.up();
          expect(held.code, held.output).toBe(0);
          expect(held.output).toContain(
            "Held before issue: every master that could be reached trusts the wanted authorities and the earlier ones too.",
          );
          await assertServing(here.lab, ["master-1", "master-2", "master-3"]);
          const again = await here.stack.preview("--expect-no-changes");
          expect(again.code, again.output).toBe(0);
          expect(again.output).toContain(
            "Held before issue: every master that could be reached trusts the wanted authorities and the earlier ones too.",
          );
        } finally {
          await ssh(third, "mend");
        }
        const { code, output } = await here.stack.up();
        expect(code, output).toBe(0);
      });
      await assertWell(here.lab, here.stack, here.baseline);
      expect(violations).toEqual([]);
    },
    10 * minutes,
  );
});

describe("a master without SSH whose etcd is dead, of three", () => {
  test(
    "stops a rotation before any key is made, since no other member may restart",
    async () => {
      const third = masterNamed(here.lab, "master-3");
      const others = here.lab.masters.filter(({ name }) => name !== "master-3");
      const keys = here.stack.keys();
      await inside(third, "systemctl stop etcd");
      await ssh(third, "cut");
      try {
        const before = await Promise.all(others.map((master) => readFacts(here.lab, master)));
        here.stack.configure({ rotation: "u-1" });
        const { code, output } = await here.stack.up();
        expect(code).not.toBe(0);
        expect(output.replace(/\s+/g, " ")).toContain(
          "Cannot rotate without master-3: 2 of 3 members answer, so a restart of etcd on master-1, master-2 would leave 1; expected a quorum of 2 beside it. Nothing was changed.",
        );
        expect(here.stack.keys()).toEqual(keys);
        expect(await Promise.all(others.map((master) => readFacts(here.lab, master)))).toEqual(before);
      } finally {
        await ssh(third, "mend");
        await inside(third, "systemctl start etcd");
        here.stack.configure({ rotation: "u-0" });
      }
      await until("all serve again", () => isServing(here.lab));
    },
    5 * minutes,
  );
});
