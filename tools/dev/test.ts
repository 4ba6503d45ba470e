import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { parsePrograms } from "../../test/lab/options.ts";
import { deal } from "../../test/lab/support/dice.ts";
import { requireLabMachine } from "./set-up.ts";

const usage = `Usage: npm test [-- --only STAGE[,STAGE]] [--seed N] [--programs FOLDER]
       npm run test:sample [-- --seed N] [--minutes N]
       npm run test:matrix

npm test runs what must hold before every change, from the cheapest proof to the dearest; the first three after
set-up side by side, then the next three: one waits while another computes. What a stage prints comes in one piece.
  setup     the engine and the lab's image (a no-op when they are there)
  types     tsc
  lint      biome, import boundaries included
  shell     shellcheck, the list of banned commands, lines of 110 columns
  node      bats: the node scripts on a temporary root with real OpenSSL
  model     decisions, judge and the exact resource tree
  contract  the command plug-in against a real sshd
  lab       the real engine on real masters: a take-over and a rotation

test:sample runs set-up and a part of the lab's other files and of their cases, half an hour of it;
test:matrix set-up and all of them, and the stage mutate: deliberate faults and the tests that see them; which takes hours.

  --only      these stages only
  --programs  the programs of FOLDER come first on the PATH of every master in the stages node and lab: those of an older system
  --seed      decides what the sample is, and the order in which vitest runs the tests of a file
              (default: the number of commits, so that ten in a row come to all of the lab)
  --minutes   no file of the lab is begun after so many, and what is left out is named: for a machine that may be slow
`;

/** What `npm test` runs on the lab, and what every sample runs; the sample deals out the other files. */
const coreLabTests: readonly string[] = ["rotation"];
const sampledLabTests: readonly string[] = ["recovery", "kills"];

const project = join(import.meta.dirname, "..", "..");
const binaries = join(project, "node_modules", ".bin");

/** Where the runners write what they have counted, as JUnit's XML. */
const reports = mkdtempSync(join(tmpdir(), "etcd-rotation-tests-"));
const vitest = (report: string, part: string, ...args: string[]) => [
  ...["vitest", "run", "--project", part, ...args],
  ...["--reporter=default", "--reporter=junit", `--outputFile.junit=${join(reports, report)}.xml`],
];

/** What a stage is told. */
interface Settings {
  /** takes what it prints; without one it is shown as it comes */
  readonly print: ((text: string) => void) | undefined;
  readonly extent: keyof typeof stagesOf;
  readonly seed: string;
  readonly env: NodeJS.ProcessEnv;
  /** no file of the lab is begun after so many */
  readonly minutes: number;
}

/** Runs; its commands' exit codes. */
type Stage = (settings: Settings) => Promise<number[]>;

const command =
  (...words: string[]): Stage =>
  async ({ env, print }) => [await run(words, env, print)];

/** In an order that the seed draws. */
const shuffled =
  (name: string, ...more: string[]): Stage =>
  async ({ seed, env, print }) => {
    const order = ["--sequence.shuffle.tests", `--sequence.seed=${seed}`];
    return [await run(vitest(name, name, ...order, ...more), env, print)];
  };

/** Without GNU parallel bats runs one file at a time: two of it, each with every other file, by size. */
async function bats({ env, print }: Settings): Promise<number[]> {
  const files = globSync("test/node/*.bats", { cwd: project });
  const bySize = files.toSorted((a, b) => statSync(join(project, b)).size - statSync(join(project, a)).size);
  const texts = ["", ""];
  const halves = [0, 1].map((half) => {
    const report = join(reports, `node-${half}`);
    mkdirSync(report);
    const program = join(project, "node_modules", "bats", "bin", "bats");
    const options = ["--report-formatter", "junit", "--output", report];
    const words = [program, ...options, ...bySize.filter((_, index) => index % 2 === half)];
    const keep = (text: string) => {
      texts[half] = text;
    };
    return run(words, env, half === 0 && print === undefined ? undefined : keep);
  });
  const codes = await Promise.all(halves);
  (print ?? show)(texts.join(""));
  return codes;
}

