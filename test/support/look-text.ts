import type { Component } from "../../components/model/layout.ts";

/** What cli/node/look.sh prints on such a machine. */
export function lookText(hostname: string, flags: Readonly<Partial<Record<Component, readonly string[]>>>, memberRows: readonly string[]): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return [
    "look 1",
    `hostname ${hostname}`,
    ...Object.entries(flags).map(([component, own]) => `arguments ${component} ${base64(own.join("\n"))}`),
    ...memberRows.map((row) => `member ${base64(row)}`),
    "end",
    "",
  ].join("\n");
}
