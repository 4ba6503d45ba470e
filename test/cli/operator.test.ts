import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

// examples/operator against the fields of the definition that it names, as far as it uses them. What the operator does with
// them is not tested.

const text = readFileSync(
  join(import.meta.dirname, "..", "..", "examples", "operator", "stack.yaml"),
  "utf8",
);
const documents = () => parseAllDocuments(text).map((document): unknown => document.toJS());

const ofSecret = z.strictObject({
  type: z.literal("Secret"),
  secret: z.strictObject({ name: z.string(), key: z.string() }),
});
const quantities = z.record(z.string(), z.string());

const stack = z.strictObject({
  apiVersion: z.literal("pulumi.com/v1"),
  kind: z.literal("Stack"),
  // the definition's own rule
  metadata: z.strictObject({ name: z.string().max(42), namespace: z.string() }),
  spec: z.strictObject({
    backend: z.string(),
    branch: z.string(),
    continueResyncOnCommitMatch: z.boolean(),
    destroyOnFinalize: z.boolean(),
    envRefs: z.record(z.string(), ofSecret),
    gitAuth: z.strictObject({ accessToken: ofSecret }),
    preview: z.boolean(),
    projectRepo: z.string(),
    refresh: z.boolean(),
    resyncFrequencySeconds: z.int().min(60),
    retryMaxBackoffDurationSeconds: z.int(),
    retryOnUpdateConflict: z.boolean(),
    serviceAccountName: z.string(),
    stack: z.string(),
    useLocalStackOnly: z.boolean(),
    workspaceTemplate: z.strictObject({
      spec: z.strictObject({
        image: z.string(),
        resources: z.strictObject({ requests: quantities, limits: quantities }),
        podTemplate: z.strictObject({
          spec: z.strictObject({
            terminationGracePeriodSeconds: z.int(),
            securityContext: z.strictObject({ fsGroup: z.int() }),
            // the operator merges containers by this name
            containers: z.tuple([
              z.strictObject({
                name: z.literal("pulumi"),
                volumeMounts: z.array(
                  z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean() }),
                ),
              }),
            ]),
            volumes: z.array(
              z.strictObject({
                name: z.string(),
                secret: z.strictObject({ secretName: z.string(), defaultMode: z.int() }),
              }),
            ),
          }),
        }),
      }),
    }),
  }),
});

test("the Stack has fields of the operator's definition only", () => {
  const [account, binding, made] = documents();
  expect([account, binding]).toMatchObject([{ kind: "ServiceAccount" }, { kind: "ClusterRoleBinding" }]);
  const { metadata, spec } = stack.parse(made);
  expect(account).toMatchObject({
    metadata: { name: spec.serviceAccountName, namespace: metadata.namespace },
  });
  expect(binding).toMatchObject({
    subjects: [{ name: spec.serviceAccountName, namespace: metadata.namespace }],
  });
});

test("it updates nothing before somebody has looked, makes no stack and destroys none", () => {
  expect(stack.parse(documents()[2]).spec).toMatchObject({
    preview: true,
    useLocalStackOnly: true,
    destroyOnFinalize: false,
  });
});

test("every secret that it reads is made by the commands above it, and the workspace may read the key", () => {
  const { spec } = stack.parse(documents()[2]);
  const commands = [...text.matchAll(/^# +(?:kubectl create secret generic (\S+) )?(.*--from-.*)$/gm)]
    .map(([line]) => line)
    .join("\n");
  for (const { secret } of [...Object.values(spec.envRefs), spec.gitAuth.accessToken]) {
    expect(commands).toMatch(
      new RegExp(`generic ${secret.name} .*--from-(?:file|literal)=${secret.key}\\b`, "s"),
    );
  }
  const [volume] = spec.workspaceTemplate.spec.podTemplate.spec.volumes;
  expect(commands).toContain(`generic ${volume?.secret.secretName} --from-file=id_ed25519`);
  // YAML 1.2 reads 0440 as a decimal number; Kubernetes' own parser reads it as it is meant
  expect(text).toContain("defaultMode: 0440");
});

test("the CLI in its image knows what the program asks for", () => {
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8")));
  expect(stack.parse(documents()[2]).spec.workspaceTemplate.spec.image).toBe(
    `pulumi/pulumi:${dependencies["@pulumi/pulumi"]}-nonroot`,
  );
});