const stages: Readonly<Record<string, Stage>> = {
  setup: command("node", "tools/dev/setup.ts"),
  // what has not changed since is not looked at again
  types: command("tsc", "--incremental", "--tsBuildInfoFile", "node_modules/.cache/types.tsbuildinfo"),
  lint: command("biome", "check", "--error-on-warnings", "."),
  shell: command("node", "tools/dev/shell-lint.ts"),
  node: bats,
  model: shuffled("model"),
  // a third file at a time: some wait for most of their time, for what never answers
  contract: shuffled("contract", "--maxWorkers=3"),
  lab,
  mutate: command("node", "test/mutation/run.ts"),
};

/** In their order; those of one group run side by side. The lab is alone, since it measures times. */
const groups: readonly (readonly string[])[] = [
  ["setup"],
  ["types", "lint", "shell"],
  ["node", "model", "contract"],
  ["lab"],
  ["mutate"],
];

const stagesOf = {
  core: Object.keys(stages).filter((name) => name !== "mutate"),
  sample: ["setup", "lab"],
  matrix: ["setup", "lab", "mutate"],
} as const;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      seed: { type: "string" },
      minutes: { type: "string" },
      programs: { type: "string" },
      sample: { type: "boolean", default: false },
      matrix: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const extent = values.matrix ? "matrix" : values.sample ? "sample" : "core";
  const chosen: readonly string[] = values.only?.split(",") ?? stagesOf[extent];
  const again = extent === "core" ? "npm test --" : `npm run test:${extent} --`;
  const unknown = chosen.filter((name) => !(name in stages));
  const seed = values.seed ?? numberOfCommits();
  const wrong = [
    ...unknown.map((name) => `Cannot run stage "${name}"; expected ${Object.keys(stages).join(", ")}`),
    ...Object.entries({ seed, minutes: values.minutes ?? "0" }).flatMap(([name, value]) =>
      /^\d+$/.test(value) ? [] : [`Cannot use --${name} "${value}"; expected a whole number`],
    ),
  ];
  if (wrong.length > 0) {
    process.stderr.write(`${wrong.join("\n")}\n`);
    return 2;
  }
  if (chosen.includes("lab")) {
    await requireLabMachine();
  }
  process.stdout.write(`seed ${seed} (repeat with: ${again} --seed ${seed})\n`);
  const env = {
    ...process.env,
    PATH: `${binaries}${delimiter}${process.env["PATH"] ?? ""}`,
    TEST_SEED: seed,
    // the engine and its plug-ins run for seconds: collecting their garbage would be a tenth of that
    GOGC: process.env["GOGC"] ?? "400",
    ...(values.matrix ? { TEST_MATRIX: "1" } : {}),
    ...(values.programs === undefined ? {} : { TEST_PROGRAMS: parsePrograms(values.programs) }),
  };
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY);
  const settings = { extent, seed, env, minutes } as const;
  const failed: string[] = [];
  for (const group of groups.map((names) => names.filter((name) => chosen.includes(name)))) {
    failed.push(...(await runGroup(group, settings)));
    // without an engine and an image nothing else can be told
    if (failed.includes("setup")) {
      break;
    }
  }
  if (failed.length > 0) {
    process.stdout.write(
      `\nfailed: ${failed.join(", ")}; repeat with: ${again} --only ${failed.join(",")} --seed ${seed}\n`,
    );
  }
  const tests = countTests();
  process.stdout.write(`stages: ${chosen.length - failed.length} passed, ${failed.length} failed\n`);
  process.stdout.write(`tests: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped\n`);
  rmSync(reports, { recursive: true });
  return failed.length === 0 ? 0 : 1;
}

/**
 * Runs stages side by side, and prints what each has printed when it and those before it have ended.
 * @returns those that have failed
 */
