import type { CertificateStatus, State } from "../../components/model/certificate-status.ts";
import { progressTitle } from "../../components/model/progress.ts";
import type { ClusterStatus } from "../../components/model/status.ts";
import { day, linesOf, size } from "../../components/model/text.ts";
import { type Cell, columns, displayWidth, type Paint, type Tone, toned, wrap } from "../terminal.ts";
import { type Outcome, stateOf } from "./look.ts";

/** Shorter names would not tell masters apart. */
const leastNameWidth = 8;
const gap = 2;

/** How a state looks. */
const tones: Readonly<Record<State, Tone>> = {
  expired: "bad",
  drifted: "bad",
  interrupted: "bad",
  unreachable: "bad",
  rotating: "warning",
  due: "warning",
  expiring: "warning",
  ok: "good",
  other: "quiet",
};

/** A cluster for a person: a line per certificate, masters side by side, then what is wrong. */
export function describeCluster(status: ClusterStatus, width: number, paint: Paint): string[] {
  return [
    `${paint("title", status.stack)}  ${stateWords(status, paint)}`,
    ...[summary(status), versions(status)].flatMap((text) =>
      wrap(text, width - gap).map((line) => `  ${line}`),
    ),
    ...tables(status, width, paint),
    ...remarks(status, width, paint),
  ];
}

/** Where there is a rollout that has not ended, also what it is doing: what is graver comes first. */
function stateWords({ state, progress }: ClusterStatus, paint: Paint): string {
  const own = paint(tones[state], state);
  if (progress === undefined) {
    return own;
  }
  const title = paint(tones[progress.state], progressTitle(progress));
  return progress.state === state ? title : `${own}; ${title}`;
}

function summary({ rollout, rotation, isComplete, lastBackup, masters }: ClusterStatus): string {
  const leader = masters.find((master) => master.isLeader);
  const members = masters.filter((master) => master.etcd === "healthy").length;
  return [
    rollout === undefined
      ? "no rollout yet"
      : `rollout ${rollout}, rotation "${rotation}", ${isComplete ? "complete" : "not complete on every master"}`,
    lastBackup === undefined ? "no backup" : `last backup rollout-${lastBackup}`,
    `etcd healthy on ${members} of ${masters.length}${leader === undefined ? "" : `, led by ${leader.name}`}`,
  ].join("; ");
}

/** What runs there, as far as the masters tell; of the databases the largest one. */
function versions({ masters, members }: ClusterStatus): string {
  const all = (each: readonly (string | undefined)[]) =>
    [...new Set(each.filter((one) => one !== undefined))].join(", ");
  const etcd = all(masters.map(({ etcdVersion }) => etcdVersion));
  const kubernetes = all(masters.map(({ kubernetesVersion }) => kubernetesVersion));
  const sizes = masters.flatMap(({ databaseBytes }) => databaseBytes ?? []);
  const ofEtcd = linesOf(
    etcd !== "" && `etcd ${etcd}`,
    members !== undefined && `${members} members`,
    sizes.length > 0 && `database ${size(Math.max(...sizes))}`,
  );
  return linesOf(
    ofEtcd.length > 0 && ofEtcd.join(", "),
    kubernetes !== "" && `Kubernetes ${kubernetes}`,
  ).join("; ");
}

/** One line of the table: certificates of one file with the same issuer and day of end. */
interface Line {
  readonly label: string;
  readonly issuer: string;
  readonly certificates: CertificateStatus[];
}

function tables(status: ClusterStatus, width: number, paint: Paint): string[] {
  const lines = tableLines(status.certificates);
  if (lines.length === 0) {
    return [];
  }
  const labels = Math.max(...lines.map(({ label }) => displayWidth(label)));
  const days = Math.max(5, ...lines.map((line) => daysOf(line).length));
  const fixed = gap + labels + gap + "2026-01-01".length + gap + days;
  const longest = Math.max(...status.masters.map(({ name }) => displayWidth(name)));
  const share = Math.floor((width - fixed) / status.masters.length) - gap;
  const perMaster = Math.max(leastNameWidth, Math.min(longest, share));
  const perBlock = Math.max(1, Math.floor((width - fixed) / (perMaster + gap)));
  const blocks = Array.from({ length: Math.ceil(status.masters.length / perBlock) }, (_, index) =>
    status.masters.slice(index * perBlock, (index + 1) * perBlock),
  );
  return blocks.flatMap((masters) => ["", ...table(masters, lines, perMaster, paint)]);
}

