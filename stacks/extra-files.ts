import { z } from "zod";
import { components, kubernetesAuthorities } from "../components/model/layout/rows.ts";

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,61}$/, "expected lower-case letters, digits, dots and hyphens");
export const path = z.string().regex(/^\/[^\0\n]*$/, "expected an absolute path");
/** etcd reads nothing of Kubernetes' */
const restarts = z.array(z.enum(components).exclude(["etcd"])).default([]);

/** Files that the stack file adds to the layout; the model's `ExtraFile` once they have been read. */
export const extraFiles = z.array(
  z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("pair"),
      name,
      certificate: path,
      key: path,
      authority: z.enum(kubernetesAuthorities).default("cluster-ca"),
      restarts,
    }),
    z.strictObject({ kind: z.literal("kubeconfig"), name, path, restarts }),
  ]),
);
