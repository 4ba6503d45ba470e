import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { chooseStacks } from "./choose-stacks.ts";
import { type Paint, painterFor, widthOf } from "./paint.ts";
import { readProject } from "./stack-file.ts";
import { jsonOf } from "./status/json.ts";
import { lookAtAll } from "./status/look-at-all.ts";
import { exitCodeFor, type Outcome } from "./status/outcome.ts";
import { countsOf } from "./status/overview.ts";
import { prometheusOf } from "./status/prometheus.ts";
import { describeCluster } from "./status/table.ts";
import { writeAtomically } from "./write-atomically.ts";

const usage = `Usage: npm run status -- [<stack>... | --all] [options]

Shows every certificate of a cluster's masters: who issued it, when it ends, and whether it is the one in use.
Reads only: the stack file, and the masters over SSH. Needs neither Pulumi nor the stack's password.

  --all             every stack with a file in stacks/
  --json            for programs, on standard output
  --prometheus      as metrics for node-exporter's textfile collector
  --output <file>   write there instead of standard output, replaced at once (with --json or --prometheus)
  --agent           log in with the keys of the SSH agent, whatever the stack file says
  --identity <file> log in with this private key
  --cwd <folder>    another Pulumi project than this one
  --help            this text

Without a stack, the only one there is. States:
  ok            nothing to do
  due           ends within certificates.renewBefore, or an update is asked for: pulumi up
  expired       in use and past its end
  drifted       a master disagrees with the others or with itself: pulumi preview says more
  unreachable   a master could not be looked at; the others are shown
  other         shown, but not counted: nothing here hangs on it, or it is renewed by others
A "-" is a certificate that this master does not have.

Exit codes, the first that fits:
  2  expired or drifted
  3  a master or a stack file could not be looked at, or bad usage
  1  due
  0  ok
`;

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      all: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      prometheus: { type: "boolean", default: false },
      output: { type: "string" },
      agent: { type: "boolean", default: false },
      identity: { type: "string" },
      cwd: { type: "string", default: resolve(import.meta.dirname, "..") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if ((values.json && values.prometheus) || (values.output !== undefined && !values.json && !values.prometheus)) {
    throw new Error("Cannot write that: expected one of --json and --prometheus, and --output only with one of them");
  }
  const project = readProject(values.cwd);
  const stacks = chooseStacks(project, positionals, values.all, "status");
  const login = { identity: values.identity, isAgent: values.agent };
  const outcomes = await lookAtAll(project, stacks, login);
  const now = Date.now();
  const text = values.json
    ? jsonOf(outcomes, now)
    : values.prometheus
      ? prometheusOf(outcomes, now)
      : `${describe(outcomes, widthOf(process.stdout), painterFor(process.stdout)).join("\n")}\n`;
  if (values.output === undefined) {
    process.stdout.write(text);
  } else {
    // node-exporter runs as another user
    writeAtomically(values.output, text, 0o644);
  }
  return exitCodeFor(outcomes);
}

function describe(outcomes: readonly Outcome[], width: number, paint: Paint): string[] {
  const blocks = outcomes.map((outcome) =>
    "status" in outcome
      ? describeCluster(outcome.status, width, paint)
      : [`${paint("title", outcome.stack)}  ${paint("bad", "unreachable")}`, ...outcome.problem.split("\n").map((line) => `  ${line}`)],
  );
  const lines = blocks.flatMap((block, index) => (index === 0 ? block : ["", ...block]));
  return outcomes.length === 1 ? lines : [...lines, "", countsOf(outcomes, paint)];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nMore: npm run status -- --help\n`);
  process.exitCode = 3;
}
