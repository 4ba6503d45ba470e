import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those of the model first: they begin at once, and the first one that fails ends it, while the others load the engine's SDK. */
class ModelFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isOfModel = ({ moduleId }: TestSpecification) => moduleId.includes("/test/model/");
    return files.toSorted(
      (one, other) =>
        Number(isOfModel(other)) - Number(isOfModel(one)) || one.moduleId.localeCompare(other.moduleId),
    );
  }
}

/** The tests that StrykerJS judges by: those of the model project that take milliseconds. */
export default defineConfig({
  test: {
    include: ["test/model/**/*.test.ts", "test/components/**/*.test.ts", "test/cli/**/*.test.ts"],
    // walk all states for half a minute: a single fault would cost as much
    exclude: ["test/model/phases*.test.ts"],
    testTimeout: 60_000,
    sequence: { sequencer: ModelFirst },
    // beside this file: StrykerJS removes it with its copy of the checkout
    env: { TEST_OPENSSL_MEMORY: join(import.meta.dirname, "openssl-memory") },
  },
});
