import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { prometheusOf } from "../../cli/status/formats.ts";
import { runCommand } from "../../tools/engine/run-command.ts";
import { drifted } from "../cli/made-up.ts";
import { prometheusFolder } from "./prometheus.ts";
import { freePort } from "./ssh-server.ts";

// What monitoring/ promises, judged by Prometheus itself.

const monitoring = join(import.meta.dirname, "..", "..", "monitoring");
const read = (file: string) => readFileSync(join(monitoring, file), "utf8");
const folder = mkdtempSync(join(tmpdir(), "monitoring-"));
const metrics = prometheusOf([{ stack: "prod-a", status: drifted() }], Date.now());
const running: { programs: ChildProcess[]; servers: Server[] } = { programs: [], servers: [] };
let programs = "";

beforeAll(async () => {
  programs = await prometheusFolder();
});

afterAll(async () => {
  await Promise.all(
    running.programs.map((child) => new Promise((resolve) => child.once("close", resolve) && child.kill())),
  );
  await Promise.all(running.servers.map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true, force: true });
});

const promtool = (...args: string[]) => runCommand(join(programs, "promtool"), args, { folder });

test("the alert rules fire when they should and not before", async () => {
  for (const file of ["prometheus.rules.yaml", "prometheus.rules.test.yaml"]) {
    cpSync(join(monitoring, file), join(folder, file));
  }
  const result = await promtool("test", "rules", "prometheus.rules.test.yaml");
  expect(result.code, result.output).toBe(0);

  // and promtool would have said if one did not
  writeFileSync(
    join(folder, "prometheus.rules.yaml"),
    read("prometheus.rules.yaml").replace("for: 2h", "for: 1h"),
  );
  expect((await promtool("test", "rules", "prometheus.rules.test.yaml")).code).not.toBe(0);
});

test("every alert has a test, a summary and a command to run", () => {
  const rule = z.object({
    alert: z.string(),
    annotations: z.object({
      summary: z.string(),
      description: z.string().regex(/npx etcd-rotation|systemctl/),
    }),
  });
  const { groups } = z
    .object({ groups: z.array(z.object({ rules: z.array(rule) })) })
    .parse(parse(read("prometheus.rules.yaml")));
  const names = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    expect(read("prometheus.rules.test.yaml")).toMatch(
      new RegExp(`alertname: ${name}\\n +exp_alerts|alertname: ${name}, exp_alerts`),
    );
  }
});

test("Prometheus takes the metrics without a remark", async () => {
  writeFileSync(join(folder, "metrics"), metrics);
  const result = await runCommand(
    "bash",
    ["-c", '"$1" check metrics < metrics', "bash", join(programs, "promtool")],
    { folder },
  );
  expect(result).toEqual({ code: 0, output: "" });
});

test("every query of the dashboard finds something in the metrics", async () => {
  const source = createServer((_, answer) => answer.end(metrics));
  running.servers.push(source);
  const port = await freePort("127.0.0.1");
  await new Promise<void>((resolve) => source.listen(port, "127.0.0.1", resolve));
  const server = await startPrometheus(port);

  const target = z.object({ expr: z.string() });
  const dashboard = z
    .object({
      panels: z.array(z.object({ title: z.string(), targets: z.array(target) })),
      templating: z.object({ list: z.array(z.unknown()) }),
    })
    .parse(JSON.parse(read("grafana.json")));
  const queries = dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ title, expr: expr.replaceAll("$stack", ".*") })),
  );
  expect(queries).toHaveLength(8);
  const empty: string[] = [];
  for (const { title, expr } of queries) {
    const { code, output } = await promtool("query", "instant", server, expr);
    expect(code, `${title}: ${output}`).toBe(0);
    if (output.trim() === "") {
      empty.push(title);
    }
  }
  expect(empty).toEqual([]);
});

test("systemd takes the timer and its service, and the job's container is given the same command", async () => {
  const units = ["etcd-rotation-status.service", "etcd-rotation-status.timer"];
  for (const unit of units) {
    // the folder and the programs are the site's own
    writeFileSync(join(folder, unit), read(unit).replace("/usr/bin/npx", "/bin/true"));
  }
  const result = await runCommand("systemd-analyze", [
    "verify",
    "--man=no",
    ...units.map((unit) => join(folder, unit)),
  ]);
  expect(result).toEqual({ code: 0, output: "" });

  const command = "npx etcd-rotation status --all --prometheus";
  expect(read("etcd-rotation-status.service")).toContain(
    `ExecStart=/usr/bin/${command} --output /var/lib/node_exporter/textfile/etcd-rotation.prom\n`,
  );
  const container = z.object({ args: z.tuple([z.string().startsWith(command)]) });
  const pod = z.object({ spec: z.object({ containers: z.tuple([container]) }) });
  z.object({ spec: z.object({ jobTemplate: z.object({ spec: z.object({ template: pod }) }) }) }).parse(
    parse(read("cronjob.yaml")),
  );
});

/** A server on the loopback that has read the metrics once; its address. */
async function startPrometheus(source: number): Promise<string> {
  const port = await freePort("127.0.0.1");
  const config = {
    scrape_configs: [
      { job_name: "status", scrape_interval: "1s", static_configs: [{ targets: [`127.0.0.1:${source}`] }] },
    ],
  };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
  const args = [
    "--config.file=prometheus.yml",
    "--storage.tsdb.path=data",
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn(join(programs, "prometheus"), args, { cwd: folder, stdio: "ignore" });
  running.programs.push(child);
  const server = `http://127.0.0.1:${port}`;
  for (;;) {
    const { code, output } = await promtool(
      "query",
      "instant",
      server,
      "etcd_rotation_look_timestamp_seconds",
    );
    if (code === 0 && output.trim() !== "") {
      return server;
    }
    if (child.exitCode !== null) {
      throw new Error(`Prometheus ended with exit code ${child.exitCode}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
