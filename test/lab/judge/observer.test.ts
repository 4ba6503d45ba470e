import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";

// Set-up asks for Go only where the engine or Kubernetes has to be built.
test.skipIf(spawnSync("go", ["version"]).status !== 0)("the observer's own tests", () => {
  execFileSync("go", ["test", "-mod=readonly", "."], {
    cwd: join(import.meta.dirname, "../traffic"),
    env: { ...process.env, GOWORK: "off" },
    stdio: "pipe",
  });
});
