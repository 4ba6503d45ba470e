import { readFileSync } from "node:fs";
import { clientsOf } from "../../components/model/clients.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { parseSurvey } from "../../components/model/read-survey.ts";

/** Reads a survey from standard input with the model's own parser, and prints its clients while new authorities are wanted: a line each, and the command. Its argument is the root of the master. */
const root = process.argv[2] ?? "";
const rows = ackLayout.map((row) => ({ ...row, path: `${root}${row.path}` }));
const found = parseSurvey("master-1", readFileSync(0, "utf8"), ackLayout, Date.now() / 1000);
for (const { name, isCutOff, command } of clientsOf(
  { masters: [found] },
  { rows, authorities: [], kept: {}, ignored: [] },
)) {
  process.stdout.write(`${name} ${isCutOff}\n${command.replace(/^run on master-1, as root: /, "")}\n`);
}
