import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { bucketFolder, copyOf } from "./bucket.ts";
import { CommandError } from "./command-error.ts";
import type { Engine } from "./engine.ts";
import type { Program } from "./project.ts";

const whoami = z.looseObject({ url: z.string() });

/**
 * The folder in which the backend keeps the states of a stack, or a copy of the one in its bucket. The CLI itself gives earlier states of Pulumi Cloud only
 * (`pulumi stack export --version` on a file backend: "does not provide the ability to export previous deployments").
 * @throws CommandError with the way to a copy when the backend is neither a folder nor an S3-compatible store
 */
export async function historyFolder(engine: Engine, program: Program): Promise<string> {
  const { url } = whoami.parse(JSON.parse(await engine.read("ask for the backend", "whoami", "--json")));
  if (url.startsWith("s3://")) {
    return copyOf(bucketFolder(url, historyPath(program)));
  }
  const folder = folderOf(url, program.folder);
  if (folder === undefined) {
    throw new CommandError(howToCopy(url, program), { ending: "failed" });
  }
  return join(folder, ...historyPath(program));
}

/** The folder of a file backend; undefined for any other. */
export function folderOf(url: string, workingFolder: string): string | undefined {
  if (!url.startsWith("file://")) {
    return undefined;
  }
  const [path = ""] = url.slice("file://".length).split("?");
  return resolve(workingFolder, decodeURI(path).replace(/^~(?=\/|$)/, homedir()));
}

/** How to list the history of a backend that cannot be read here. */
export function howToCopy(url: string, program: Pick<Program, "project" | "stack">): string {
  const { project, stack } = program;
  const [place = ""] = url.split("?");
  const seen = `Cannot list earlier states in ${place}: the Pulumi CLI does not give them; expected a file or S3 backend, a copy of the history, or exported files.`;
  if (/^https?:/.test(url)) {
    return `${seen} Export them, then list the files:\n  npx etcd-rotation pulumi stack export --stack ${stack} --version <n> --file <n>.json\n  npx etcd-rotation rollback ${stack} --list <n>.json`;
  }
  const path = `${place.replace(/\/$/, "")}/${historyPath(program).join("/")}/`;
  const copy = `history-${project}-${stack}`;
  return `${seen} Copy it, then list the copy:\n  copy ${path} to ${copy} with your provider's own tool\n  npx etcd-rotation rollback ${stack} --list --history ${copy}`;
}

function historyPath({ project, stack }: Pick<Program, "project" | "stack">): string[] {
  return [".pulumi", "history", project, stack];
}
