import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { html } from "../../cli/report/markup.ts";
import { chromium, openPage } from "../support/chromium.ts";
import { checkpoint, first, type MadeUp } from "./states.ts";

// The command on a copy of a made-up history, without an engine.

const folder = mkdtempSync(join(tmpdir(), "cli report "));
const history = join(folder, "history");

beforeEach(() => {
  rmSync(folder, { recursive: true });
  mkdirSync(history, { recursive: true });
  writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\n");
  writeFileSync(join(folder, "Pulumi.prod.yaml"), "config: {}\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function report(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const program = join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js");
  const words = [program, "report", "prod", "--cwd", folder, "--history", history, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { code: status, stdout, stderr };
}

/** A step as the engine writes it; its inputs are not for a report. */
function step(name: string, attempt: string, minute: number, stderr = "", cluster = ""): object {
  const [phase, master] = [name.split("-")[0], name.slice(name.indexOf("-") + 1)];
  return {
    urn: `urn:pulumi:prod::etcd-rotation::etcd-rotation:index:Rollout$command:remote:Command::${cluster}${name}`,
    type: "command:remote:Command",
    created: `2026-11-25T01:0${minute}:00.123456789Z`,
    inputs: { stdin: "-----BEGIN PRIVATE KEY-----", triggers: [attempt] },
    outputs: { stdin: "-----BEGIN PRIVATE KEY-----", stdout: `done ${attempt} ${phase} ${master}`, stderr },
  };
}

/** The state at the end of an update. */
function keep(number: number, made: MadeUp, result = "succeeded"): void {
  const base = join(history, `prod-179556${number}000000000000`);
  writeFileSync(`${base}.checkpoint.json`, checkpoint(made));
  const record = {
    kind: "update",
    result,
    startTime: 1_795_568_400,
    resourceChanges: { create: 3 },
  };
  writeFileSync(`${base}.history.json`, JSON.stringify(record));
}

const phases = ["backup", "trust", "issue", "settle", "retire", "verify"];
const restart = "master-1 trust: restarting etcd";
const wholeSteps = (attempt: string) =>
  phases.map((phase, index) => step(`${phase}-master-1`, attempt, index, phase === "trust" ? restart : ""));

test("writes the newest rollout as a page and as JSON, readable by all, and says where", () => {
  keep(1, { ...first, rollout: 1, more: wholeSteps("a1") });
  keep(2, { ...first, rollout: 2, more: wholeSteps("a2") });
  const base = join(folder, "reports", "prod-rollout-2");
  expect(report()).toEqual({
    code: 0,
    stdout: `Rollout 2 of prod: succeeded\n${base}.html\n${base}.json\n`,
    stderr: "",
  });
  expect(readdirSync(join(folder, "reports"))).toEqual(["prod-rollout-2.html", "prod-rollout-2.json"]);
  const page = readFileSync(`${base}.html`, "utf8");
  expect(page).toMatch(/^<!doctype html>.*<\/html>\n$/s);
  expect([...page.matchAll(/middle">(\d+ s|e)<\/text>/g)].map(([, text]) => text)).toEqual([
    "0 s",
    "60 s",
    "120 s",
    "180 s",
    "240 s",
    "300 s",
    "e",
  ]);
  expect(page).toContain("<tr><td>master-1</td><td>1</td><td>0</td>");
  const { code, stdout, stderr } = report(["--json"]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `Rollout 2 of prod: succeeded\n${base}.html\n${base}.json\n`,
  });
  expect(stdout).toBe(readFileSync(`${base}.json`, "utf8"));
  expect(JSON.parse(stdout)).toMatchObject({
    attempt: "a2",
    update: { changes: { create: 3 } },
    before: { rollout: 1 },
  });
});

test("a page loads and runs nothing, and whatever a state holds is text in it", () => {
  const evil = `</style><script src="//x">'&`;
  const said = `master-1 trust: ${evil}\n`;
  const failing = { more: [step("backup-master-1", "a1", 0), step("trust-master-1", "a1", 1, said)] };
  keep(1, { ...first, ...failing, rotation: evil, cluster: evil }, "failed");
  expect(report().code).toBe(0);
  const page = readFileSync(join(folder, "reports", "prod-rollout-1.html"), "utf8");
  expect(page).toContain("<td>&lt;/style&gt;&lt;script src=&quot;//x&quot;&gt;&#39;&amp;</td>");
  expect(page).toContain("<br>&lt;/style&gt;");
  expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|https?:|\bon\w+=/);
  expect(page).toContain(`<meta http-equiv="Content-Security-Policy" content="default-src 'none';`);
  expect(page).toContain("<p>trust on master-1 ended at 2026-11-25 01:01:00<br>");
});

test("nothing secret of a state is in either file", () => {
  keep(1, { ...first, more: wholeSteps("a1") });
  expect(checkpoint({ ...first, more: wholeSteps("a1") })).toMatch(/PRIVATE KEY.*|ciphertext/);
  expect(report().code).toBe(0);
  for (const name of readdirSync(join(folder, "reports"))) {
    const text = readFileSync(join(folder, "reports", name), "utf8");
    expect(text).not.toMatch(/PRIVATE|BEGIN|cipher|v1:|salt/);
    expect(text).toContain("etcd-ca");
  }
});

test("a later update that failed before its first step is named, and a state that is cut hides no other", () => {
  keep(1, { ...first, more: wholeSteps("a1") });
  keep(2, { ...first, more: wholeSteps("a1") }, "failed");
  writeFileSync(join(history, "prod-1795563000000000000.checkpoint.json"), "{");
  const { code, stdout, stderr } = report();
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^Rollout 1 of prod: succeeded\n/),
  });
  expect(stderr).toMatch(
    /^notice: 3: Cannot read the state in .*\nnotice: update 2, after it, has failed before a step had ended\n$/,
  );
});

