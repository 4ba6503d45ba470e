import { readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { constants, gunzipSync } from "node:zlib";

/** A log that the Pulumi CLI has kept of one of its runs, as anybody can read it who has no passphrase. */
export interface CliLog {
  readonly name: string;
  readonly text: string;
}

/** The CLI's logs of runs since a moment (milliseconds since 1970): packed ones unpacked, encrypted ones as they are. */
export function cliLogsSince(moment: number): CliLog[] {
  const folder = join(process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi"), "logs");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".log") && statSync(join(folder, name)).mtimeMs >= moment)
    .map((name) => ({ name, text: readable(readFileSync(join(folder, name))) }));
}

/** The last part of one that is still being written may be missing. */
function readable(bytes: Buffer): string {
  const isPacked = bytes.subarray(0, 2).toString("hex") === "1f8b";
  return (isPacked ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes).toString("latin1");
}
