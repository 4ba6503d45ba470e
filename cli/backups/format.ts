import { type Cell, columns } from "../columns.ts";
import { type Paint, painterFor } from "../paint.ts";
import type { KeptBackup, MasterBackups } from "./kept-backup.ts";

/** What a master keeps, for a person, in 80 columns. */
export function formatBackups({ name, present, backups, leftovers }: MasterBackups, stream: NodeJS.WriteStream): string {
  const now =
    present === undefined ? "no rollout yet" : `now rollout ${present.rollout}, rotation "${present.rotation}"${present.isComplete ? "" : ", unfinished"}`;
  const paint = painterFor(stream);
  const header: Cell[] = ["rollout", "taken (UTC)", "files", "rotation", "set", "snapshot"].map((text) => ({ text, style: (each) => paint("quiet", each) }));
  const table = columns([header, ...backups.map((backup) => row(backup, paint))], 80);
  const notes = [
    ...backups.flatMap(({ rollout, damaged }) => (damaged.length === 0 ? [] : [`  backup ${rollout}: damaged or missing: ${damaged.join(", ")}`])),
    ...backups.flatMap(({ rollout, dataKib }) =>
      dataKib === undefined ? [] : [`  backup ${rollout}: holds a crash copy of etcd's data, ${size(dataKib * 1024)}`],
    ),
    ...leftovers.map((path) => `  left over: ${path}; the next step finishes or erases it`),
  ];
  return [`${name}: ${now}\n`, backups.length === 0 ? "  no backup\n" : `${table.join("\n")}\n`, ...notes.map((note) => `${note}\n`)].join("");
}

const tones = { complete: "good", original: "plain", unfinished: "warning" } as const;

function row({ rollout, taken, files, rotation, kind, damaged, snapshot }: KeptBackup, paint: Paint): Cell[] {
  return [
    { text: String(rollout), isRight: true },
    { text: taken?.slice(0, 16).replace("T", " ") ?? "-" },
    { text: String(files), isRight: true },
    { text: rotation ?? "-", isFlexible: true },
    {
      text: damaged.length === 0 ? kind : "damaged",
      style: (text) => paint(damaged.length === 0 ? tones[kind] : "bad", text),
    },
    { text: snapshot === undefined ? "-" : `${size(snapshot.bytes)}${snapshot.revision === undefined ? "" : `, revision ${snapshot.revision}`}` },
  ];
}

function size(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / (1 << 20))} MiB`;
}
