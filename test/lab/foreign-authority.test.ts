import { X509Certificate } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeAuthority, makeLeaf } from "../model/openssl.ts";
import { startsOn } from "./facts.ts";
import { runProgram } from "./machine.ts";
import { runCli } from "./support/cli.ts";
import { restartEtcd } from "./support/foreign.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell, isServing } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";

// Somebody else's authority in etcd's trust file, with a client of its own, from before the take-over until the stack file drops it.

const minutes = 60_000;
// Kubernetes' own, which are left alone, last 20 days; the authority and its client end within renewBefore
const here = useLab("foreign", "f-0", (stack) => stack.configure({ certificates: { renewBefore: "10d" } }));
const authority = makeAuthority("/CN=backup-ca", 5);
const client = makeLeaf(authority, { subject: "/CN=backup-job", uses: "clientAuth", days: 5 });
const trustFile = (master: LabMaster) => join(master.root, "var/lib/etcd/cert/ca.pem");

/** What each member answers to the client; 000 without an answer. */
function answers(): Promise<string[]> {
  const folder = join(here.lab.folder, "backup-job");
  const words = [
    "-sk",
    "--max-time",
    "5",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    "--cert",
    join(folder, "client.pem"),
    "--key",
    join(folder, "key.pem"),
  ];
  return Promise.all(
    here.lab.masters.map(async ({ address }) => {
      const { stdout } = await runProgram(
        "ip",
        ["netns", "exec", here.lab.namespace, "curl", ...words, `https://${address}:2379/version`],
        {
          timeoutSeconds: 10,
        },
      );
      return stdout;
    }),
  );
}

/** A finished `up`, and the fewest members that answered the client at one time: one restarts at a time. */
async function upBesideClient(): Promise<{ readonly output: string; readonly fewest: number }> {
  const up = here.stack.startUp();
  const seen: number[] = [];
  const end = new AbortController();
  const asking = (async () => {
    while (!end.signal.aborted) {
      seen.push((await answers()).filter((answer) => answer === "200").length);
      await wait(300);
    }
  })();
  const { code, output } = await up.done;
  end.abort();
  await asking;
  expect(code, output).toBe(0);
  return { output, fewest: Math.min(...seen) };
}

const kept =
  'notice: etcd-ca of master-1, master-2, master-3 trusts "CN=backup-ca" \\(until \\d{4}-\\d\\d-\\d\\d\\), which has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted; set foreignAuthorities: keep if that is meant, else drop';

async function expectKept(): Promise<void> {
  for (const master of here.lab.masters) {
    const text = readFileSync(trustFile(master), "utf8");
    expect([text.match(/BEGIN CERTIFICATE/g)?.length, text.endsWith(authority.certPem)]).toEqual([2, true]);
  }
  expect(await answers()).toEqual(["200", "200", "200"]);
  const { code, output } = await here.stack.preview("--expect-no-changes");
  expect(code, output).toBe(0);
  expect(output).toContain("Nothing to do: every master serves the wanted certificates.");
  expect(output).toMatch(new RegExp(kept));
  const end = new Date(new X509Certificate(authority.certPem).validTo).toISOString().slice(0, 10);
  expect(output).toContain(`(until ${end})`);
  expect(output).not.toContain(`, on ${end}`);
  const status = await runCli(here.stack, "status", "--json");
  expect([status.code, status.stdout]).toEqual([0, expect.stringContaining("CN=backup-ca")]);
}

test(
  "it is named, its client is accepted through take-over and rotation; drop refuses the client, with one restart of etcd on each master",
  async () => {
    const folder = join(here.lab.folder, "backup-job");
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, "client.pem"), client.certPem);
    writeFileSync(join(folder, "key.pem"), client.keyPem, { mode: 0o600 });
    for (const master of here.lab.masters) {
      appendFileSync(trustFile(master), authority.certPem);
      await restartEtcd([master]);
      await until(`${master.name} is well`, () => isServing(here.lab));
    }
    expect(await answers()).toEqual(["200", "200", "200"]);

    expect((await here.stack.preview()).output).toMatch(new RegExp(kept));
    expect((await upBesideClient()).fewest).toBeGreaterThanOrEqual(2);
    await expectKept();

    here.stack.configure({ rotation: "f-1" });
    expect((await upBesideClient()).fewest).toBeGreaterThanOrEqual(2);
    await expectKept();

    here.stack.configure({ foreignAuthorities: "drop" });
    const preview = await here.stack.preview();
    expect(preview.output).toContain("because master-2: etcd-ca is not the wanted one");
    expect(preview.output).toMatch(
      /it goes in retire, and whoever has a certificate of it is refused from then on \(foreignAuthorities: drop\)/,
    );
    const before = await Promise.all(here.lab.masters.map((master) => startsOn(here.lab, master)));
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    const after = await Promise.all(here.lab.masters.map((master) => startsOn(here.lab, master)));
    expect(after).toEqual(before.map(({ etcd, api }) => ({ etcd: etcd + 1, api })));
    expect(await answers()).toEqual(["000", "000", "000"]);
    await assertWell(here.lab, here.stack, here.baseline);
  },
  30 * minutes,
);
