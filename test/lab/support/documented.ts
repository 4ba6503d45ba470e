import { readFileSync } from "node:fs";
import { join } from "node:path";

const operations = join(import.meta.dirname, "..", "..", "..", "docs", "operations.md");

/**
 * The code blocks of a section of docs/operations.md, in their order, without the prompt of a master's root shell.
 * @throws when there is no such section, or it has no block
 */
export function documentedBlocks(heading: string): string[] {
  const [, section = ""] = readFileSync(operations, "utf8").split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  const blocks = [...own.matchAll(/^ *```bash\n(.*?)^ *```$/gms)].map(([, text = ""]) => text.replaceAll(/^ *(# )?/gm, ""));
  if (blocks.length === 0) {
    throw new Error(`Cannot find commands under "${heading}" in ${operations}`);
  }
  return blocks;
}
