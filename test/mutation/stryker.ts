import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../tools/engine/run-command.ts";
import { equivalents } from "./equivalents.ts";

/** Of all faults that StrykerJS makes in a folder, those that a test has to see; below it the run fails. */
const leastPercent: Readonly<Record<string, number>> = {
  "components/model": 95,
  "components/survey": 0,
  cli: 0,
};

const checkout = join(import.meta.dirname, "..", "..");
const binary = join(import.meta.dirname, "node_modules", ".bin", "stryker");

/** The part of StrykerJS's report that is read here. */
interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
}

interface Mutant {
  readonly status:
    | "Killed"
    | "Timeout"
    | "Survived"
    | "NoCoverage"
    | "Ignored"
    | "CompileError"
    | "RuntimeError"
    | "Pending";
  readonly replacement: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

/** Both count from one; the end is the first that is outside. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** One that was judged. */
interface Fault {
  readonly file: string;
  readonly line: number;
  /** the whole line on which it begins */
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly isKilled: boolean;
}

/** Each fault in these would cost walks over all states, or hundreds of drawn rollouts: minutes. */
const leftOut = ["components/model/exploration/", "components/model/forecast.ts"];

/** The files that StrykerJS looks at. */
export function mutableFiles(): string[] {
  const files = execFileSync("git", ["ls-files", "-z", "--", ...Object.keys(leastPercent)], {
    cwd: checkout,
    encoding: "utf8",
  });
  return files
    .split("\0")
    .filter((file) => file.endsWith(".ts") && !leftOut.some((path) => file.startsWith(path)));
}

/**
 * Every fault that StrykerJS can make in the files, judged by the tests that its vitest.config.ts names; prints survivors and scores.
 * @param isWhole whether these are all files: only then a score is asked for
 * @throws Error when StrykerJS cannot be installed or run
 */
export async function runStryker(files: readonly string[], isWhole: boolean): Promise<boolean> {
  await run("npm", ["ci", "--prefix", import.meta.dirname]);
  // interrupted, it notes what it has judged before it ends, and the next run goes on from there
  const wait = () => undefined;
  process.on("SIGINT", wait);
  try {
    await run(binary, ["run", join(import.meta.dirname, "stryker.json"), "--mutate", files.join(",")]);
  } finally {
    process.off("SIGINT", wait);
  }
  const report: Report = JSON.parse(readFileSync(join(checkout, ".mutation", "report.json"), "utf8"));
  // with what earlier runs have found in other files
  const faults = faultsIn(report).filter(({ file }) => files.includes(file));
  const isEquivalent = (fault: Fault) =>
    isUnreachable(fault) ||
    equivalents.some(
      ({ file, line, from, to }) =>
        file === fault.file &&
        fault.text.includes(line) &&
        (from ?? fault.from) === fault.from &&
        (to ?? fault.to) === fault.to,
    );
  const missed = faults.filter((fault) => !(fault.isKilled || isEquivalent(fault)));
  for (const { file, line, from, to } of missed) {
    process.stdout.write(`\nnot seen in ${file}:${line}:\n- ${from}\n+ ${to}\n`);
  }
  let isEnough = true;
  for (const [folder, least] of Object.entries(leastPercent)) {
    const isInside = ({ file }: Fault) => file.startsWith(`${folder}/`);
    const killed = faults.filter((fault) => isInside(fault) && fault.isKilled).length;
    const survived = missed.filter(isInside).length;
    if (killed + survived > 0) {
      const percent = Math.floor((100 * killed) / (killed + survived));
      process.stdout.write(
        `${folder}: ${killed} killed, ${survived} survived; score ${percent} %, expected ${least} %\n`,
      );
      isEnough &&= percent >= least || !isWhole;
    }
  }
  return isEnough;
}

/** The compiler shows that nothing comes here. */
function isUnreachable({ from }: Fault): boolean {
  return /^default:\s+(return )?\w[\w.]* satisfies never;$/.test(from);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { code } = await runCommand(command, args, { folder: checkout, live: "both" });
  if (code !== 0) {
    throw new Error(`Cannot run ${command} ${args.join(" ")}: it ended with ${code}; what it said is above`);
  }
}

function faultsIn(report: Report): Fault[] {
  return Object.entries(report.files).flatMap(([file, { source, mutants }]) =>
    mutants.flatMap(({ status, replacement, location }) => {
      const isKilled = status === "Killed" || status === "Timeout";
      const { line } = location.start;
      // the others are ignored, or no program
      return isKilled || status === "Survived" || status === "NoCoverage"
        ? [
            {
              file,
              line,
              text: source.split("\n")[line - 1] ?? "",
              from: textAt(source, location),
              to: replacement,
              isKilled,
            },
          ]
        : [];
    }),
  );
}

function textAt(source: string, { start, end }: Mutant["location"]): string {
  const lines = source.split("\n").slice(start.line - 1, end.line);
  const last = lines.length - 1;
  return lines
    .map((line, index) =>
      line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined),
    )
    .join("\n");
}
