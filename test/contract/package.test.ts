import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { foundAs, makePems } from "../model/cluster.ts";
import { ClusterStack, FakeCluster } from "./cluster-stack.ts";

// The package as `npm pack` makes it, installed by npm in a folder outside of the checkout; the dependencies are copies of the checkout's.

const checkout = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "package "));
const program = join(folder, "program");
const alicloud = join(program, "node_modules", "@pulumi", "alicloud", "package.json");
const npm = (cwd: string, ...args: readonly string[]) =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const threeLines = `import { surveyCluster } from "etcd-rotation/cluster";
import { EtcdRotation } from "etcd-rotation/component";
import { readSettings } from "etcd-rotation/settings";
export const prod = new EtcdRotation("prod", { cluster: await surveyCluster(readSettings("prod"), "prod") }).outputs;
`;

function copyDependencies(): void {
  const paths = npm(checkout, "ls", "--omit=dev", "--all", "--parseable").trim().split("\n").slice(1);
  for (const path of paths.filter((each) => each.split("node_modules").length === 2)) {
    cpSync(path, join(program, relative(checkout, path)), { recursive: true });
  }
}

const packed = z.tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })]);
let paths: readonly string[] = [];

beforeAll(() => {
  const [tarball] = packed.parse(JSON.parse(npm(checkout, "pack", "--json", "--pack-destination", folder)));
  paths = tarball.files.map(({ path }) => path);
  mkdirSync(program);
  writeFileSync(
    join(program, "Pulumi.yaml"),
    "name: three-lines\nruntime: { name: nodejs, options: { typescript: false } }\n",
  );
  const manifest = {
    name: "three-lines",
    version: "1.0.0",
    type: "module",
    main: "index.ts",
    dependencies: { "etcd-rotation": `file:../${tarball.filename}` },
  };
  writeFileSync(join(program, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(program, "index.ts"), threeLines);
  copyDependencies();
  writeFileSync(
    alicloud,
    JSON.stringify({
      ...JSON.parse(readFileSync(alicloud, "utf8")),
      pulumi: { name: "alicloud", resource: true },
    }),
  );
  npm(program, "install", "--offline", "--omit=dev");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a program of three lines previews a rollout with the installed package", async () => {
  const cluster = await FakeCluster.start(
    foundAs(makePems("by-hand", "shared"), { clusterId: "7", receipt: undefined, backups: [] }),
  );
  try {
    const stack = new ClusterStack(join(folder, "stack"), program, "three-lines");
    await stack.init();
    stack.configure({ "three-lines:prod": cluster.settings(join(folder, "stack"), "2026-11") });
    const { code, stdout, stderr } = await stack.run("preview");
    expect(stdout + stderr).toMatch(/\+ 63 to create/);
    expect(code).toBe(0);
  } finally {
    await cluster.stop();
  }
});

test("a TypeScript compiler finds its types", () => {
  const types = join(checkout, "node_modules", "@types");
  const options = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--types",
    "node",
    "--typeRoots",
    types,
    "--skipLibCheck",
  ];
  writeFileSync(
    join(program, "wrong.ts"),
    'import { surveyCluster } from "etcd-rotation/cluster";\nawait surveyCluster(7);\n',
  );
  const compile = (file: string) =>
    execFileSync(join(checkout, "node_modules", ".bin", "tsc"), [...options, file], {
      cwd: program,
      encoding: "utf8",
    });
  expect(compile("index.ts")).toBe("");
  expect(() => compile("wrong.ts")).toThrow();
});

test("its installation keeps Pulumi from asking for Alibaba Cloud's plug-in", () => {
  expect(JSON.parse(readFileSync(alicloud, "utf8")).pulumi).toEqual({ name: "alicloud" });
});

test("it has the commands, for the project in which they are run", () => {
  writeFileSync(join(program, "Pulumi.prod.yaml"), "config: {}\n");
  const command = join(program, "node_modules", ".bin", "etcd-rotation");
  const {
    status: code,
    stdout,
    stderr,
  } = spawnSync(process.execPath, [command, "status"], { cwd: program, encoding: "utf8" });
  expect({ code, stdout, stderr }).toEqual({
    code: 3,
    stdout: expect.stringContaining("Cannot use the stack file of prod"),
    stderr: "",
  });
  rmSync(join(program, "Pulumi.prod.yaml"));
});

test("it has no lab, and rehearse says where one is", () => {
  const command = join(program, "node_modules", ".bin", "etcd-rotation");
  const words = [command, "rehearse", "--from", "survey.json"];
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: program, encoding: "utf8" });
  expect([status, stderr.split(";")[0]]).toEqual([3, "Cannot rehearse here: this package has no lab"]);
});

test("the package holds the program, the scripts of masters, the licence and what to read, and nothing of the tests", () => {
  const scripts = globSync("components/node/*/*.sh", { cwd: checkout }).map((name) => `dist/${name}`);
  const texts = ["CHANGELOG.md", "LICENSE", "README.ja.md", "README.md", "README.zh-CN.md"];
  expect(scripts.length).toBeGreaterThan(10);
  expect(paths).toEqual(
    expect.arrayContaining([
      ...scripts,
      ...texts,
      "dist/components/cluster.js",
      "dist/components/cluster.d.ts",
    ]),
  );
  expect(
    paths.filter((path) =>
      /^(test|docs|examples|stacks)\/|(^|\/)(test|lab|dev)\/|Pulumi\..*\.yaml$|[._]test\./.test(path),
    ),
  ).toEqual([]);
});

test("npm would publish it", () => {
  expect(() => npm(checkout, "publish", "--dry-run")).not.toThrow();
});

test("npm tells what an installation is made of", () => {
  const bill = z.object({ components: z.array(z.object({ purl: z.string() })) });
  const { components } = bill.parse(
    JSON.parse(npm(program, "sbom", "--omit", "dev", "--sbom-format", "cyclonedx")),
  );
  const own = z.object({
    name: z.string(),
    version: z.string(),
    dependencies: z.record(z.string(), z.string()),
  });
  const { name, version, dependencies } = own.parse(
    JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")),
  );
  const urls = Object.entries({ ...dependencies, [name]: version }).map(
    ([each, its]) => `pkg:npm/${each.replace("@", "%40")}@${its}`,
  );
  expect(components.map(({ purl }) => purl)).toEqual(expect.arrayContaining(urls));
});

test("the release workflow takes the tag of this version, with its notes, and no other", () => {
  const step = z.object({ name: z.string().optional(), run: z.string().optional() });
  const workflow = z
    .object({ jobs: z.object({ publish: z.object({ steps: z.array(step) }) }) })
    .parse(parse(readFileSync(join(checkout, ".github", "workflows", "release.yaml"), "utf8")));
  const script =
    workflow.jobs.publish.steps.find(({ name }) => name?.startsWith("The tag is the version"))?.run ?? "";
  for (const file of ["package.json", "CHANGELOG.md"]) {
    cpSync(join(checkout, file), join(folder, file));
  }
  const release = (tag: string) =>
    execFileSync("bash", ["-eo", "pipefail", "-c", script], {
      cwd: folder,
      env: { ...process.env, TAG: tag },
      stdio: "ignore",
    });
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  release(`v${version}`);
  expect(readFileSync(join(folder, "notes.md"), "utf8")).toContain("### From 0.1.0");
  expect(readFileSync(join(folder, "notes.md"), "utf8")).not.toContain("\n## ");
  expect(() => release("v0.0.1")).toThrow();
});
