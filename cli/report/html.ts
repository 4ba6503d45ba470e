import type { EndedStep, Probed } from "../../components/model/ended-steps.ts";
import { components } from "../../components/model/layout/rows.ts";
import { phases } from "../../components/model/plan.ts";
import type { ReportedCertificate, RolloutReport } from "../../components/model/rollout-report.ts";
import { type Html, html, type Part } from "./markup.ts";
import { timeLine } from "./time-line.ts";

/** One file by itself: it loads nothing, and runs nothing. */
export function pageOf(report: RolloutReport): string {
  const title = `Rollout ${report.rollout} of ${report.stack}: ${report.result}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<h1>${title}</h1>
${summary(report)}
${endOf(report)}
<h2>Time line</h2>
<p>A bar is a step, as the engine has recorded it (UTC): from the end of the last thing that it waited for to its own end, gate \
included. The letters below are what it has restarted, in that order. Below them, for writes through the master's etcd and for its \
API server, the longest time without a success that the probe has seen in each step.</p>
${timeLine(report)}
<h2>What it has cost</h2>
${table(
  ["master", "", "longest gap", "tries", "failed", "slowest"],
  report.masters.flatMap((master) => [
    [master, "etcd writes", ...gapOf(report.probes[master]?.etcd)],
    ["", "API", ...gapOf(report.probes[master]?.["kube-apiserver"])],
  ]),
)}
<p>A gap is between two successes of the probe on that master, which tries its own etcd and API server, and no other, twice a second: \
clients that go on to another master have less. ${movesOf(report)}</p>
${table(
  ["restarts", ...components],
  report.masters.map((master) => [
    master,
    ...components.map((component) => report.restarts[master]?.[component] ?? 0),
  ]),
)}
<h2>Certificates</h2>
<p>${beforeOf(report)} In use: seen by verify of this rollout; otherwise only what the state has.</p>
${table(
  ["where", "certificate", "", "SHA-256 before", "SHA-256 after", "ends", "in use"],
  report.certificates.map(certificateRow),
)}
${list(
  "Refused",
  report.refused.map(({ master, leaves }) => `${master} refuses ${leaves} client leaves from its backups`),
)}
${list("Still to do", report.carriers)}
<h2>Steps</h2>
${table(["ended (UTC)", "after", "step", "what it said"], report.steps.map(stepRow))}
${list(
  "Later updates without a step",
  report.later.map(({ number, started, result }) => `${number}: ${instant(started)}: ${result}`),
)}
</body>
</html>
`.markup;
}

function summary({ stack, cluster, rotation, rollout, attempt, result, update }: RolloutReport): Html {
  const changes = Object.entries(update.changes).map(([operation, count]) => `${count} ${operation}`);
  const rows: readonly (readonly [string, string])[] = [
    ["stack", stack],
    ["etcd cluster", cluster ?? "unknown"],
    ["rotation", rotation ?? "unknown"],
    ["rollout", `${rollout}, attempt ${attempt}`],
    ["result", results[result]],
    ["update", update.number === undefined ? "not in the history" : `${update.number} of the history`],
    ["began, ended (UTC)", `${instant(update.started)}, ${instant(update.ended)}`],
    ["resources", changes.join(", ") || "unknown"],
  ];
  return html`<table>${rows.map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}</table>`;
}

const results: Readonly<Record<RolloutReport["result"], string>> = {
  succeeded: "succeeded: every gate has passed, and verify has ended on every master",
  held: "held: old and new authorities are trusted, and the next up goes on from there",
  failed: "failed",
  unfinished: "unfinished: it still runs, or the engine was killed",
};

/** Of one that has not come to its end: the last thing that happened, and what did not. */
function endOf({ steps, remaining, pending, result }: RolloutReport): Html {
  const last = steps.at(-1);
  if (last === undefined || result === "succeeded" || result === "held") {
    return html``;
  }
  return html`<h2>The last thing that happened</h2>
<p>${last.phase} on ${last.master} ended at ${instant(last.ended)}${last.words.map((line) => html`<br>${line}`)}</p>
<p>Not ended: ${remaining.join(", ") || "nothing"}.${pending.length === 0 ? "" : ` At work: ${pending.join(", ")}.`} \
The state does not have what a step that failed has said: the log of up has it.</p>`;
}