test("a stack of several clusters: a report of each, by its own names, the number from its backup", () => {
  const urn = (name: string) => `urn:pulumi:prod::etcd-rotation::etcd-rotation:index:EtcdRotation::${name}`;
  const clusters = ["a", "a-b"].flatMap((name) => {
    const own = (phase: string, minute: number, stderr = "") => ({
      ...step(`${phase}-master-1`, `of-${name}`, minute, stderr, `${name}-`),
      parent: urn(name),
    });
    return [
      { urn: urn(name), type: "etcd-rotation:index:EtcdRotation", outputs: {} },
      own("backup", 1, `master-1 backup: backup in /b/rollout-${name.length + 3}`),
      own("trust", 2),
    ];
  });
  const pendingOperations = [{ resource: { urn: `${urn("x").slice(0, -1)}a-issue-master-1` } }];
  keep(1, { ...first, more: clusters, pendingOperations }, "failed");
  const { code, stdout, stderr } = report(["--json"]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: ["a-rollout-4", "a-b-rollout-6"]
      .map((name) => {
        const base = join(folder, "reports", `prod-${name}`);
        return `Rollout ${name.at(-1)} of prod/${name.slice(0, -10)}: failed\n${base}.html\n${base}.json\n`;
      })
      .join(""),
  });
  expect(JSON.parse(stdout)).toMatchObject([
    { stack: "prod/a", rollout: 4, attempt: "of-a", masters: ["master-1"], pending: ["issue-master-1"] },
    { stack: "prod/a-b", rollout: 6, attempt: "of-a-b", masters: ["master-1"], pending: [] },
  ]);
  expect(report(["--rollout", "6"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Rollout 6 of prod\/a-b: failed\n/),
  });
  expect(report(["--rollout", "5"])).toMatchObject({
    code: 3,
    stderr: "Cannot report rollout 5 of prod; expected one of 4, 6\n",
  });
});

