// The program under test: one remote.Command for each entry of commands.json.
import { readFileSync } from "node:fs";
import { remote } from "@pulumi/command";
import { secret } from "@pulumi/pulumi";
import type { CommandSpec } from "./spec.ts";

const commands: Record<string, CommandSpec> = JSON.parse(readFileSync("commands.json", "utf8"));

for (const [name, { secretStdin, ...spec }] of Object.entries(commands)) {
  new remote.Command(name, secretStdin === undefined ? spec : { ...spec, stdin: secret(secretStdin) });
}
