import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { foundAs, makePems, receipt, specs } from "../model/cluster.ts";
import { startFakeMasters } from "../support/fake-masters.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { surveyText } from "../support/survey-text.ts";

const usage = `Usage: npm run bench:fleet [-- --clusters 10,50] [--parallel 2,4]

Measures npx etcd-rotation fleet preview with this very program over clusters of three masters each, which are SSH servers in this
process that answer like masters; and npx etcd-rotation status --all over the same. Wall time, and the most memory of all processes
of the run together (resident, shared pages counted for each). Needs npm run setup -- --engine.
`;

const project = join(import.meta.dirname, "..", "..");

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      clusters: { type: "string", default: "10,50" },
      parallel: { type: "string", default: "2,4" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const counts = values.clusters.split(",").map(Number);
  const most = Math.max(...counts);
  const names = Array.from({ length: most }, (_, index) => `c${String(index + 1).padStart(3, "0")}`);
  const root = mkdtempSync(join(tmpdir(), "fleet-bench-"));
  const masters = await startFakeMasters(
    names.flatMap((stack) =>
      foundAs(pems, { receipt: { ...receipt, owner: `etcd-rotation/${stack}` } }).masters.map(
        (master) => () => surveyText(master),
      ),
    ),
  );
  try {
    const env = makeProject(root, names, masters.ports);
    for (const count of counts) {
      const chosen = names.slice(0, count);
      report(
        `status of ${count} clusters`,
        await measure(["status", "--cwd", root, "--json", ...chosen], env),
      );
      for (const parallel of values.parallel.split(",")) {
        const fleet = ["fleet", "preview", "--cwd", root, "--json", "--parallel", parallel, ...chosen];
        report(`preview of ${count} clusters, ${parallel} at a time`, await measure(fleet, env));
      }
    }
  } finally {
    await masters.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

const pems = makePems("bench");

/** A copy of this project with a stack for each cluster, and a file backend. */
function makeProject(root: string, names: readonly string[], ports: readonly number[]): NodeJS.ProcessEnv {
  for (const part of ["Pulumi.yaml", "package.json", "tsconfig.json", "index.ts", "components", "stacks"]) {
    const isProgram = (file: string) => !/\/Pulumi\..+\.yaml$/.test(file);
    cpSync(join(project, part), join(root, part), { recursive: true, filter: isProgram });
  }
  symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
  mkdirSync(join(root, "state"));
  writeFileSync(join(root, "id"), makeSshKey(), { mode: 0o600 });
  const engine = engineEnvironment();
  const env = {
    ...engine.env,
    PULUMI_BACKEND_URL: pathToFileURL(join(root, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: "bench",
  };
  names.forEach((stack, index) => {
    execFileSync(engine.pulumi, ["stack", "init", stack, "--no-select", "--non-interactive"], {
      cwd: root,
      env,
      stdio: "ignore",
    });
    const settings = {
      rotation: "2026-12",
      masters: specs.map(({ name, address, etcdName }, each) => ({
        name,
        address,
        etcdName,
        host: "127.0.0.1",
        port: ports[index * specs.length + each],
        hostKey: "unchecked",
      })),
      ssh: { privateKeyPath: join(root, "id") },
      kubernetes: { renew: "never" },
    };
    const config = Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value]),
    );
    const file = join(root, "stacks", `Pulumi.${stack}.yaml`);
    // what Pulumi wrote when it made the stack: the salt of its passphrase
    const salt = /^encryptionsalt: (.+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    writeFileSync(file, JSON.stringify({ encryptionsalt: salt, config }));
  });
  return env;
}

interface Measured {
  readonly code: number | null;
  readonly seconds: number;
  readonly ownMebibytes: number;
  readonly allMebibytes: number;
}

async function measure(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  const started = performance.now();
  const child = spawn(process.execPath, [join(project, "cli", "etcd-rotation.js"), ...args], {
    env,
    stdio: ["ignore", "ignore", "ignore"],
  });
  let [own, all] = [0, 0];
  const timer = setInterval(() => {
    const memory = memoryOf(child.pid ?? 0);
    own = Math.max(own, memory.own);
    all = Math.max(all, memory.all);
  }, 500);
  const code = await new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  clearInterval(timer);
  return { code, seconds: (performance.now() - started) / 1000, ownMebibytes: own, allMebibytes: all };
}

/** Resident memory of a process, and of it with all its descendants, in MiB. */
function memoryOf(root: number): { readonly own: number; readonly all: number } {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid=,rss="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const family = new Set([root]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [pid = 0, parent = 0] of rows) {
      if (family.has(parent)) {
        family.add(pid);
      }
    }
  }
  const sum = (ids: ReadonlySet<number>) =>
    Math.round(rows.reduce((total, [pid = 0, , rss = 0]) => total + (ids.has(pid) ? rss : 0), 0) / 1024);
  return { own: sum(new Set([root])), all: sum(family) };
}

function report(what: string, { code, seconds, ownMebibytes, allMebibytes }: Measured): void {
  process.stdout.write(
    `${what.padEnd(42)} ${seconds.toFixed(1).padStart(7)} s  ${String(ownMebibytes).padStart(5)} MiB itself  ${String(allMebibytes).padStart(5)} MiB in all  exit ${code}\n`,
  );
}

await main();
