// The program of a fleet test: one remote.Command, taken from what work.json has for this stack.
import { readFileSync } from "node:fs";
import { remote } from "@pulumi/command";
import { getStack } from "@pulumi/pulumi";
import type { CommandSpec } from "./spec.ts";

const work: Record<string, CommandSpec> = JSON.parse(readFileSync("work.json", "utf8"));
const spec = work[getStack()];
if (spec !== undefined) {
  new remote.Command("step", spec);
}
