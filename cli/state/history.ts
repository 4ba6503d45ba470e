import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { z } from "zod";
import { CommandError, messageOf } from "../command-error.ts";

/** A state that a backend has kept: one at the end of each update, also of a failed one. */
export interface Kept {
  /** counted from the oldest one, so that it stays the same */
  readonly number: number;
  readonly file: string;
  /** milliseconds since 1970 */
  readonly time: number;
  /** "succeeded", "failed" or what else the backend says */
  readonly result: string;
}

/** Nanoseconds since 1970, 19 digits until 2286. */
const checkpointName = /^.+-(\d{19})\.checkpoint\.json(?:\.gz|\.zst)?$/;

/** The states in a history folder of a backend, or a copy of one, the oldest first. */
export function keptIn(folder: string): Kept[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .flatMap((name) => {
      const nanoseconds = checkpointName.exec(name)?.[1];
      return nanoseconds === undefined ? [] : [{ name, nanoseconds }];
    })
    .toSorted((a, b) => a.nanoseconds.localeCompare(b.nanoseconds))
    .map(({ name, nanoseconds }, index) => ({
      number: index + 1,
      file: join(folder, name),
      time: Number(BigInt(nanoseconds) / 1_000_000n),
      result: resultOf(join(folder, name.replace(".checkpoint.json", ".history.json"))),
    }));
}

/**
 * The text of a state, unpacked; checked against the sum that a file backend keeps beside it.
 * @throws CommandError when it cannot be read or has changed since Pulumi wrote it
 */
export function readStateFile(file: string): string {
  try {
    const bytes = readFileSync(file);
    const sum = existsSync(`${file}.attrs`) ? attributes.parse(JSON.parse(readFileSync(`${file}.attrs`, "utf8"))).md5 : undefined;
    if (typeof sum === "string" && sum !== createHash("md5").update(bytes).digest("base64")) {
      throw new Error("it is not what Pulumi wrote: its sum differs from the one in the .attrs file beside it, so it was cut or changed");
    }
    return unpacked(bytes).toString("utf8");
  } catch (error) {
    throw new CommandError(`Cannot read the state in ${basename(file)}: ${messageOf(error)}. Nothing was changed`, {
      ending: "refused",
      cause: error,
    });
  }
}

const attributes = z.looseObject({ md5: z.string().nullish() });
const update = z.looseObject({ kind: z.string(), result: z.string() });

/** A backend may pack its files, with or without a name that says so. */
function unpacked(bytes: Buffer): Buffer {
  switch (bytes.subarray(0, 4).toString("hex")) {
    case "28b52ffd":
      return zstdDecompressSync(bytes);
    default:
      return bytes.subarray(0, 2).toString("hex") === "1f8b" ? gunzipSync(bytes) : bytes;
  }
}

function resultOf(file: string): string {
  try {
    const { kind, result } = update.parse(JSON.parse(unpacked(readFileSync(file)).toString("utf8")));
    // a refresh or an import that ended well says nothing about the certificates on the masters
    return kind === "update" ? result : kind;
  } catch {
    return "unknown";
  }
}
