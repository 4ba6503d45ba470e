import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const projectFile = join(import.meta.dirname, "..", "..", "Pulumi.yaml");

/** The default place of the stacks' state, for somebody who has chosen none. */
export interface DefaultBackend {
  readonly url: string;
  /** Whether the folder was made just now. */
  readonly isNew: boolean;
}

/** A local folder, made readable by its owner alone; undefined when a backend is chosen already. */
export function defaultBackend(env: NodeJS.ProcessEnv = process.env): DefaultBackend | undefined {
  if (isSet(env["PULUMI_BACKEND_URL"]) || isLoggedIn(env) || isChosenByProject()) {
    return undefined;
  }
  const base = env["XDG_STATE_HOME"];
  const folder = join(base !== undefined && base !== "" ? base : join(homedir(), ".local", "state"), "etcd-rotation");
  const isNew = !existsSync(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { url: pathToFileURL(folder).href, isNew };
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

/** Whether `pulumi login` was run: the credentials file then names a current backend. */
function isLoggedIn(env: NodeJS.ProcessEnv): boolean {
  const home = env["PULUMI_CREDENTIALS_PATH"] ?? env["PULUMI_HOME"] ?? join(homedir(), ".pulumi");
  const file = join(home, "credentials.json");
  if (isSet(env["PULUMI_ACCESS_TOKEN"])) {
    return true;
  }
  if (!existsSync(file)) {
    return false;
  }
  const credentials: unknown = JSON.parse(readFileSync(file, "utf8"));
  return (
    typeof credentials === "object" && credentials !== null && "current" in credentials && typeof credentials.current === "string" && credentials.current !== ""
  );
}

function isChosenByProject(): boolean {
  return existsSync(projectFile) && /^backend:/m.test(readFileSync(projectFile, "utf8"));
}
