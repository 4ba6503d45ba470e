import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type MasterFacts, readAllFacts } from "./facts.ts";
import { stackFile } from "./stack-file.ts";
import { runCli } from "./support/cli.ts";
import { readSeed } from "./support/dice.ts";
import { underTraffic } from "./support/judged.ts";
import { drawHandover, useLab } from "./support/use-lab.ts";
import { assertServing, assertWell } from "./support/well.ts";

// Back to the files that were there before this program came, for which no state has keys; and forward again.

const minutes = 60_000;
const seed = readSeed("restore.test.ts");
let original: Record<string, MasterFacts>;
// Kubernetes' own certificates are renewed too, as on a real cluster; the lab's own set ends in weeks, within renewBefore
const its = useLab("restore", "taken-over", (stack) =>
  stack.configure({ crossCertificates: drawHandover(`${seed}/handover`), kubernetes: undefined }),
);

test(
  "the cluster is taken over: every certificate is another one",
  async () => {
    original = await readAllFacts(its.lab);
    const { code, output } = await its.stack.up();
    expect(code, output).toBe(0);
    const after = await readAllFacts(its.lab);
    for (const { name } of its.lab.masters) {
      for (const path of [
        "/var/lib/etcd/cert/ca.pem",
        "/var/lib/etcd/cert/etcd-server-key.pem",
        "/etc/kubernetes/pki/apiserver.crt",
        "/etc/kubernetes/admin.conf",
      ]) {
        expect({ name, path, hash: after[name]?.files[path]?.hash }).not.toEqual({
          name,
          path,
          hash: original[name]?.files[path]?.hash,
        });
      }
    }
  },
  10 * minutes,
);

test(
  "a preview of the way back says what is restored, and changes nothing",
  async () => {
    const [before, file] = [await readAllFacts(its.lab), readFileSync(stackFile(its.stack.name), "utf8")];
    const { code, stdout, stderr } = await runCli(
      its.stack,
      "rollback",
      "--to",
      "original",
      "--preview-only",
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(
      "The masters' own files from before rollout 1\nstack file: etcd-rotation:restore: nothing -> 1\n",
    );
    expect(stdout).toContain('Rollout 2 (rotation "restore-1", rolling):');
    expect(stdout).toContain("because master-2: etcd-server-key is not the wanted one");
    expect(stdout).toContain("because master-2: scheduler.conf is not the one of the backup");
    expect(stdout).toMatch(
      /notice: \S+ of master-1 is the first to end of what is restored, on \d{4}-\d\d-\d\d, within certificates\.renewBefore;/,
    );
    // no key is made, and none is replaced
    expect(stdout).not.toContain("tls:index");
    expect([await readAllFacts(its.lab), readFileSync(stackFile(its.stack.name), "utf8")]).toEqual([
      before,
      file,
    ]);
  },
  5 * minutes,
);

test(
  "back to the original set under traffic: the same bytes, owners and modes, the same certificates served",
  async () => {
    const keys = its.stack.keys();
    const violations = await underTraffic(its.lab, "original", async () => {
      const { code, stdout, stderr } = await runCli(
        its.stack,
        "rollback",
        "--to",
        "original",
        "--yes",
        "--json",
      );
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ outcome: "done", to: { number: "original", rollout: 1 } });
    });
    const restored = await readAllFacts(its.lab);
    for (const { name } of its.lab.masters) {
      expect({ name, files: restored[name]?.files, served: restored[name]?.served }).toEqual({
        name,
        files: original[name]?.files,
        served: original[name]?.served,
      });
    }
    expect(violations).toEqual([]);
    await assertServing(
      its.lab,
      its.lab.masters.map(({ name }) => name),
    );
    expect(its.stack.keys()).toEqual(keys);
    const { code, output } = await its.stack.preview("--expect-no-changes");
    expect(code, output).toBe(0);
    expect(output).toContain("Nothing to do: every master serves the wanted certificates.");
    expect(output).toContain("to go forward to the certificates of this stack, remove restore");
    const purge = await runCli(its.stack, "backups", "purge", "1", "--yes", "--original");
    expect([purge.code, purge.stderr]).toEqual([
      6,
      expect.stringContaining("Cannot remove backup 1: restore in the stack file names it"),
    ]);
  },
  10 * minutes,
);

test(
  "without restore, forward to the very certificates of the stack",
  async () => {
    const keys = its.stack.keys();
    // written anew, without what the command has added
    its.stack.configure({});
    const violations = await underTraffic(its.lab, "forward", async () => {
      const { code, output } = await its.stack.up();
      expect(code, output).toBe(0);
    });
    expect(violations).toEqual([]);
    expect(its.stack.keys()).toEqual(keys);
    await assertWell(its.lab, its.stack, its.baseline);
  },
  10 * minutes,
);