function gapOf(probed: Probed | undefined): Part[] {
  if (probed === undefined) {
    return ["no probe", "", "", ""];
  }
  const { state, tries, failures, longestGapMilliseconds: gap, slowestMilliseconds: slowest } = probed;
  switch (state) {
    case "refused":
      return ["it may not ask", tries, failures, ""];
    case "silent":
      return ["no answer", tries, failures, ""];
    case "answers":
      return [seconds(gap), tries, failures, seconds(slowest)];
    default:
      return state satisfies never;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

function movesOf({ leadershipMoves }: RolloutReport): string {
  const moves = leadershipMoves.map(({ from, to, phase }) => `from ${from} to ${to} (${phase})`);
  return moves.length === 0
    ? "No step has handed leadership over."
    : `Leadership handed over ${moves.join(", ")}.`;
}

function beforeOf({ before }: RolloutReport): string {
  return before === undefined
    ? "Before: not known, since the history has no earlier rollout that ended well."
    : `Before: after rollout ${before.rollout}, which ended at ${instant(before.ended)}.`;
}

function certificateRow({ place, role, before, after, change, isSeen }: ReportedCertificate) {
  return [
    place,
    role,
    change,
    html`<code>${before?.fingerprint ?? "unknown"}</code>`,
    html`<code>${after.fingerprint}</code>`,
    `${before?.notAfter.slice(0, 10) ?? "unknown"} → ${after.notAfter.slice(0, 10)}`,
    isSeen ? "yes" : "not seen",
  ];
}

function stepRow({ phase, master, started, ended, words }: EndedStep) {
  return [
    instant(ended),
    seconds(Date.parse(ended) - Date.parse(started)),
    html`<span class="key ${phase}"></span> ${phase} ${master}`,
    words.map((line) => html`<div>${line}</div>`),
  ];
}

function list(title: string, lines: readonly string[]): Html {
  return lines.length === 0
    ? html``
    : html`<h2>${title}</h2><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

function table(titles: readonly string[], rows: readonly (readonly Part[])[]): Html {
  return html`<div class="wide"><table>
<thead><tr>${titles.map((title) => html`<th>${title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}

/** `2026-11-28 01:01:56` */
function instant(time: string | undefined): string {
  return time?.slice(0, 19).replace("T", " ") ?? "unknown";
}

const colours = ["#7a869a", "#2f7ed8", "#2a9d5c", "#8a5cc4", "#d9822b", "#0f9d9d"];

const style: Html = {
  markup: `
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2330; --quiet: #5c6577; --line: #d5dae3; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171d; --ink: #e6e9ef; --quiet: #9aa4b5; --line: #343b48; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --quiet: #444; --line: #bbb; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr, svg { break-inside: avoid; }
  h2 { break-after: avoid; }
}
body { margin: 2em auto; max-width: 75em; padding: 0 1em; background: var(--paper); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; }
th, td { padding: .2em .8em .2em 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--quiet); font-weight: normal; }
code { font-size: 11px; overflow-wrap: anywhere; }
@media screen { .wide { overflow-x: auto; } }
.wide th, .wide td { white-space: nowrap; }
.wide td:has(code), .wide td:has(div) { white-space: normal; }
.wide code { display: block; min-width: 32ch; }
svg { width: 100%; min-width: 640px; height: auto; }
svg text { fill: var(--ink); font-size: 12px; }
svg line { stroke: var(--line); }
.key { display: inline-block; width: .8em; height: .8em; }
rect.track { fill: var(--line); }
.gap { fill: #c8372d; background: #c8372d; }
.brief { fill: #d9a32b; background: #d9a32b; }
svg text.small { fill: var(--quiet); font-size: 10px; }
${phases.map((phase, index) => `.${phase} { fill: ${colours[index]}; background: ${colours[index]}; }`).join("\n")}
`,
};
