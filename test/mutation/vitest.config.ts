import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** The tests that StrykerJS judges by: those of the model project that take milliseconds. */
export default defineConfig({
  test: {
    include: ["test/model/**/*.test.ts", "test/components/**/*.test.ts", "test/cli/**/*.test.ts"],
    // walks all states for minutes: a single fault would cost as much
    exclude: ["test/model/phases.test.ts"],
    testTimeout: 60_000,
    // beside this file: StrykerJS removes it with its copy of the checkout
    env: { TEST_OPENSSL_MEMORY: join(import.meta.dirname, "openssl-memory") },
  },
});
