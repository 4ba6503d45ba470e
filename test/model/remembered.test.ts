import { expect, test } from "vitest";
import { remembered, rememberedForPairs } from "../../components/model/remembered.ts";

const initial = (text: string) => text.slice(0, 1);

test("an answer is computed once for all that have one key", () => {
  const asked: string[] = [];
  const length = remembered((text: string) => {
    asked.push(text);
    return text.length;
  }, initial);
  expect([length("one"), length("two"), length("other"), length("two")]).toEqual([3, 3, 3, 3]);
  expect(asked).toEqual(["one", "two"]);
});

test("of two it is computed once for both keys, and which is first matters", () => {
  const asked: string[] = [];
  const pair = rememberedForPairs((one: string, other: string) => {
    asked.push(`${one} ${other}`);
    return `${initial(one)}${initial(other)}`;
  }, initial);
  expect([pair("a", "b"), pair("b", "a"), pair("ax", "bx"), pair("a", "c")]).toEqual([
    "ab",
    "ba",
    "ab",
    "ac",
  ]);
  expect(asked).toEqual(["a b", "b a", "a c"]);
});
