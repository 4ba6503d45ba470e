import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { readSurvey } from "../../../cli/rehearse/survey-file.ts";
import { rehearsal } from "./rehearsal.ts";
import { describe } from "./result.ts";

// What `etcd-rotation rehearse` runs: main.ts FILE [--kill] [--seed N] [--json]. The result is on standard output, all else on standard error.

const { values, positionals } = parseArgs({
  options: { kill: { type: "boolean" }, seed: { type: "string" }, json: { type: "boolean" } },
  allowPositionals: true,
});
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () =>
    interruption.abort(new Error("The rehearsal was interrupted; its lab is removed")),
  );
}
const started = Date.now();
const tell = (line: string) =>
  process.stderr.write(`${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s  ${line}\n`);
try {
  const seed = values.kill === true ? (values.seed ?? String(randomInt(1_000_000))) : undefined;
  const result = await rehearsal(readSurvey(positionals[0] ?? ""), {
    seed,
    tell,
    signal: interruption.signal,
  });
  process.stdout.write(values.json === true ? `${JSON.stringify(result, null, 2)}\n` : describe(result));
  process.exitCode = result.findings.length === 0 ? 0 : 2;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 3;
}
