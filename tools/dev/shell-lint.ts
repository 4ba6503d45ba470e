import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { type Finding, findBanned } from "./ban-list.ts";

/** Checks all bash: the node scripts with what they source, every other script by itself, the ban list, and the width of lines. */
const root = join(import.meta.dirname, "..", "..");

/** Checks that are off for the node scripts, each with its reason. */
const offForNodeScripts = {
  SC2153: "what is in capitals comes from the data block",
  SC2034: "the data block and the exit codes are for both scripts; the survey uses fewer of them",
  SC2015: "`a && b || c` is meant as written: c also runs when b fails",
  SC2317: "functions are called through their names in variables (phase_$PHASE, wait_until COMMAND)",
  SC2329: "the survey is made of shared parts and does not call all of their functions",
  SC2310: "set -e is off inside conditions; the functions say `|| return 1` themselves",
} as const;

/** Of a line, as for TypeScript (biome.json). */
const widest = 110;

/** Where lines may be longer still. */
const offForWidth = [
  // what the lab's images are made of is a part of their key in the cache
  "test/lab/",
  "test/node/clients.bats",
  "test/node/kubernetes.bats",
  "test/node/survey.bats",
  "test/node/worker.bats",
];

function isBash(path: string): boolean {
  if (/\.(?:bash|bats|sh)$/.test(path)) {
    return true;
  }
  if (/\.[a-z]+$/.test(path)) {
    return false;
  }
  return /^#!.*\b(?:ba)?sh\b/.test(readFileSync(join(root, path), "latin1").split("\n")[0] ?? "");
}

/** What git has, and what it would take. */
function files(): string[] {
  const listed = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  if (listed.status !== 0) {
    throw new Error(`Cannot list the repository's files: ${listed.stderr.trim()}; expected a git checkout`);
  }
  return [...new Set(listed.stdout.split("\0"))].filter(
    (path) => path !== "" && existsSync(join(root, path)),
  );
}

/** @throws Error when shellcheck is missing */
function shellcheck(scripts: readonly string[], ...options: readonly string[]): Finding[] {
  const args = ["--format=json1", "--shell=bash", "--external-sources", "--source-path=SCRIPTDIR"];
  const run = spawnSync("shellcheck", [...args, ...options, ...scripts], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (run.error !== undefined) {
    throw new Error(
      `Cannot run shellcheck: ${run.error.message}; expected it on PATH. Run: sudo apt-get install -y shellcheck (or npm run setup)`,
    );
  }
  if (run.status !== 0 && run.status !== 1) {
    throw new Error(`Cannot run shellcheck: exit code ${run.status}: ${run.stderr.trim()}`);
  }
  const { comments }: { comments: (Finding & { code: number })[] } = JSON.parse(run.stdout);
  return comments.map(({ file, line, code, message }) => ({
    file: relative(root, resolve(root, file)),
    line,
    message: `SC${code}: ${message}`,
  }));
}

function isNodeScript(path: string): boolean {
  return path.startsWith("components/node/");
}

function tooWide(path: string): Finding[] {
  if (offForWidth.some((start) => path.startsWith(start))) {
    return [];
  }
  const lines = readFileSync(join(root, path), "utf8").split("\n");
  return lines.flatMap((text, index) =>
    text.length > widest
      ? [{ file: path, line: index + 1, message: `${text.length} columns; expected at most ${widest}` }]
      : [],
  );
}

/** The commands that the documents have for root on a master, each on the line on which it is. */
function documented(path: string): string {
  const lines = readFileSync(join(root, path), "utf8").split("\n");
  return lines.map((line) => /^\s*# (.*\S)/.exec(line)?.[1] ?? "").join("\n");
}

function main(): number {
  const scripts = files().filter(isBash).toSorted();
  const parts = scripts.filter(isNodeScript);
  const documents = files().filter((path) => /^docs\/.*\.md$/.test(path));
  const banned = [
    ...parts.flatMap((path) => findBanned(path, readFileSync(join(root, path), "utf8"))),
    ...documents.flatMap((path) => findBanned(path, documented(path))),
  ];
  const found = [
    ...banned,
    ...scripts.flatMap(tooWide),
    ...shellcheck(
      parts.filter((path) => path.startsWith("components/node/bin/")),
      "--check-sourced",
      `--exclude=${Object.keys(offForNodeScripts).join(",")}`,
    ),
    ...shellcheck(scripts.filter((path) => !isNodeScript(path))),
  ];
  const lines = [...new Set(found.map(({ file, line, message }) => `${file}:${line}: ${message}`))];
  for (const line of lines) {
    process.stderr.write(`${line}\n`);
  }
  process.stderr.write(
    `${scripts.length} shell scripts checked, ${lines.length === 0 ? "all clean" : `${lines.length} findings`}\n`,
  );
  return lines.length === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
