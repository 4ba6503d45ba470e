import { createHash } from "node:crypto";
import { z } from "zod";
import { CommandError } from "../command-error.ts";

const resource = z.looseObject({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  parent: z.string().optional(),
  dependencies: z.array(z.string()).optional(),
  /** ISO 8601: when the engine noted that it had been made */
  created: z.string().optional(),
  delete: z.boolean().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  replacementTrigger: z.unknown().optional(),
});
export type StateResource = z.output<typeof resource>;

const pendingOperation = z.looseObject({ resource: z.looseObject({ urn: z.string() }).optional() });

const deployment = z.looseObject({
  manifest: z.looseObject({ time: z.string(), magic: z.string(), version: z.string() }),
  secrets_providers: z
    .looseObject({ type: z.string(), state: z.looseObject({ salt: z.string().optional() }).optional() })
    .optional(),
  resources: z.array(resource).min(1),
  pending_operations: z.array(pendingOperation).optional(),
});

const format = { version: z.int().min(3), features: z.array(z.string()).optional() };
const exported = z.looseObject({ ...format, deployment });
const kept = z
  .looseObject({ ...format, checkpoint: z.looseObject({ latest: deployment }) })
  .transform(({ version, features, checkpoint: { latest } }) => ({ version, features, deployment: latest }));
const shape = z.union([exported, kept]);

/** The name of a resource in its URN. */
export function nameIn(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

/** A stack's state; its keys are encrypted. */
export interface Deployment {
  readonly project: string;
  readonly stack: string;
  /** when Pulumi wrote it, ISO 8601 */
  readonly time: string;
  readonly resources: readonly StateResource[];
  /** operations that a killed run left behind; an import drops them */
  readonly pendingOperations: number;
  /** names of the resources that they are about */
  readonly pending: readonly string[];
  /** "passphrase", "service" and so on; undefined when the state holds no secret */
  readonly secretsProvider: string | undefined;
  /** names the passphrase that its keys are encrypted with */
  readonly salt: string | undefined;
  /** as `pulumi stack export --show-secrets` writes it */
  readonly isDecrypted: boolean;
  /** the text that `pulumi stack import` takes */
  readonly importable: string;
}

/**
 * Reads a state as `pulumi stack export` or a backend's history has it. What the engine checks again at the import
 * (each resource's dependencies) is left to it.
 * @throws CommandError when it is cut, changed by hand, or something else
 */
export function parseDeployment(text: string, name: string): Deployment {
  const refuse = (seen: string, cause?: unknown) =>
    CommandError.refused(
      `Cannot read the state in ${name}: ${seen}; expected a whole file of "pulumi stack export" or of the backend's history. Nothing was changed`,
      cause,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse("it is no JSON, so it may have been cut", error);
  }
  const { data, error: mismatch } = shape.safeParse(json);
  if (data === undefined) {
    const isEmpty = empty.safeParse(json).success;
    throw refuse(isEmpty ? "it holds no resources" : "it lacks parts that every state has", mismatch);
  }
  const { version, features, deployment: latest } = data;
  const { pending_operations: pending = [] } = latest;
  if (latest.manifest.magic !== createHash("sha256").update(latest.manifest.version).digest("hex")) {
    throw refuse("the checksum in its manifest is not Pulumi's, so it was changed by hand");
  }
  const [, stack, project] = /^urn:pulumi:([^:]+)::([^:]+)::/.exec(latest.resources[0]?.urn ?? "") ?? [];
  if (stack === undefined || project === undefined) {
    throw refuse(`its first resource is "${latest.resources[0]?.urn}"`);
  }
  return {
    project,
    stack,
    time: latest.manifest.time,
    resources: latest.resources,
    pendingOperations: pending.length,
    pending: pending.flatMap(({ resource: about }) => about?.urn ?? []).map(nameIn),
    secretsProvider: latest.secrets_providers?.type,
    salt: latest.secrets_providers?.state?.salt,
    isDecrypted: text.includes('"plaintext":'),
    importable: JSON.stringify({ version, features, deployment: latest }),
  };
}

const clusterType = "etcd-rotation:index:EtcdRotation";

/**
 * The clusters of a stack by name, each as if it were alone: its resources without its name in front of theirs, its outputs where they
 * are not encrypted. The only one of a stack has no name.
 */
export function clustersIn(whole: Deployment): (readonly [string, Deployment])[] {
  const components = whole.resources.filter(({ type, delete: isGoing }) => type === clusterType && !isGoing);
  const parents = new Map(whole.resources.map(({ urn, parent }) => [urn, parent]));
  const isBelow = (urn: string | undefined, component: string): boolean =>
    urn !== undefined && (urn === component || isBelow(parents.get(urn), component));
  const [stack] = whole.resources.filter(({ type }) => type === "pulumi:pulumi:Stack");
  const clusters = components.map(({ urn: component }): readonly [string, Deployment] => {
    const cluster = nameIn(component);
    const prefix = `${cluster}-`;
    const short = (urn: string) => {
      const name = nameIn(urn);
      return name.startsWith(prefix) ? urn.slice(0, -name.length) + name.slice(prefix.length) : urn;
    };
    const outputs = z.record(z.string(), z.unknown()).safeParse(stack?.outputs?.[cluster]).data ?? {};
    const own = whole.resources
      .filter(({ urn }) => isBelow(urn, component))
      .map(({ dependencies = [], ...each }) => ({
        ...each,
        urn: short(each.urn),
        dependencies: dependencies.map(short),
      }));
    const pending = whole.pending.flatMap((name) =>
      name.startsWith(prefix) ? name.slice(prefix.length) : [],
    );
    return [cluster, { ...whole, resources: [...(stack ? [{ ...stack, outputs }] : []), ...own], pending }];
  });
  return clusters.length === 0 ? [["", whole]] : clusters;
}

/**
 * A decrypted state under the secrets provider of another one, which encrypts it at the import: the engine would open its own
 * provider first, and that one needs the passphrase of that time.
 * @param from the text of the other one
 */
export function underProviderOf(from: string, { importable }: Deployment): string {
  const [decrypted, other] = [importable, from].map((text) => importedShape.parse(JSON.parse(text)));
  return JSON.stringify({
    ...decrypted,
    deployment: { ...decrypted?.deployment, secrets_providers: other?.deployment["secrets_providers"] },
  });
}

const importedShape = z.looseObject({ deployment: z.record(z.string(), z.unknown()) });

const nothing = z.looseObject({ resources: z.array(z.unknown()).max(0).nullish() }).nullable();
const empty = z.union([
  z.looseObject({ deployment: nothing }),
  z.looseObject({ checkpoint: z.looseObject({ latest: nothing.optional() }) }),
]);
