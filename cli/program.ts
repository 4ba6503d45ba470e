import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { CommandError } from "./command-error.ts";

/** A stack of a Pulumi program, without the engine. */
export interface Program {
  readonly folder: string;
  readonly project: string;
  readonly stack: string;
  readonly stackFile: string;
}

const projectFile = z.looseObject({ name: z.string(), stackConfigDir: z.string().optional() });

/** This program's folder. */
export const ownFolder = resolve(import.meta.dirname, "..");

/** @throws CommandError when the folder holds no Pulumi program */
export function programIn(folder: string, stack: string): Program {
  const file = join(resolve(folder), "Pulumi.yaml");
  try {
    const { name, stackConfigDir } = projectFile.parse(parse(readFileSync(file, "utf8")));
    return { folder: resolve(folder), project: name, stack, stackFile: join(resolve(folder), stackConfigDir ?? ".", `Pulumi.${stack}.yaml`) };
  } catch (error) {
    throw new CommandError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}; expected a Pulumi program's folder`, {
      ending: "usage",
      cause: error,
    });
  }
}
