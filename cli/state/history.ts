import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { z } from "zod";
import { messageOf } from "../../components/model/text.ts";
import { CommandError } from "../command-error.ts";
import type { Engine } from "../engine.ts";
import type { Program } from "../project.ts";
import { historyFolder } from "./backend.ts";
import { type CertificateSet, certificateSetOf } from "./certificate-set.ts";
import { parseDeployment } from "./deployment.ts";

/** A state that a backend has kept: one at the end of each update, also of a failed one. */
export interface HistoryEntry {
  /** counted from the oldest one, so that it stays the same */
  readonly number: number;
  readonly file: string;
  /** milliseconds since 1970 */
  readonly time: number;
  /** "succeeded", "failed" or what else the backend says */
  readonly result: string;
  /** milliseconds since 1970 */
  readonly started?: number | undefined;
  /** of resources, by operation */
  readonly changes?: Readonly<Record<string, number>> | undefined;
}

/** A state as it was read, or why it could not be. */
export type ReadState = Omit<HistoryEntry, "number"> & {
  /** of the backend's history; undefined for a file by itself */
  readonly number: number | undefined;
} & (
    | { readonly set: CertificateSet; readonly problem?: undefined }
    | { readonly set?: undefined; readonly problem: string }
  );

/** Nanoseconds since 1970, 19 digits until 2286. */
const checkpointName = /^.+-(\d{19})\.checkpoint\.json(?:\.gz|\.zst)?$/;

/** The states in a history folder of a backend, or a copy of one, the oldest first. */
export function entriesIn(folder: string): HistoryEntry[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const timeIn = (name: string) => checkpointName.exec(name)?.[1] ?? "";
  return names
    .filter((name) => timeIn(name) !== "")
    .toSorted((a, b) => timeIn(a).localeCompare(timeIn(b)))
    .map((name, index) => ({
      number: index + 1,
      file: join(folder, name),
      time: Number(BigInt(timeIn(name)) / 1_000_000n),
      ...recordIn(join(folder, name.replace(".checkpoint.json", ".history.json"))),
    }));
}

/**
 * The text of a state, unpacked; checked against the sum that a file backend keeps beside it.
 * @throws CommandError when it cannot be read or has changed since Pulumi wrote it
 */
export function readStateFile(file: string): string {
  try {
    const bytes = readFileSync(file);
    const sum = existsSync(`${file}.attrs`)
      ? attributes.parse(JSON.parse(readFileSync(`${file}.attrs`, "utf8"))).md5
      : undefined;
    if (typeof sum === "string" && sum !== createHash("md5").update(bytes).digest("base64")) {
      throw new Error(
        "it is not what Pulumi wrote: its sum differs from the one in the .attrs file beside it, so it was cut or changed",
      );
    }
    return unpacked(bytes).toString("utf8");
  } catch (error) {
    throw CommandError.refused(
      `Cannot read the state in ${basename(file)}: ${messageOf(error)}. Nothing was changed`,
      error,
    );
  }
}

const attributes = z.looseObject({ md5: z.string().nullish() });
const update = z.looseObject({
  kind: z.string(),
  result: z.string(),
  startTime: z.number().optional(),
  resourceChanges: z.record(z.string(), z.number()).nullish(),
});

/** A backend may pack its files, with or without a name that says so. */
function unpacked(bytes: Buffer): Buffer {
  const magic = bytes.subarray(0, 4).toString("hex");
  if (magic === "28b52ffd") {
    return zstdDecompressSync(bytes);
  }
  return magic.startsWith("1f8b") ? gunzipSync(bytes) : bytes;
}

function recordIn(file: string): Pick<HistoryEntry, "result" | "started" | "changes"> {
  try {
    const text = unpacked(readFileSync(file)).toString("utf8");
    const { kind, result, startTime, resourceChanges } = update.parse(JSON.parse(text));
    return {
      // a refresh or an import that ended well says nothing about the certificates on the masters
      result: kind === "update" ? result : kind,
      started: startTime === undefined ? undefined : startTime * 1000,
      changes: resourceChanges ?? undefined,
    };
  } catch {
    return { result: "unknown" };
  }
}

/** The history of the stack, the oldest first: the backend's, or the copy in a folder. */
export async function readHistory(
  engine: Engine,
  program: Program,
  copy: string | undefined,
): Promise<HistoryEntry[]> {
  const entries = entriesIn(copy ?? (await historyFolder(engine, program)));
  if (entries.length === 0 && copy !== undefined) {
    throw CommandError.usage(
      `Cannot find a state in ${copy}; expected files such as ${program.stack}-1795568726202350461.checkpoint.json`,
    );
  }
  return entries;
}

/** Each state, or why it cannot be read: one that was cut must not hide the others. */
export function readEntries(entries: readonly HistoryEntry[]): ReadState[] {
  return entries.map((state) => {
    try {
      return { ...state, set: certificateSetOf(parseDeployment(readStateFile(state.file), state.file)) };
    } catch (error) {
      return { ...state, problem: messageOf(error) };
    }
  });
}

/** A file by itself. @throws CommandError when it cannot be read */
export function readFile(file: string): ReadState {
  const deployment = parseDeployment(readStateFile(file), file);
  return {
    number: undefined,
    file,
    time: Date.parse(deployment.time),
    result: "succeeded",
    set: certificateSetOf(deployment),
  };
}

/**
 * What the stack has now: the text that brings it back, and the state in it, which is undefined without resources: before the first
 * update, or after `pulumi destroy`.
 */
export async function readPresent(engine: Engine, { stack }: Program) {
  const text = await engine.read(`export the state of stack "${stack}"`, "stack", "export", "--stack", stack);
  const hasResources = /"resources": \[\s*\{/.test(text);
  return { text, deployment: hasResources ? parseDeployment(text, "the backend") : undefined };
}
