import { type Project, stackNames } from "./stack-file.ts";

/**
 * The stacks that a command is about: those named, or all that have a file, or the only one there is.
 * @throws Error when it is not clear which
 */
export function chooseStacks(project: Project, named: readonly string[], isAll: boolean, command: string): string[] {
  const known = stackNames(project);
  const choices = known.length === 0 ? "a stack file in stacks/: there is none" : known.join(", ");
  if (isAll && named.length > 0) {
    throw new Error(`Cannot choose stacks: both --all and ${named.join(", ")} were given; expected one of them`);
  }
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`Cannot find the stack file of ${unknown.join(", ")}; expected ${choices}`);
  }
  const chosen = isAll ? known : [...new Set(named)];
  if (chosen.length > 0) {
    return chosen;
  }
  const [only, ...others] = known;
  if (only === undefined || others.length > 0) {
    throw new Error(`Cannot choose a stack: none was given; expected ${choices}. Run: npm run ${command} -- --all, or name them`);
  }
  return [only];
}
