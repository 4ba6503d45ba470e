import { Option } from "@commander-js/extra-typings";
import { ownFolder } from "../project.ts";

/** Where the program is. */
export const cwdOption = new Option("--cwd <folder>", "another Pulumi project than this one").default(ownFolder, "this one");

/** The result for programs. */
export const jsonOption = new Option("--json", "the result as JSON on standard output, all else on standard error").default(false);

/** The earlier way to say which stack. */
export const stackOption = new Option("--stack <stack>").hideHelp();

/** The earlier way to say which private key. */
export const identityOption = new Option("--identity <file>").hideHelp();

/** What an earlier spelling and the present one say, of which there may be one; the earlier one works for one release. */
export function renamed(present: string | undefined, earlier: string | undefined, was: string, is: string): string | undefined {
  if (earlier !== undefined) {
    process.stderr.write(`notice: ${was} will go with the next release; it is now ${is}\n`);
  }
  return present ?? earlier;
}
