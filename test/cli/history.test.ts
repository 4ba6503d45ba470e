import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeEach, expect, test } from "vitest";
import { entriesIn, readStateFile } from "../../cli/state/history.ts";

const folder = mkdtempSync(join(tmpdir(), "cli history "));
beforeEach(() => {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

test("numbers the states from the oldest, whatever packs them, and leaves other files out", () => {
  const packed = write("prod-1795568730506057392.checkpoint.json.gz", gzipSync("second"));
  const plain = write("prod-1795568726202350461.checkpoint.json", "first");
  const zst = write("prod-1795569649829839289.checkpoint.json.zst", zstdCompressSync("third"));
  write(
    "prod-1795568726202350461.history.json",
    '{"kind":"update","result":"succeeded","startTime":1795568700,"resourceChanges":{"create":2}}',
  );
  write("prod-1795568730506057392.history.json.gz", gzipSync('{"kind":"update","result":"failed"}'));
  write(
    "prod-1795568726202350461.checkpoint.json.attrs",
    JSON.stringify({ md5: createHash("md5").update("first").digest("base64") }),
  );
  write("notes.json", "{}");
  expect(entriesIn(folder)).toEqual([
    {
      number: 1,
      file: plain,
      time: 1_795_568_726_202,
      result: "succeeded",
      started: 1_795_568_700_000,
      changes: { create: 2 },
    },
    { number: 2, file: packed, time: 1_795_568_730_506, result: "failed" },
    { number: 3, file: zst, time: 1_795_569_649_829, result: "unknown" },
  ]);
  expect([plain, packed, zst].map(readStateFile)).toEqual(["first", "second", "third"]);
});

test("a stack without updates has no states", () => {
  expect(entriesIn(join(folder, "nothing"))).toEqual([]);
});

test("a file that was changed after Pulumi had written it is refused", () => {
  const file = write("prod-1795568726202350999.checkpoint.json", "changed");
  write(
    "prod-1795568726202350999.checkpoint.json.attrs",
    JSON.stringify({ md5: createHash("md5").update("written").digest("base64") }),
  );
  expect(() => readStateFile(file)).toThrow(
    "Cannot read the state in prod-1795568726202350999.checkpoint.json: it is not what Pulumi wrote: its sum differs from the one in the .attrs file beside it, so it was cut or changed. Nothing was changed",
  );
});

test.each([
  ["cut", gzipSync("a state that was packed").subarray(0, 20), "unexpected end of file"],
  ["missing", undefined, "no such file or directory"],
])("a packed file that is %s is refused", (name, content, seen) => {
  const file = join(folder, `${name}.json.gz`);
  if (content !== undefined) {
    writeFileSync(file, content);
  }
  expect(() => readStateFile(file)).toThrow(
    new RegExp(`^Cannot read the state in ${name}\\.json\\.gz: .*${seen}.*\\. Nothing was changed$`),
  );
});
