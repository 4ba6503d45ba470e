import { statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { runCommand } from "../engine/run-command.ts";
import { SetupError } from "../engine/setup-error.ts";

/**
 * To be called before anything is built or installed.
 *
 * @throws SetupError where the lab cannot run, with what the machine can do and what to do for the rest.
 */
export async function requireLabMachine(): Promise<void> {
  const kernel = (await runCommand("uname", ["-s"])).output.trim();
  if (kernel !== "Linux" || (await runCommand("dpkg-query", ["--version"])).code !== 0) {
    throw new SetupError(
      `Cannot make the lab ready: this is ${kernel === "Linux" ? "no Debian" : kernel}; expected Debian or Ubuntu. ` +
        "Without the lab all commands work, on real clusters. Run: npm run setup -- --engine\n" +
        "The demo and the lab's tests need Debian, in a virtual machine for example. Here: npm test -- --only types,lint,model",
    );
  }
  // sudo may keep HOME, and root's files in it would keep out its owner; it always takes away what PATH has of Node.js and Go
  const home = homedir();
  const isForeign = process.env["SUDO_UID"] !== undefined && statSync(home).uid !== 0;
  if (process.getuid?.() !== 0 || isForeign) {
    throw new SetupError(
      `Cannot make the lab ready: ${isForeign ? `HOME is "${home}", which is not root's` : `this is ${userInfo().username}`}; expected root${isForeign ? "'s own" : ""}. ` +
        `Run: sudo -H env "PATH=$PATH" npm run ${process.env["npm_lifecycle_event"] ?? "setup"}\n` +
        "Without root all commands work, on real clusters: npm run setup -- --engine",
    );
  }
}
