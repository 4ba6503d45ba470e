import type { Component } from "../../components/model/layout/rows.ts";
import { oneLine } from "./one-line.ts";

/** What components/node/bin/look.sh prints on such a machine. */
export function lookText(
  hostname: string,
  flags: Readonly<Partial<Record<Component, readonly string[]>>>,
  memberRows: readonly string[],
): string {
  return [
    "look 1",
    `hostname ${hostname}`,
    "layout ack",
    ...Object.entries(flags).map(([component, own]) => `arguments ${component} ${oneLine(own.join("\n"))}`),
    ...memberRows.map((row) => `member ${row}`),
    "end",
    "",
  ].join("\n");
}