function table(
  masters: ClusterStatus["masters"],
  lines: readonly Line[],
  nameWidth: number,
  paint: Paint,
): string[] {
  const quiet = (text: string) => toned(paint, "quiet", text);
  const header = [
    quiet("  certificate"),
    quiet("ends"),
    { ...quiet("days"), isRight: true },
    ...masters.map(({ name }) => quiet(shortened(name, nameWidth))),
  ];
  const shown = lines.filter((line) =>
    line.certificates.some((each) => masters.some((master) => master.name === each.master)),
  );
  const texts = columns([header, ...shown.map((line) => cellsOf(line, masters, paint))]);
  return [
    ...texts.slice(0, 1),
    ...shown.flatMap((line, index) => [
      ...(line.issuer === shown[index - 1]?.issuer ? [] : [`${paint("quiet", "issued by")} ${line.issuer}`]),
      texts[index + 1] ?? "",
    ]),
  ];
}

function cellsOf(line: Line, masters: ClusterStatus["masters"], paint: Paint): (Cell | string)[] {
  const [first] = line.certificates;
  return [
    `  ${line.label}`,
    first === undefined ? "" : day(first.notAfter),
    { text: daysOf(line), isRight: true },
    ...masters.map(({ name, state }) => {
      const certificate = line.certificates.find((each) => each.master === name);
      return certificate === undefined
        ? toned(paint, "quiet", state === "unreachable" ? "?" : "-")
        : toned(paint, tones[certificate.state], certificate.state);
    }),
  ];
}

function daysOf({ certificates }: Line): string {
  return String(Math.min(...certificates.map((each) => each.daysLeft)));
}

/** In the order of the layout, grouped by issuer, so that what one authority has issued stands together. */
function tableLines(certificates: readonly CertificateStatus[]): Line[] {
  const lines = new Map<string, Line>();
  for (const each of certificates) {
    const { name, fingerprint } = each.issuer;
    const issuer = `${name} (${fingerprint?.slice(0, 8) ?? "not on any master"})`;
    const label =
      each.port === undefined ? each.file : `${each.file} :${each.port}${each.isOnDisk ? "" : " only"}`;
    const key = `${issuer} ${label} ${day(each.notAfter)}`;
    const line = lines.get(key) ?? { label, issuer, certificates: [] };
    line.certificates.push(each);
    lines.set(key, line);
  }
  return [...Map.groupBy(lines.values(), ({ issuer }) => issuer).values()].flat();
}

/** The end of a name tells masters apart. */
function shortened(name: string, width: number): string {
  const characters = [...name];
  while (displayWidth(characters.join("")) >= width) {
    characters.shift();
  }
  return displayWidth(name) <= width ? name : `…${characters.join("")}`;
}

function remarks({ findings, notes }: ClusterStatus, width: number, paint: Paint): string[] {
  const all = [
    ...findings.map(({ state, master, what }) => ({
      word: state,
      tone: tones[state],
      text: master === undefined || what.startsWith(`${master}:`) ? what : `${master}: ${what}`,
    })),
    ...notes.map((text) => ({ word: "note", tone: "quiet" as const, text })),
  ];
  const indent = Math.max(0, ...all.map(({ word }) => word.length)) + 2 * gap;
  const lines = all.flatMap(({ word, tone, text }) =>
    wrap(text, width - indent).map((line, index) =>
      index === 0
        ? `  ${paint(tone, word)}${" ".repeat(indent - gap - word.length)}${line}`
        : `${" ".repeat(indent)}${line}`,
    ),
  );
  return lines.length === 0 ? [] : ["", ...lines];
}

/** A line per cluster, for many of them: its state, its rollout, and what is the first to end. */
export function describeOverview(outcomes: readonly Outcome[], paint: Paint): string[] {
  const titles = ["stack", "state", "rollout", "rotation", "first to end", "days", "masters"];
  const header = titles.map((title) => toned(paint, "quiet", title));
  const rows = outcomes.map((outcome) => clusterCells(outcome, paint));
  return [...columns([header, ...rows]), "", countsOf(outcomes, paint)];
}

function clusterCells(outcome: Outcome, paint: Paint): (Cell | string)[] {
  const state = stateOf(outcome);
  const name = [outcome.stack, toned(paint, tones[state], state)];
  if ("problem" in outcome) {
    return [...name, "-", "-", "-", "-", "-"];
  }
  const { certificates, rollout, rotation, masters } = outcome.status;
  const counted = certificates.filter((each) => each.state !== "other");
  const [first] = counted.toSorted((a, b) => a.notAfter - b.notAfter);
  const reached = masters.filter((master) => master.state !== "unreachable").length;
  return [
    ...name,
    { text: String(rollout ?? "-"), isRight: true },
    rotation ?? "-",
    first === undefined ? "-" : day(first.notAfter),
    { text: String(first?.daysLeft ?? "-"), isRight: true },
    `${reached} of ${masters.length}`,
  ];
}

/** Such as `4 clusters: 3 ok, 1 due`. */
export function countsOf(outcomes: readonly Outcome[], paint: Paint): string {
  const groups = [...Map.groupBy(outcomes, stateOf)];
  const counts = groups.map(([state, { length }]) => paint(tones[state], `${length} ${state}`));
  return `${outcomes.length} clusters: ${counts.join(", ")}`;
}
