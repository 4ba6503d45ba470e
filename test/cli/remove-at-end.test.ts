import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const module = join(import.meta.dirname, "..", "..", "cli", "files.ts");

/** A process that runs the script, once it has said something. */
async function running(script: string, env = process.env) {
  const imports = `import { inScratchFolder, removeAtEnd } from ${JSON.stringify(module)};`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", `${imports} ${script}`], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

/** A process that has two folders to remove, and goes on until it is ended; `more` is run in it first. */
async function beginning(more: string) {
  const folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), "etcd-rotation-test-")));
  const calls = folders.map((folder) => `removeAtEnd(${JSON.stringify(folder)});`).join(" ");
  const child = await running(`${calls} ${more} console.log("ready"); setInterval(() => {}, 1000);`);
  return { child, left: () => folders.filter((folder) => existsSync(folder)).length };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("nothing is left after %s, and the exit code says which", async (signal, expected) => {
  const { child, left } = await beginning("");
  expect(left()).toBe(2);
  child.kill(signal);
  expect(await once(child, "exit")).toEqual([expected, null]);
  expect(left()).toBe(0);
});

test("nothing is left of a folder that was lent when a signal comes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-test-"));
  const child = await running(
    'inScratchFolder(() => { console.log("ready"); return new Promise(() => setInterval(() => {}, 1000)); });',
    { ...process.env, TMPDIR: folder },
  );
  expect(readdirSync(folder)).toHaveLength(1);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});

test("whoever sees to a signal decides when the process ends", async () => {
  const { child, left } = await beginning(
    'process.on("SIGTERM", () => { console.log("seen"); setTimeout(() => process.exit(0), 50); });',
  );
  child.kill("SIGTERM");
  await once(child.stdout, "data");
  expect(left()).toBe(2);
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(left()).toBe(0);
});
