import { basename, join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The first test that fails ends it, so the one that is likeliest to comes first: that of the changed file, by its name; then those of
 * the model, which begin at once, while the others load the engine's SDK.
 */
class OwnFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // a single file has the fault; in the run without one these are all files
    const changed = (this.ctx.config.related ?? []).map((file) => basename(file, ".ts"));
    const rank = ({ moduleId }: TestSpecification) =>
      (changed.length === 1 && changed.includes(basename(moduleId, ".test.ts")) ? 0 : 2) +
      (moduleId.includes("/test/model/") ? 0 : 1);
    return files.toSorted(
      (one, other) => rank(one) - rank(other) || one.moduleId.localeCompare(other.moduleId),
    );
  }
}

/** The tests that StrykerJS judges by: those of the model project that take milliseconds. */
export default defineConfig({
  test: {
    include: ["test/model/**/*.test.ts", "test/components/**/*.test.ts", "test/cli/**/*.test.ts"],
    // walk all states for half a minute, and start programs: a single fault would cost as much
    exclude: ["test/model/*phases*.test.ts", "test/model/exploration.test.ts", "test/cli/commands.test.ts"],
    testTimeout: 60_000,
    sequence: { sequencer: OwnFirst },
    // beside this file: StrykerJS removes it with its copy of the checkout
    env: { TEST_OPENSSL_MEMORY: join(import.meta.dirname, "openssl-memory") },
  },
});