test("the page has what the probes have seen, and says where there was none", () => {
  const seen = (line: string) => ({ line: `probe master-1 ${line}\n` });
  const made = [
    { ...step("backup-master-1", "a1", 0), ...seen("etcd answers 9 0 520 100 20") },
    { ...step("trust-master-1", "a1", 2), ...seen("etcd answers 30 4 2510 10000 900") },
    { ...step("trust-master-1", "a1", 2), ...seen("kube-apiserver refused 1 1 10 100 0") },
    step("trust-master-2", "a1", 3, "master-2 trust: leadership handed to 10.0.0.1"),
  ];
  const more = made.map((each) => {
    const { line = "", outputs, ...rest } = each as { line?: string; outputs: { stdout: string } };
    return { ...rest, outputs: { ...outputs, stdout: `${line}${outputs.stdout}` } };
  });
  keep(1, { ...first, more });
  expect(report().code).toBe(0);
  const page = readFileSync(join(folder, "reports", "prod-rollout-1.html"), "utf8");
  const cells = [...page.matchAll(/<tr><td>(?:master-.)?<\/td><td>(?:etcd writes|API)<.*/g)].map(([row]) =>
    row
      .replaceAll(/<[^>]*>/g, " ")
      .replaceAll(/ +/g, " ")
      .trim(),
  );
  expect(cells).toEqual([
    "master-1 etcd writes 2.51 s 39 4 0.90 s",
    "API it may not ask 1 1",
    "master-2 etcd writes no probe",
    "API no probe",
  ]);
  expect(page).toContain("Leadership handed over from master-2 to 10.0.0.1 (trust).");
  // the long one alone, where it was: it ended ten seconds before its step
  expect([...page.matchAll(/<rect class="gap".*?<title>(.*?)<\/title>/gs)].map(([, title]) => title)).toEqual(
    ["writes: 2.51 s, until 2026-11-25T01:01:50.123Z"],
  );
  expect(page).not.toContain('<rect class="brief"');
});

test.runIf(chromium !== undefined)(
  "Chromium shows the page as it was written, and complains of nothing",
  () => {
    keep(1, { ...first, more: wholeSteps("a1") });
    expect(report().code).toBe(0);
    const file = join(folder, "reports", "prod-rollout-1.html");
    const options = ["--enable-logging=stderr", "--dump-dom"];
    const { status, stdout, stderr } = openPage(file, join(folder, "chromium"), ...options);
    expect(status, stderr).toBe(0);
    const countsIn = (page: string) =>
      ["rect", "svg", "table", "tr", "td", "div", "p", "text"].map((name) => [
        name,
        [...page.matchAll(new RegExp(`<${name}[ >]`, "g"))].length,
      ]);
    expect(countsIn(stdout)).toEqual(countsIn(readFileSync(file, "utf8")));
    expect(stderr).not.toContain("CONSOLE");
  },
);

test("--open hands the page to the desktop; without one it says so", () => {
  keep(1, { ...first, more: wholeSteps("a1") });
  const programs = join(folder, "programs");
  mkdirSync(programs);
  expect(report(["--open"], { PATH: programs })).toMatchObject({
    code: 0,
    stderr: "notice: cannot open it: spawn xdg-open ENOENT\n",
  });
  writeFileSync(
    join(programs, "xdg-open"),
    `#!/bin/sh\nprintf %s "$1" >'${folder}/opened.new'; mv '${folder}/opened.new' '${folder}/opened'\n`,
  );
  chmodSync(join(programs, "xdg-open"), 0o755);
  expect(report(["--open"], { PATH: `${programs}${delimiter}${process.env["PATH"]}` }).stderr).toBe("");
  return expect
    .poll(() => existsSync(join(folder, "opened")) && readFileSync(join(folder, "opened"), "utf8"), {
      timeout: 10_000,
    })
    .toBe(join(folder, "reports", "prod-rollout-1.html"));
});

test("markup stays what it is, text and numbers become text", () => {
  const inner = html`<b>${"<"}</b>`;
  expect(html`${inner}${[inner, inner]}${1}${'"'}`.markup).toBe("<b>&lt;</b><b>&lt;</b><b>&lt;</b>1&quot;");
});
