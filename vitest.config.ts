import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // nothing is retried: a test that fails once has failed
    retry: 0,
    projects: [
      {
        test: {
          name: "model",
          include: [
            "test/model/**/*.test.ts",
            "test/components/**/*.test.ts",
            "test/cli/**/*.test.ts",
            "test/lab/judge/**/*.test.ts",
            "test/mutation/**/*.test.ts",
          ],
          // seconds on an idle machine; a busy one is no failure
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: "contract",
          include: ["test/contract/**/*.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: "lab",
          include: ["test/lab/**/*.test.ts"],
          exclude: ["test/lab/judge/**"],
          // one lab, one machine: runs that share it would measure each other
          fileParallelism: false,
          testTimeout: 3_600_000,
          hookTimeout: 1_800_000,
        },
      },
    ],
  },
});
