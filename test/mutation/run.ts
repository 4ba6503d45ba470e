import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type CommandResult, runCommand } from "../../tools/engine/run-command.ts";
import { type Mutation, mutate, testNamed } from "./mutation.ts";
import { programMutations } from "./programs.ts";
import { scriptMutations } from "./scripts.ts";
import { mutableFiles, runStryker } from "./stryker.ts";

const usage = `Usage: npm run test:mutate [-- --file TEXT ...] [--at-once N]

Puts one deliberate fault at a time into the program, on copies of it: first those that are listed, each with the one
test that has to see it; then every one that StrykerJS can make in components/model, components/survey and cli.

  --file     only faults in files whose path has TEXT in it
  --at-once  so many of those that are listed side by side (default: 2)
`;

/** Of all faults that are listed; below it the run fails. */
const leastPercent = 100;
/** For a test without a fault. With it half a minute and ten times what that took, on whatever machine: one that hangs has seen the fault. */
const patienceSeconds = 900;
const checkout = join(import.meta.dirname, "..", "..");

/** The checkout as it is now, changes included; packages are shared. */
function copyCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-mutation-"));
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: checkout,
    encoding: "utf8",
  });
  for (const file of files.split("\0").filter((each) => each !== "")) {
    cpSync(join(checkout, file), join(folder, file), { verbatimSymlinks: true });
  }
  symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/**
 * Whether the test fails with the fault.
 * @param seconds what tests took that passed in this copy: one that several faults name runs once without a fault
 * @throws Error when it fails without it, too
 */
async function isKilled(folder: string, mutation: Mutation, seconds: Map<string, number>): Promise<boolean> {
  const test = `${mutation.tests} ${mutation.test}`;
  const plainSeconds = seconds.get(test) ?? (await secondsWithoutFault(folder, mutation));
  seconds.set(test, plainSeconds);
  const path = join(folder, mutation.file);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, mutate(text, mutation));
  try {
    return (await runTest(folder, mutation, 30 + Math.ceil(10 * plainSeconds))).code !== 0;
  } finally {
    writeFileSync(path, text);
  }
}

/** @throws Error when the test does not pass */
async function secondsWithoutFault(folder: string, mutation: Mutation): Promise<number> {
  const begun = Date.now();
  const plain = await runTest(folder, mutation, patienceSeconds);
  // neither runner minds a name that is not there, nor a test that is skipped for want of a program
  if (plain.code !== 0 || !/^ok 1 (?!.*# skip)|Tests +1 passed/m.test(plain.output)) {
    throw new Error(
      `Cannot judge by test/${mutation.tests}, "${mutation.test}": it does not pass without a fault:\n${plain.output}`,
    );
  }
  return (Date.now() - begun) / 1000;
}

function runTest(folder: string, mutation: Mutation, seconds: number): Promise<CommandResult> {
  const file = join("test", mutation.tests);
  const name = testNamed(readFileSync(join(folder, file), "utf8"), mutation).replaceAll(/[^\w -]/g, ".");
  const command = file.endsWith(".bats")
    ? [join("node_modules", "bats", "bin", "bats"), "--tap", "--filter", name, file]
    : [join("node_modules", ".bin", "vitest"), "run", "--testNamePattern", name, file];
  // with all its children, which would keep its output open
  return runCommand("timeout", ["--kill-after", "5", String(seconds), ...command], {
    folder,
    env: { ...process.env, NO_COLOR: "1" },
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      file: { type: "string", multiple: true, default: [""] },
      "at-once": { type: "string", default: "2" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const isChosen = (file: string) => values.file.some((text) => file.includes(text));
  const chosen = [...scriptMutations, ...programMutations].filter(({ file }) => isChosen(file));
  const files = mutableFiles();
  const chosenFiles = files.filter(isChosen);
  if (chosen.length + chosenFiles.length === 0 || !/^[1-9]\d*$/.test(values["at-once"])) {
    process.stderr.write(
      `Cannot choose faults by ${values.file.join(", ")}, ${values["at-once"]} at once; expected part of a path, and a number. See --help\n`,
    );
    return 2;
  }
  // all at once, before minutes are spent
  for (const mutation of chosen) {
    mutate(readFileSync(join(checkout, mutation.file), "utf8"), mutation);
  }
  const queue = [...chosen];
  const survived: Mutation[] = [];
  const work = async () => {
    const folder = copyCheckout();
    const seconds = new Map<string, number>();
    try {
      for (let mutation = queue.shift(); mutation !== undefined; mutation = queue.shift()) {
        const told = await isKilled(folder, mutation, seconds).then(
          (killed) => (killed ? "killed  " : "SURVIVED"),
          (error: unknown) => `${error instanceof Error ? error.message : error}\nUNJUDGED`,
        );
        process.stdout.write(`${told} ${mutation.file}: test/${mutation.tests}, "${mutation.test}"\n`);
        if (told !== "killed  ") {
          survived.push(mutation);
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: Number(values["at-once"]) }, work));
  for (const { file, from, to } of survived) {
    process.stdout.write(`\nnot seen in ${file}:\n- ${from.trim()}\n+ ${to.trim()}\n`);
  }
  const killed = chosen.length - survived.length;
  const percent = chosen.length === 0 ? 100 : Math.floor((100 * killed) / chosen.length);
  process.stdout.write(
    `listed: ${killed} killed, ${survived.length} survived; score ${percent} %, expected ${leastPercent} %\n`,
  );
  const isEnough =
    chosenFiles.length === 0 || (await runStryker(chosenFiles, chosenFiles.length === files.length));
  return percent >= leastPercent && isEnough ? 0 : 1;
}

process.exitCode = await main();