async function runGroup(names: readonly string[], settings: Omit<Settings, "print">): Promise<string[]> {
  const isAlone = names.length === 1;
  if (!isAlone && names.length > 0) {
    show(`\n== side by side: ${names.join(", ")}\n`);
  }
  const running = names.map(async (name) => {
    const started = performance.now();
    const printed: string[] = [];
    if (isAlone) {
      show(`\n== ${name}\n`);
    }
    const print = isAlone ? undefined : (text: string) => void printed.push(text);
    const codes = (await stages[name]?.({ ...settings, print })) ?? [];
    const code = codes.find((each) => each !== 0) ?? 0;
    const seconds = Math.round((performance.now() - started) / 1000);
    const verdict = `== ${name}: ${code === 0 ? "passed" : `failed (exit code ${code})`} after ${seconds} s\n`;
    if (!isAlone) {
      show(verdict);
    }
    return { name, code, verdict, text: printed.join("") };
  });
  const failed: string[] = [];
  for (const each of running) {
    const { name, code, verdict, text } = await each;
    show(isAlone ? verdict : `\n== ${name}\n${text}${verdict}`);
    if (code !== 0) {
      failed.push(name);
    }
  }
  return failed;
}

/** One file after the other; none is begun when this program has run for so many minutes. */
async function lab({ extent, seed, env, minutes, print }: Settings): Promise<number[]> {
  const files = labFiles(extent, seed);
  process.stdout.write(files.map((file) => `${file}\n`).join(""));
  const codes: number[] = [];
  for (const file of files) {
    if (performance.now() >= minutes * 60_000) {
      process.stdout.write(`not begun, since ${minutes} minutes are over: ${file}\n`);
    } else {
      codes.push(await run(vitest(basename(file), "lab", file), env, print));
    }
  }
  return codes;
}

/** The lab's files to be run, by their paths; for a sample, the same for the same seed. */
function labFiles(extent: Settings["extent"], seed: string): string[] {
  const names = globSync("test/lab/*.test.ts", { cwd: project }).map((file) => basename(file, ".test.ts"));
  const others = names.filter((name) => ![...coreLabTests, ...sampledLabTests].includes(name)).toSorted();
  const chosen = {
    core: coreLabTests,
    sample: [...sampledLabTests, ...deal(seed, others)],
    matrix: names,
  }[extent];
  return chosen.map((name) => join("test", "lab", `${name}.test.ts`));
}

/** The same commit always gets the same sample, and the next one another; a clone that does not know how many there are, any. */
function numberOfCommits(): string {
  const git = (...args: string[]) =>
    spawnSync("git", args, { cwd: project, encoding: "utf8" }).stdout?.trim();
  return git("rev-parse", "--is-shallow-repository") === "false"
    ? git("rev-list", "--count", "HEAD")
    : String(Math.floor(Math.random() * 1_000_000));
}

/** What all runners have counted; a crash of one is no test, but its stage has failed. */
function countTests() {
  const counts = { tests: 0, failures: 0, errors: 0, skipped: 0 };
  for (const file of globSync("**/*.xml", { cwd: reports })) {
    for (const [suite] of readFileSync(join(reports, file), "utf8").matchAll(/<testsuite [^>]*>/g)) {
      for (const name of ["tests", "failures", "errors", "skipped"] as const) {
        counts[name] += Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
      }
    }
  }
  const failed = counts.failures + counts.errors;
  return { passed: counts.tests - failed - counts.skipped, failed, skipped: counts.skipped };
}

function show(text: string): void {
  process.stdout.write(text);
}

/** @param print takes what it has printed when it has ended; without one it is shown as it comes */
async function run(
  [program = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  print?: (text: string) => void,
): Promise<number> {
  const output = print === undefined ? "inherit" : "pipe";
  const child = spawn(program, args, { cwd: project, env, stdio: ["ignore", output, output] });
  const chunks: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [code]: (number | null)[] = await once(child, "close");
  print?.(Buffer.concat(chunks).toString());
  return code ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
