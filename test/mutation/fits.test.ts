import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { equivalents } from "./equivalents.ts";
import { mutate, testNamed } from "./mutation.ts";
import { programMutations } from "./programs.ts";
import { scriptMutations } from "./scripts.ts";

const root = join(import.meta.dirname, "..", "..");

test("every listed fault can be made in the file of today, and its test is there", () => {
  const misfits = [...scriptMutations, ...programMutations].flatMap((mutation) => {
    try {
      testNamed(readFileSync(join(root, "test", mutation.tests), "utf8"), mutation);
      const text = mutate(readFileSync(join(root, mutation.file), "utf8"), mutation);
      // what no bash reads would be seen by every test
      return mutation.file.endsWith(".sh")
        ? spawnSync("bash", ["-n"], { input: text, encoding: "utf8" }).stderr
        : "";
    } catch (error) {
      return String(error);
    }
  });
  expect(misfits.filter((each) => each !== "")).toEqual([]);
});

test("every fault that is called none stands in the file of today", () => {
  const lines = (file: string) => readFileSync(join(root, file), "utf8").split("\n");
  expect(
    equivalents.filter(
      ({ file, line, from = "" }) => !lines(file).some((text) => text.includes(line) && text.includes(from)),
    ),
  ).toEqual([]);
});

test("a fault whose text is gone, or is there twice, is an error that names file and text", () => {
  const mutation = { file: "a.sh", from: "umask 077", to: ":", tests: "node/a.bats", test: "nobody" };
  for (const text of ["umask 022", "umask 077\numask 077"]) {
    expect(() => mutate(text, mutation)).toThrow('Cannot change a.sh: "umask 077" stands there');
  }
  expect(mutate("umask 077 # $&", { ...mutation, to: "$&" })).toBe("$& # $&");
});

test("a name that no test has, or two have, is an error", () => {
  const mutation = { file: "a.sh", from: "", to: "", tests: "node/a.bats", test: "nobody" };
  expect(testNamed('@test "nobody reads it" {\n@test "all write" {', mutation)).toBe("nobody reads it");
  for (const text of ['@test "all" {', '@test "nobody reads" {\n@test "nobody writes" {']) {
    expect(() => testNamed(text, mutation)).toThrow('Cannot find the test "nobody" in test/node/a.bats');
  }
});
