import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const blocks = (file: string) =>
  [...read(file).matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block);

test.each(["README.ja.md", "README.zh-CN.md"])("the commands of %s are those of README.md", (file) => {
  const own = blocks(file);
  expect(own.length).toBeGreaterThan(0);
  expect(own.filter((block) => !blocks("README.md").includes(block))).toEqual([]);
});

const pages = readdirSync(join(root, "docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);

test.each(["README.md", "README.ja.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", ...pages])(
  "what %s links to is there",
  (file) => {
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const missing = links.filter(([, path = "", heading]) => {
      const target = path === "" ? join(root, file) : join(root, dirname(file), path);
      return (
        !existsSync(target) ||
        (heading !== undefined && !headingsOf(readFileSync(target, "utf8")).includes(heading))
      );
    });
    expect(missing.map(([link]) => link)).toEqual([]);
  },
);

test("docs/README.md leads to every page", () => {
  const linked = [...read("docs/README.md").matchAll(/\]\(([a-z-]+\.md)/g)].map(([, page]) => `docs/${page}`);
  expect(pages.filter((page) => page !== "docs/README.md" && !linked.includes(page))).toEqual([]);
});

const paths = globSync("{*,{.ci,.github,cli,components,docs,examples,monitoring,stacks,test,tools}/**}", {
  cwd: root,
}).map((path) => `/${path}`);

test.each(["README.md", "CONTRIBUTING.md", "SECURITY.md", ...pages])(
  "the files of this repository that %s names are there",
  (file) => {
    const named = [...read(file).matchAll(/`([\w./-]+)`/g)]
      .map(([, name = ""]) => name.replace(/\/$/, ""))
      .filter(
        (name) =>
          /^(?:cli|components|docs|examples|monitoring|stacks|test|tools)\//.test(name) ||
          /^\w.*\.(?:ts|sh|bats)$/.test(name),
      );
    expect(named.filter((name) => !paths.some((path) => path.endsWith(`/${name}`)))).toEqual([]);
  },
);

test("mktemp takes every template that the pages give it: without a folder, the lines after it write into /", () => {
  const templates = [
    ...pages
      .map(read)
      .join("\n")
      .matchAll(/\bmktemp(?: -\w+)* ([^\s)]+)/g),
  ].map(([, template = ""]) => template);
  expect(templates.length).toBeGreaterThan(0);
  expect(templates.filter((template) => !/XXX/.test(template))).toEqual([]);
});

test("the job of docs/fleet.md that asks which clusters are due fails with fleet matrix, and hands on what it has listed", () => {
  const [, text = ""] = /^```yaml\n(jobs:\n.*?)^```$/ms.exec(read("docs/fleet.md")) ?? [];
  const steps: { id?: string; run?: string }[] = parse(text).jobs.due.steps;
  const script = steps.find(({ id }) => id === "due")?.run ?? "";
  const folder = mkdtempSync(join(tmpdir(), "matrix-job-"));
  const output = join(folder, "output");
  for (const code of [0, 3]) {
    writeFileSync(join(folder, "npx"), `#!/bin/sh\necho '{"include":[]}'\nexit ${code}\n`, { mode: 0o755 });
    writeFileSync(output, "");
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}`, GITHUB_OUTPUT: output };
    const { status } = spawnSync("bash", ["-e", "-c", script], { env });
    expect([status, readFileSync(output, "utf8")]).toEqual([code, 'matrix={"include":[]}\n']);
  }
  rmSync(folder, { recursive: true });
});

/** The anchors that GitHub gives a page's headings. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
