import type { Command } from "@commander-js/extra-typings";

export function addPulumi(program: Command): void {
  program
    .command("pulumi")
    .summary("the Pulumi CLI: yours when it is new enough, else one that is fetched or built")
    .argument("[argument...]")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args) => {
      const { runPulumi } = await import("../../tools/engine/pulumi.ts");
      process.exitCode = await runPulumi(args);
    });
}
