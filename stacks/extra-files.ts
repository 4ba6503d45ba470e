import { z } from "zod";

const name = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,61}$/, "expected lower-case letters, digits, dots and hyphens");
const path = z.string().regex(/^\/[^\0\n]*$/, "expected an absolute path");
/** etcd reads nothing of Kubernetes' */
const restarts = z.array(z.enum(["kube-apiserver", "kubelet", "kube-controller-manager", "kube-scheduler"])).default([]);

/** Files that the stack file adds to the layout; the model's `ExtraFile` once they have been read. */
export const extraFiles = z.array(
  z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("pair"),
      name,
      certificate: path,
      key: path,
      authority: z.enum(["cluster-ca", "front-proxy-ca"]).default("cluster-ca"),
      restarts,
    }),
    z.strictObject({ kind: z.literal("kubeconfig"), name, path, restarts }),
  ]),
);
