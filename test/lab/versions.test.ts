import { describe, expect, test } from "vitest";
import { shellOn } from "./facts.ts";
import { etcdVersions, kubernetesVersions, type LabOptions } from "./options.ts";
import type { LabStack } from "./stack.ts";
import { isWholeMatrix } from "./support/dice.ts";
import { underTraffic } from "./support/judged.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell } from "./support/well.ts";

// Versions other than the lab's own, which every other test runs. What passed is the table in docs/testing.md.

const minutes = 60_000;
const pairs: readonly Pick<LabOptions, "etcd" | "kubernetes">[] = [
  { etcd: "3.5", kubernetes: "1.30" },
  { etcd: "3.4", kubernetes: "1.20" },
  { etcd: "3.4", kubernetes: "1.24" },
  { etcd: "3.5", kubernetes: "1.24" },
  { etcd: "3.6", kubernetes: "1.37" },
];

// a Kubernetes that nothing else needs takes minutes to build
describe.each(isWholeMatrix() ? pairs : pairs.slice(0, 1))(
  "etcd $etcd, Kubernetes $kubernetes",
  ({ etcd, kubernetes }) => {
    const unrenewed = (stack: LabStack) => stack.configure({ kubernetes: undefined });
    const here = useLab("versions", "n-0", unrenewed, { etcd, kubernetes }, 30 * minutes);

    test(
      "take-over and rotation, Kubernetes' certificates with them, under traffic",
      async () => {
        const { lab, stack, baseline } = here;
        for (const master of lab.masters) {
          expect(await shellOn(lab, master, "etcd --version; kubelet --version")).toMatch(
            new RegExp(
              `^etcd Version: ${etcdVersions[etcd].slice(1) || etcd}[^]*\nKubernetes ${kubernetesVersions[kubernetes]}\n$`,
            ),
          );
        }
        for (const rotation of ["n-1", "n-2"]) {
          stack.configure({ rotation, kubernetes: { rotation } });
          const up = async () => {
            const { code, output } = await stack.up();
            expect(code, output).toBe(0);
            expect(output).toContain("etcd CA and certs have successfully rotated!");
          };
          expect(await underTraffic(lab, rotation, up)).toEqual([]);
          await assertWell(lab, stack, baseline);
        }
      },
      30 * minutes,
    );
  },
);
