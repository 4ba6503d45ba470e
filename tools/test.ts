import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";

const usage = `Usage: npm test [-- --only STAGE[,STAGE]] [--seed N] [--matrix]

Runs everything that must hold, from the cheapest proof to the dearest:
  setup     the engine and the lab's image (a no-op when they are there)
  types     tsc
  lint      biome, import boundaries included
  shell     shellcheck and the list of banned commands
  node      bats: the node scripts on a temporary root with real OpenSSL
  model     decisions, judge and the exact resource tree
  contract  the command plug-in against a real sshd
  lab       the real engine on real masters: the core, and a part of the other files

  --only    these stages only
  --seed    picks the sample of lab files and of their cases (default: that of the program's version, printed)
  --matrix  the whole matrix instead of a sample (hours); also: npm run test:matrix
`;

/** Run every time. Of the others some: all of them together take longer than anybody waits. */
const coreLabTests: readonly string[] = ["rotation", "recovery", "kills"];
const drawnLabTests = 5;

const project = join(import.meta.dirname, "..");
const binaries = join(project, "node_modules", ".bin");

const stages: Readonly<Record<string, readonly string[]>> = {
  setup: ["node", "tools/setup.ts"],
  types: ["tsc"],
  lint: ["biome", "check", "--error-on-warnings", "."],
  shell: ["node", "tools/shell-lint.ts"],
  node: [join(project, "node_modules", "bats", "bin", "bats"), "test/node"],
  model: ["vitest", "run", "--project", "model"],
  contract: ["vitest", "run", "--project", "contract"],
  lab: ["vitest", "run", "--project", "lab"],
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seed: { type: "string" }, matrix: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const chosen = values.only?.split(",") ?? Object.keys(stages);
  const unknown = chosen.filter((name) => !(name in stages));
  const seed = values.seed ?? seedOfProgram();
  if (unknown.length > 0 || !/^\d+$/.test(seed)) {
    process.stderr.write(
      unknown.length > 0
        ? `Cannot run stage "${unknown.join(", ")}"; expected ${Object.keys(stages).join(", ")}\n`
        : `Cannot use --seed "${seed}"; expected a whole number\n`,
    );
    return 2;
  }
  process.stdout.write(`seed ${seed} (repeat with: npm test -- --seed ${seed})\n`);
  const env = { ...process.env, PATH: `${binaries}${delimiter}${process.env["PATH"] ?? ""}`, TEST_SEED: seed, ...(values.matrix ? { TEST_MATRIX: "1" } : {}) };
  const failed: string[] = [];
  for (const name of chosen) {
    const started = performance.now();
    process.stdout.write(`\n== ${name}\n`);
    const files = name === "lab" && !values.matrix ? labFiles(seed) : [];
    process.stdout.write(files.map((file) => `${file}\n`).join(""));
    const code = await run([...(stages[name] ?? []), ...files], env);
    process.stdout.write(`== ${name}: ${code === 0 ? "passed" : `failed (exit code ${code})`} after ${Math.round((performance.now() - started) / 1000)} s\n`);
    if (code !== 0) {
      failed.push(name);
      // without an engine and an image nothing else can be told
      if (name === "setup") {
        break;
      }
    }
  }
  if (failed.length > 0) {
    process.stdout.write(`\nfailed: ${failed.join(", ")}; repeat with: npm test -- --only ${failed.join(",")} --seed ${seed}\n`);
  }
  process.stdout.write(`stages: ${chosen.length - failed.length} passed, ${failed.length} failed\n`);
  return failed.length === 0 ? 0 : 1;
}

/** The core and a sample of the others, the same for the same seed. */
function labFiles(seed: string): string[] {
  const names = readdirSync(join(project, "test", "lab")).flatMap((file) => /^(.+)\.test\.ts$/.exec(file)?.[1] ?? []);
  const rank = (name: string) => createHash("sha256").update(`${seed} ${name}`).digest("hex");
  const others = names.filter((name) => !coreLabTests.includes(name)).toSorted((a, b) => rank(a).localeCompare(rank(b)));
  return [...coreLabTests, ...others.slice(0, drawnLabTests)].map((name) => join("test", "lab", `${name}.test.ts`));
}

/** The same program always gets the same sample, so that its result can be repeated; a change of it draws another one. */
function seedOfProgram(): string {
  const tree = spawnSync("git", ["rev-parse", "HEAD:components"], { cwd: project, encoding: "utf8" });
  return String(tree.status === 0 ? Number.parseInt(tree.stdout.slice(0, 5), 16) : Math.floor(Math.random() * 1_000_000));
}

function run([program = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(program, args, { cwd: project, env, stdio: ["ignore", "inherit", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

process.exitCode = await main();
