import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeAtomically } from "../../cli/files.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "write atomically "));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("a stack file that is a link stays one, and what it leads to is replaced", () => {
  mkdirSync(join(folder, "shared"));
  const real = join(folder, "shared", "prod.yaml");
  const link = join(folder, "Pulumi.prod.yaml");
  writeFileSync(real, "old");
  symlinkSync("shared/prod.yaml", link);
  writeAtomically(link, "new", 0o600);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(readFileSync(real, "utf8")).toBe("new");
  expect(statSync(real).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, "shared"))).toEqual(["prod.yaml"]);
});

test("a file that is not there is made", () => {
  writeAtomically(join(folder, "made"), "text", 0o644);
  expect(readFileSync(join(folder, "made"), "utf8")).toBe("text");
});

test("a file that others are to read, or to write, is theirs whatever the umask says", () => {
  const script = `
    import { writeAtomically } from ${JSON.stringify(join(import.meta.dirname, "..", "..", "cli", "files.ts"))};
    import { writeStackFile } from ${JSON.stringify(join(import.meta.dirname, "..", "..", "cli", "rollback", "rollback-plan.ts"))};
    process.umask(0o077);
    writeAtomically("own", "text", 0o644);
    writeAtomically("metrics", "text", 0o644, { isExact: true });
    writeStackFile({ stackFile: "shared.yaml" }, "text");
  `;
  writeFileSync(join(folder, "shared.yaml"), "old");
  chmodSync(join(folder, "shared.yaml"), 0o664);
  execFileSync(process.execPath, ["--input-type=module", "--eval", script], { cwd: folder });
  const modes = ["own", "metrics", "shared.yaml"].map((name) => statSync(join(folder, name)).mode & 0o777);
  expect(modes).toEqual([0o600, 0o644, 0o664]);
});

test.each([
  ["in no folder", "nowhere/made", "ENOENT: no such file or directory, open "],
  ["with the name of a folder", ".", "EISDIR: illegal operation on a directory, rename "],
])("a file %s is told by its own name, and nothing is left", (_, name, reason) => {
  const file = join(folder, name);
  expect(() => writeAtomically(file, "text", 0o644)).toThrow(
    expect.objectContaining({
      code: 2,
      message: expect.stringMatching(
        `^Cannot write ${file}: ${reason}.*; expected a file in a folder that is there, with room and the right to write$`,
      ),
    }),
  );
  expect(existsSync(`${file}.${process.pid}.tmp`)).toBe(false);
});
