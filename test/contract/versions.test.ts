import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { pulumiVersion } from "../../tools/engine/engine-modules.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const { dependencies } = z
  .object({ dependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read("package.json")));

test("the CLI that set-up makes is the Node SDK's release", () => {
  expect(pulumiVersion).toBe(dependencies["@pulumi/pulumi"]);
  expect(read("tools/engine/cli/go.mod")).toContain(`github.com/pulumi/pulumi/pkg/v3 v${pulumiVersion} `);
});

test.each(["tls", "command"])(
  "the built plug-in %s answers with the version that the Node SDK asks for",
  (name) => {
    const version = dependencies[`@pulumi/${name}`];
    expect(read(`tools/engine/${name}/main.go`)).toContain(`const version = "${version}"`);
  },
);

test("the engine is asked for the plug-ins of tls and command alone: a package of a provider that few stacks use does not ask for its own", () => {
  const packages = globSync(["node_modules/*/package.json", "node_modules/@*/*/package.json"], { cwd: root });
  const asking = packages.filter(
    (file) =>
      z.object({ pulumi: z.object({ resource: z.literal(true) }) }).safeParse(JSON.parse(read(file))).success,
  );
  expect(asking.toSorted()).toEqual([
    "node_modules/@pulumi/command/package.json",
    "node_modules/@pulumi/tls/package.json",
  ]);
  expect(packages).toContain("node_modules/@pulumi/alicloud/package.json");
});
