import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { runProgram } from "../lab/machine.ts";
import { writtenSettings } from "../support/written-settings.ts";

// What the real engine makes of a stack file; test/cli/stack-readers.test.ts has what the commands make of it.

const folder = mkdtempSync(join(tmpdir(), "stack file "));
const engine = engineEnvironment();
const environment = {
  ...engine.env,
  PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
  PULUMI_CONFIG_PASSPHRASE: "contract",
};

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function pulumi(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(
    engine.pulumi,
    [...args, "--cwd", folder, "--stack", "prod", "--non-interactive"],
    { environment },
  );
  expect(code, stderr).toBe(0);
  return stdout;
}

test("every value is handed over as the text that the commands reckon with", async () => {
  mkdirSync(join(folder, "state"));
  writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\nruntime: nodejs\n");
  await pulumi("stack", "init");
  const file = join(folder, "Pulumi.prod.yaml");
  const lines = writtenSettings.map(([, written], index) => `  etcd-rotation:k${index}: ${written}`);
  writeFileSync(file, [readFileSync(file, "utf8").trimEnd(), "config:", ...lines, ""].join("\n"));
  const shown: Record<string, { value: string }> = JSON.parse(await pulumi("config", "--json"));
  expect(
    writtenSettings.map(([key, written], index) => [key, written, shown[`etcd-rotation:k${index}`]?.value]),
  ).toEqual(writtenSettings);
  await pulumi("config", "set", "skipUnreachable", "true");
  expect(readFileSync(file, "utf8")).toContain('etcd-rotation:skipUnreachable: "true"');
});
