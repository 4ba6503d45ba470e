import type { EndedStep } from "../../components/model/ended-steps.ts";
import { type Component, components } from "../../components/model/layout/rows.ts";
import { phases } from "../../components/model/plan.ts";
import type { RolloutReport } from "../../components/model/rollout-report.ts";
import { type Html, html } from "./markup.ts";

const [width, left, rowHeight, top] = [1000, 190, 72, 24];

/** Seconds from one line of the scale to the next; there are eight at most, of a rollout of half a day too. */
const scales = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200];

const letters: Readonly<Record<Component, string>> = {
  etcd: "e",
  "kube-apiserver": "a",
  kubelet: "k",
  "kube-controller-manager": "m",
  "kube-scheduler": "s",
};

/** Below it a try of the probe may just have come late. */
const briefMilliseconds = 1000;

const probeRows = [
  { target: "etcd", label: "writes", below: 40 },
  { target: "kube-apiserver", label: "API", below: 52 },
] as const;

/** A row per master, a bar per step, below each what it has restarted, and below those the gaps that the probe has seen. */
export function timeLine({ masters, steps }: RolloutReport): Html {
  const begin = Math.min(...steps.map(({ started }) => Date.parse(started)));
  const end = Math.max(begin + 1, ...steps.map(({ ended }) => Date.parse(ended)));
  const at = (time: number) => left + ((time - begin) / (end - begin)) * (width - left - 40);
  const height = top + masters.length * rowHeight;
  const total = (end - begin) / 1000;
  const scale = scales.find((seconds) => total / seconds <= 8) ?? total / 8;
  const ticks = Array.from({ length: Math.floor(total / scale) + 1 }, (_, index) => {
    const x = at(begin + index * scale * 1000).toFixed(1);
    return html`<line x1="${x}" x2="${x}" y1="${top - 6}" y2="${height}"/>
<text x="${x}" y="12" text-anchor="middle">${(index * scale).toFixed(scale < 1 ? 1 : 0)} s</text>`;
  });
  const bar = ({ phase, started, ended, restarts }: EndedStep, y: number) => {
    const [from, to] = [at(Date.parse(started)), at(Date.parse(ended))];
    return html`<rect class="${phase}" x="${from.toFixed(1)}" y="${y}" height="18" \
width="${Math.max(1, to - from - 1).toFixed(1)}"><title>${phase} ${started} to ${ended} ${restarts.join(", ")}</title></rect>
<text x="${((from + to) / 2).toFixed(1)}" y="${y + 32}" text-anchor="middle">\
${restarts.map((component) => letters[component]).join(" ")}</text>`;
  };
  const gaps = (own: readonly EndedStep[], y: number) =>
    probeRows.map(({ target, label, below }) => {
      const seen = own.flatMap(({ probe }) => probe.filter((each) => each.target === target));
      const [first, last] = [own[0], own.at(-1)];
      if (seen.length === 0 || first === undefined || last === undefined) {
        return html``;
      }
      const [from, to] = [at(Date.parse(first.started)), at(Date.parse(last.ended))];
      const marks = seen.map(({ longestGapMilliseconds: gap, gapEnded, failures, state }) => {
        const [begun, over] = [at(Math.max(begin, Date.parse(gapEnded) - gap)), at(Date.parse(gapEnded))];
        return state === "refused" || (gap < briefMilliseconds && failures === 0)
          ? html``
          : html`<rect class="${gap < briefMilliseconds ? "brief" : "gap"}" x="${begun.toFixed(1)}" y="${y + below}" height="8" \
width="${Math.max(2, over - begun).toFixed(1)}"><title>${label}: ${(gap / 1000).toFixed(2)} s, until ${gapEnded}</title></rect>`;
      });
      return html`<text class="small" x="${left - 6}" y="${y + below + 8}" text-anchor="end">${label}</text>
<rect class="track" x="${from.toFixed(1)}" y="${y + below + 3}" height="2" width="${(to - from).toFixed(1)}"/>${marks}`;
    });
  return html`<div class="wide"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Steps by master and time">
${ticks}
${masters.map((master, index) => {
  const y = top + index * rowHeight;
  const own = steps.filter((step) => step.master === master);
  return html`<text x="0" y="${y + 14}">${master}</text>${own.map((step) => bar(step, y))}${gaps(own, y)}\n`;
})}</svg></div>
<p><span class="key gap"></span> gap of ${briefMilliseconds / 1000} s and more &nbsp; \
<span class="key brief"></span> a shorter one with a failure</p>
<p>${phases.map((phase) => html`<span class="key ${phase}"></span> ${phase} &nbsp; `)} \
${components.map((component) => `${letters[component]} ${component}`).join(", ")}</p>`;
}
