import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The folder of the Go modules that build the engine where it cannot be downloaded. */
export const engineSources = import.meta.dirname;

/** One binary of the engine, or of a test, and how to build it. */
export interface EngineModule {
  /** where the module's folder is, if not among the engine's */
  readonly parent?: string;
  readonly folder: string;
  readonly binary: string;
  readonly target: string;
  readonly flags: readonly string[];
}

/** The CLI's version: the one of `@pulumi/pulumi` in package.json. */
export const pulumiVersion = "3.259.0";

export const cliModule: EngineModule = {
  folder: "cli",
  binary: "pulumi",
  target: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
  // without what Google's storage would need to be asked over gRPC, which Pulumi does not: a tenth of the whole
  flags: [
    "-tags=osusergo,disable_grpc_modules",
    `-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${pulumiVersion}`,
  ],
};

export const languageModule: EngineModule = {
  folder: "language-nodejs",
  binary: "pulumi-language-nodejs",
  target: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
  flags: ["-ldflags=-s -w"],
};

/** The plug-ins that the program uses. */
export const pluginNames = ["tls", "command"] as const;
export type PluginName = (typeof pluginNames)[number];

export function pluginModule(name: PluginName): EngineModule {
  return { folder: name, binary: `pulumi-resource-${name}`, target: ".", flags: ["-ldflags=-s -w"] };
}

/** The folder of the module's sources. */
export function sourcesOf({ parent, folder }: EngineModule): string {
  return join(parent ?? engineSources, folder);
}

/** Changes whenever a build of the module could turn out differently; tests of the module do not count. */
export function moduleKey(module: EngineModule, goVersion: string): string {
  const root = sourcesOf(module);
  // wherever the checkout is
  const hash = createHash("sha256").update(JSON.stringify([{ ...module, parent: undefined }, goVersion]));
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("_test.go"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
  for (const file of files) {
    hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 16);
}
