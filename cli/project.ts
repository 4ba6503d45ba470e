import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { messageOf } from "../components/model/text.ts";
import { CommandError, issuesIn } from "./command-error.ts";

/** A Pulumi project's folder, its name, and the folder of its stack files. */
interface Project {
  readonly folder: string;
  readonly project: string;
  readonly stackFolder: string;
}

/** A stack of a Pulumi program, without the engine. */
export interface Program extends Pick<Project, "folder" | "project"> {
  readonly stack: string;
  readonly stackFile: string;
}

const projectFile = z.looseObject({ name: z.string(), stackConfigDir: z.string().optional() });

const checkout = join(import.meta.dirname, "..");

/** The project that is meant without --cwd: this checkout; for an installed package, where somebody is. */
export const ownFolder = existsSync(join(checkout, "Pulumi.yaml")) ? checkout : process.cwd();

/** @throws CommandError (bad usage) when the folder holds no Pulumi program */
export function readProject(path: string): Project {
  const folder = resolve(path);
  const file = join(folder, "Pulumi.yaml");
  try {
    const { name, stackConfigDir } = projectFile.parse(parse(readFileSync(file, "utf8")));
    return { folder, project: name, stackFolder: join(folder, stackConfigDir ?? ".") };
  } catch (error) {
    const why = error instanceof z.ZodError ? issuesIn(error) : messageOf(error);
    throw CommandError.usage(`Cannot read ${file}: ${why}; expected a Pulumi program's folder`, error);
  }
}

/** @throws CommandError (bad usage) when that cannot be a stack's name */
export function programOf({ folder, project, stackFolder }: Project, stack: string): Program {
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(stack)) {
    throw CommandError.usage(
      `Cannot choose a stack: saw "${stack}"; expected a name of letters, digits, dots, underscores and hyphens`,
    );
  }
  return { folder, project, stack, stackFile: join(stackFolder, `Pulumi.${stack}.yaml`) };
}

/** The stacks that have a file, sorted; the example is none. */
export function stackNames({ stackFolder }: Project): string[] {
  // Git keeps no empty folder
  return (existsSync(stackFolder) ? readdirSync(stackFolder) : [])
    .flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? [])
    .filter((name) => name !== "example")
    .sort();
}

/**
 * The stacks that a command is about: those named, or all that have a file, or the only one there is.
 * @throws CommandError (bad usage) when it is not clear which
 */
export function chooseStacks(project: Project, named: readonly string[], isAll: boolean): string[] {
  const available = stackNames(project);
  const choices =
    available.length === 0 ? `a stack file in ${project.stackFolder}: there is none` : available.join(", ");
  if (isAll && named.length > 0) {
    throw CommandError.usage(
      `Cannot choose stacks: both --all and ${named.join(", ")} were given; expected one of them`,
    );
  }
  const unknown = named.filter((name) => !available.includes(name));
  if (unknown.length > 0) {
    throw CommandError.usage(`Cannot find the stack file of ${unknown.join(", ")}; expected ${choices}`);
  }
  const chosen = isAll || (named.length === 0 && available.length === 1) ? available : [...new Set(named)];
  if (chosen.length === 0) {
    throw CommandError.usage(`Cannot choose a stack: none was given; expected ${choices}`);
  }
  return chosen;
}

/** The stack that a command is about: the named one, or the only one there is. @throws CommandError (bad usage) when it is not clear which */
export function chooseStack(folder: string, named: string | undefined): Program {
  const project = readProject(folder);
  const [stack = ""] = chooseStacks(project, named === undefined ? [] : [named], false);
  return programOf(project, stack);
}
