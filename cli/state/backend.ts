import { createWriteStream, mkdtempSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import { removeAtEnd } from "../files.ts";
import { inParallel } from "../in-parallel.ts";
import type { Program } from "../project.ts";

/**
 * The folder in which the backend keeps the states of a stack, or a copy of the one in its bucket. The CLI itself gives earlier states of Pulumi Cloud only
 * (`pulumi stack export --version` on a file backend: "does not provide the ability to export previous deployments").
 * @throws CommandError with the way to a copy when the backend is neither a folder nor an S3-compatible store
 */
export async function historyFolder(engine: Engine, program: Program): Promise<string> {
  const url = await engine.backendUrl();
  if (url.startsWith("s3://")) {
    return copyOf(bucketFolder(url, historyPath(program)));
  }
  const folder = folderOf(url, program.folder);
  if (folder === undefined) {
    throw CommandError.failed(howToCopy(url, program));
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
export function howToCopy(url: string, { project, stack }: Pick<Program, "project" | "stack">): string {
  const [place = ""] = url.split("?");
  const seen = `Cannot list earlier states in ${place}: the Pulumi CLI does not give them; expected a file or S3 backend, a copy of the history, or exported files.`;
  if (/^https?:/.test(url)) {
    return `${seen} Export them, then list the files:\n  npx etcd-rotation pulumi stack export --stack ${stack} --version <n> --file <n>.json\n  npx etcd-rotation rollback ${stack} --list <n>.json`;
  }
  const path = `${place.replace(/\/$/, "")}/${historyPath({ project, stack }).join("/")}/`;
  const copy = `history-${project}-${stack}`;
  return `${seen} Copy it, then list the copy:\n  copy ${path} to ${copy} with your provider's own tool\n  npx etcd-rotation rollback ${stack} --list --history ${copy}`;
}

function historyPath({ project, stack }: Pick<Program, "project" | "stack">): string[] {
  return [".pulumi", "history", project, stack];
}

/** A folder of a bucket, and how Pulumi's URL of it says to connect. */
interface BucketFolder {
  readonly bucket: string;
  /** ends with a slash */
  readonly prefix: string;
  readonly client: S3ClientConfig;
}

/**
 * Reads the URL of a backend in an S3-compatible store, with the parameters that Pulumi's CLI takes (gocloud.dev/blob/s3blob, and
 * aws.V2ConfigFromURLParams; the older names too). Credentials come from the environment and AWS's own files, as for the CLI.
 * @param path below the backend's own folder
 * @throws CommandError on a parameter that would lead elsewhere
 */
export function bucketFolder(url: string, path: readonly string[]): BucketFolder {
  const { hostname, pathname, searchParams } = new URL(url);
  const unread = [...searchParams.keys()].filter((name) => !parameters.includes(name));
  if (unread.length > 0) {
    throw CommandError.failed(
      `Cannot read s3://${hostname}${pathname}: its URL has ${unread.join(", ")}, which this command does not read; expected ${parameters.join(", ")}, or a copy of the history: --history FOLDER`,
    );
  }
  const one = (...names: readonly string[]) =>
    names.map((name) => searchParams.get(name)).find((value) => value !== null) ?? undefined;
  const isSet = (...names: readonly string[]) => /^(1|t|true)$/i.test(one(...names) ?? "");
  const [region, endpoint, profile] = [one("region"), one("endpoint"), one("profile")];
  const parts = pathname.split("/").filter((part) => part !== "");
  const scheme = isSet("disable_https", "disableSSL") ? "http" : "https";
  return {
    bucket: hostname,
    prefix: `${[...parts.map(decodeURIComponent), ...path].join("/")}/`,
    client: {
      ...(region === undefined ? {} : { region }),
      ...(profile === undefined ? {} : { profile }),
      ...(endpoint === undefined
        ? {}
        : { endpoint: endpoint.includes("://") ? endpoint : `${scheme}://${endpoint}` }),
      forcePathStyle: isSet("use_path_style", "s3ForcePathStyle"),
      // stores other than AWS's know no newer sums
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    },
  };
}

const parameters = [
  "region",
  "endpoint",
  "profile",
  "awssdk",
  "use_path_style",
  "s3ForcePathStyle",
  "disable_https",
  "disableSSL",
];

/** Downloads at a time: enough to hide the way, few enough for a store that counts. */
const parallelDownloads = 8;

/**
 * Copies the files of a bucket's folder into one of this machine, readable by its owner alone, that goes when this process ends.
 * @throws CommandError when the store refuses, or cannot be reached
 */
export async function copyOf({ bucket, prefix, client }: BucketFolder): Promise<string> {
  // large, and of no use for a backend that is a folder
  const { GetObjectCommand, paginateListObjectsV2, S3Client } = await import("@aws-sdk/client-s3");
  const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-history-"));
  removeAtEnd(folder);
  const store = new S3Client(client);
  try {
    const keys: string[] = [];
    for await (const { Contents: page = [] } of paginateListObjectsV2(
      { client: store },
      { Bucket: bucket, Prefix: prefix, Delimiter: "/" },
    )) {
      keys.push(...page.flatMap(({ Key: key }) => key ?? []));
    }
    await inParallel(keys, parallelDownloads, async (key) => {
      const { Body: body } = await store.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      if (!(body instanceof Readable)) {
        throw new Error(`${key} came without its content`);
      }
      await pipeline(body, createWriteStream(join(folder, basename(key)), { mode: 0o600 }));
    });
  } catch (error) {
    throw CommandError.failed(
      `Cannot read s3://${bucket}/${prefix}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}; expected to list and read there as the Pulumi CLI does. Another way: copy that folder, then add --history FOLDER`,
      error,
    );
  } finally {
    store.destroy();
  }
  return folder;
}
