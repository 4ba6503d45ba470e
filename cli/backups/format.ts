import { type Cell, table } from "../table.ts";
import type { KeptBackup, MasterBackups } from "./kept-backup.ts";

/** What a master keeps, for a person, in 80 columns. */
export function formatBackups({ name, present, backups, leftovers }: MasterBackups, stream: NodeJS.WriteStream): string {
  const now =
    present === undefined ? "no rollout yet" : `now rollout ${present.rollout}, rotation "${present.rotation}"${present.isComplete ? "" : ", unfinished"}`;
  const columns = [
    { title: "rollout", isNumber: true },
    { title: "taken (UTC)" },
    { title: "files", isNumber: true },
    { title: "rotation", isFlexible: true },
    { title: "set" },
    { title: "snapshot" },
  ];
  const notes = [
    ...backups.flatMap(({ rollout, damaged }) => (damaged.length === 0 ? [] : [`  backup ${rollout}: damaged or missing: ${damaged.join(", ")}`])),
    ...backups.flatMap(({ rollout, dataKib }) =>
      dataKib === undefined ? [] : [`  backup ${rollout}: holds a crash copy of etcd's data, ${size(dataKib * 1024)}`],
    ),
    ...leftovers.map((path) => `  left over: ${path}; the next step finishes or erases it`),
  ];
  return [`${name}: ${now}\n`, backups.length === 0 ? "  no backup\n" : table(columns, backups.map(row), 80, stream), ...notes.map((note) => `${note}\n`)].join(
    "",
  );
}

const styles = { complete: "green", original: "cyan", unfinished: "yellow" } as const;

function row({ rollout, taken, files, rotation, kind, damaged, snapshot }: KeptBackup): Cell[] {
  return [
    { text: String(rollout) },
    { text: taken?.slice(0, 16).replace("T", " ") ?? "-" },
    { text: String(files) },
    { text: rotation ?? "-" },
    damaged.length === 0 ? { text: kind, style: styles[kind] } : { text: "damaged", style: "red" },
    { text: snapshot === undefined ? "-" : `${size(snapshot.bytes)}${snapshot.revision === undefined ? "" : `, revision ${snapshot.revision}`}` },
  ];
}

function size(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / (1 << 20))} MiB`;
}
