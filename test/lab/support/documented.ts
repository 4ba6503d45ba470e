import { readFileSync } from "node:fs";
import { join } from "node:path";

const docs = join(import.meta.dirname, "..", "..", "..", "docs");

/**
 * The code blocks of a section of a page of docs/, in their order, without the prompt of a master's root shell.
 * @throws when there is no such section, or it has no block
 */
export function documentedBlocks(page: string, heading: string): string[] {
  const [, section = ""] = readFileSync(join(docs, page), "utf8").split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  const blocks = [...own.matchAll(/^ *```bash\n(.*?)^ *```$/gms)].map(([, text = ""]) =>
    text.replaceAll(/^ *(# )?/gm, ""),
  );
  if (blocks.length === 0) {
    throw new Error(`Cannot find commands under "${heading}" in docs/${page}`);
  }
  return blocks;
}
