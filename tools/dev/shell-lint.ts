import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lookScript } from "../../cli/adopt/look.ts";
import { backupsScript } from "../../cli/backups/read-backups.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { assignments } from "../../components/model/shell.ts";
import { renderStepData } from "../../components/model/step-data.ts";
import { plainScript } from "../../components/node/scripts.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { checkSettings } from "../../stacks/settings.ts";
import { type Finding, findBanned } from "./ban-list.ts";

/** Checks all bash: the node scripts as they are put together, every other script by itself, and the ban list. */
const root = join(import.meta.dirname, "..", "..");
const nodeFolders = ["components/node/", "cli/node/"];

/** Checks that are off for the node scripts, each with its reason. */
const offForNodeScripts = {
  SC2034: "the data block and the exit codes are for both scripts; the survey uses fewer of them",
  SC2015: "`a && b || c` is meant as written: c also runs when b fails",
  SC2317: "functions are called through their names in variables (phase_$PHASE, wait_until COMMAND)",
  SC2329: "the survey is made of shared parts and does not call all of their functions",
  SC2310: "set -e is off inside conditions; the functions say `|| return 1` themselves",
} as const;

/** What shellcheck says of a line. */
interface Comment extends Finding {
  readonly code: number;
}

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
function shellcheck(args: readonly string[]): Comment[] {
  const run = spawnSync("shellcheck", ["--format=json1", "--shell=bash", "--external-sources", ...args], {
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
  const parsed: { readonly comments: readonly Comment[] } = JSON.parse(run.stdout);
  return [...parsed.comments];
}

/** Where each line of an assembled script comes from. Parts are told apart by their text, which is there unchanged. */
function places(script: string, parts: readonly string[]): Pick<Finding, "file" | "line">[] {
  const from = script.split("\n").map((_, index) => ({ file: "(data block)", line: index + 1 }));
  for (const part of parts) {
    const text = readFileSync(join(root, part), "utf8");
    const at = script.indexOf(text);
    if (at < 0) {
      continue;
    }
    const first = script.slice(0, at).split("\n").length - 1;
    text
      .split("\n")
      .slice(0, -1)
      .forEach((_, index) => {
        from[first + index] = { file: part, line: index + 1 };
      });
  }
  return from;
}

/** The step, the survey and the look at the backups as they go to a master: their parts call each other and read the data's variables. */
function lintNodeScripts(parts: readonly string[]): Finding[] {
  const master = { name: "master-1", etcdName: "name-1", address: "192.0.2.1", hostKey: "unchecked" };
  const settings = checkSettings(
    { rotation: "rotation", masters: [master], ssh: { password: "none" } },
    "stack",
  );
  const scripts = surveyTargets(settings, "project/stack", ackLayout).flatMap((target) => {
    const data = renderStepData(target.data);
    return [
      plainScript("step", data),
      plainScript("survey", data),
      plainScript(
        "claim",
        `${data}${assignments({ CLAIM: "project/stack user@host", CLAIM_SECONDS: 30, FUNCTIONS: "" })}`,
      ),
      plainScript("begin", `${data}${assignments({ FUNCTIONS_SUM: "" })}`),
      backupsScript(target.data, { kind: "list" }),
    ];
  });
  const folder = mkdtempSync(join(tmpdir(), "shell-lint-"));
  try {
    return [...scripts, lookScript()].flatMap((script, index) => {
      const file = join(folder, `${index}.sh`);
      writeFileSync(file, script);
      const from = places(script, parts);
      return shellcheck([`--exclude=${Object.keys(offForNodeScripts).join(",")}`, file]).map((comment) => {
        const place = from[comment.line - 1] ?? { file, line: comment.line };
        return { ...place, message: `SC${comment.code}: ${comment.message}` };
      });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function lintOthers(scripts: readonly string[]): Finding[] {
  return scripts.length === 0
    ? []
    : shellcheck(["--source-path=SCRIPTDIR", ...scripts]).map(({ file, line, code, message }) => ({
        file,
        line,
        message: `SC${code}: ${message}`,
      }));
}

function isNodeScript(path: string): boolean {
  return nodeFolders.some((folder) => path.startsWith(folder));
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
    ...lintNodeScripts(parts),
    ...lintOthers(scripts.filter((path) => !isNodeScript(path))),
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
