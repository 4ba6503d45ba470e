import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs, styleText } from "node:util";
import { shellOn } from "../../test/lab/facts.ts";
import { LabStack } from "../../test/lab/stack.ts";
import { formatStatus, readStatus } from "../../test/lab/status.ts";
import { isLabPresent, type Lab, startLab, stopLab } from "../../test/lab/topology.ts";
import { SetupError } from "../engine/progress.ts";
import { requireLabMachine, setUp } from "./set-up.ts";

const usage = `Usage: npm run demo [-- --keep]

Starts three real masters on this machine, rotates their etcd certificates with
pulumi preview and pulumi up, and shows what is served before and after.

  --keep   leave the lab running at the end, to try things by hand
  --help   this text
`;

const name = "lab-demo";
const interrupted = new AbortController();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { keep: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => interrupted.abort(new Error(`interrupted by ${signal}`)));
  }
  await requireLabMachine();
  title("1. Set-up");
  await setUp({ engine: true, lab: true });
  interrupted.signal.throwIfAborted();
  title("2. Three masters, as on an ACK dedicated cluster");
  if (isLabPresent(name)) {
    await stopLab(name);
  }
  let stack: LabStack | undefined;
  try {
    const lab = await startLab({ name }, { signal: interrupted.signal });
    stack = await LabStack.create(lab, "2026-11");
    // as on a real cluster: Kubernetes' own certificates too
    stack.configure({ kubernetes: undefined });
    await show(lab, stack);
    title("Where to look next");
    process.stdout.write(
      [
        "index.ts                       the whole idea on one page",
        "docs/README.md                 what to do when something is wrong",
        "stacks/Pulumi.example.yaml     the settings of a cluster",
        "npm run lab -- --help          the lab by hand",
        "npm test                       the proofs",
        "",
      ].join("\n"),
    );
    if (values.keep) {
      process.stdout.write(
        `\nThe lab keeps running. In it, for example:\n  npm run lab -- ssh --name ${name} master-1\n  export PULUMI_BACKEND_URL=file://${stack.backend} PULUMI_CONFIG_PASSPHRASE=lab\n  npm run lab -- exec --name ${name} -- npx etcd-rotation pulumi preview --stack ${name}\nEnd it with: npm run lab -- down --name ${name}\n`,
      );
    }
    return 0;
  } finally {
    if (!values.keep || interrupted.signal.aborted) {
      stack?.remove();
      await stopLab(name);
    }
  }
}

/** The rotation itself, as a person would do it. */
async function show(lab: Lab, stack: LabStack): Promise<void> {
  process.stdout.write(formatStatus(lab, await readStatus(lab)));
  process.stdout.write(await listings(lab));
  title("3. pulumi preview: the plan; nothing changes");
  await pulumi(lab, stack, ["preview", "--stack", stack.name]);
  title("4. pulumi up: the rotation, one master at a time");
  const started = performance.now();
  await pulumi(lab, stack, ["up", "--stack", stack.name, "--yes", "--skip-preview"]);
  process.stdout.write(`\nRotated in ${Math.round((performance.now() - started) / 1000)} s.\n`);
  title("5. pulumi preview again: nothing to do");
  await pulumi(lab, stack, ["preview", "--stack", stack.name, "--expect-no-changes"]);
  title("6. The masters now, by OpenSSL's own word");
  process.stdout.write(formatStatus(lab, await readStatus(lab)));
  process.stdout.write(await listings(lab));
}

/** The end of every certificate on the first master, in the form of the official check. */
async function listings(lab: Lab): Promise<string> {
  const [first] = lab.masters;
  if (first === undefined) {
    return "";
  }
  const ends = await shellOn(
    lab,
    first,
    'for f in /var/lib/etcd/cert/*.pem /etc/kubernetes/pki/etcd/*.pem /etc/kubernetes/pki/*.crt; do e=$(openssl x509 -in "$f" -noout -enddate 2>/dev/null) && printf "%-50s %s\\n" "$f" "$e"; done',
  );
  return `\nOn ${first.name}:\n${ends}`;
}

/** Runs the CLI on this terminal, in the lab's network. */
async function pulumi(lab: Lab, stack: LabStack, args: readonly string[]): Promise<void> {
  const { program, argv, env } = stack.command(...args);
  const child = spawn(program, argv, { env, stdio: "inherit" });
  const stop = () => child.kill("SIGINT");
  interrupted.signal.addEventListener("abort", stop);
  const [ended]: (number | null)[] = await once(child, "close");
  const code = ended ?? 1;
  interrupted.signal.removeEventListener("abort", stop);
  interrupted.signal.throwIfAborted();
  if (code !== 0) {
    throw new Error(
      `pulumi ${args[0]} ended with exit code ${code}; try again with --keep and look at: npm run lab -- logs --name ${lab.name}`,
    );
  }
  // the terminal's last lines before the next title
  await wait(100);
}

function title(text: string): void {
  process.stdout.write(`\n${styleText("bold", `== ${text}`, { stream: process.stdout })}\n`);
}

process.exitCode = await main().catch((error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(error instanceof SetupError ? `${reason}\n` : `\nThe demo ended early: ${reason}\n`);
  return interrupted.signal.aborted ? 130 : 1;
});
