import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of everything that can be made again; deleting it costs only time. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const own = env["ETCD_ROTATION_CACHE"];
  if (own !== undefined && own !== "") {
    return own;
  }
  const shared = env["XDG_CACHE_HOME"];
  return join(shared !== undefined && shared !== "" ? shared : join(homedir(), ".cache"), "etcd-rotation");
}

/** The folder in which Node keeps modules compiled from one run to the next. */
export function compiledFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), "node");
}
