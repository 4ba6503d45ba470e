import { readSelection } from "./engine-selection.ts";
import { Progress } from "./progress.ts";
import { engineParts, requireSource, setUpEngine } from "./set-up-engine.ts";

/** Sets up the engine where that has not been done yet, and says so. */
export async function requireEngine(): Promise<void> {
  if (readSelection() === undefined) {
    process.stderr.write("The Pulumi engine is not set up yet; doing that first.\n");
    await requireSource();
    await setUpEngine(new Progress(engineParts));
  }
}
