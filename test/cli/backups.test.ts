import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Action, backupsScript, formatBackups } from "../../cli/backups/backups.ts";
import {
  type KeptBackup,
  type MasterBackups,
  parseBackups,
  purgeRefusals,
} from "../../cli/backups/kept-backup.ts";
import { readsOnly, type StepData } from "../../components/model/step-data.ts";

// bash here is this machine's, and etcd's tools are fakes that print what etcdctl 3.4.23 prints

let folder: string;
let state: string;
let backups: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cli backups "));
  state = join(folder, "state");
  backups = join(folder, "all backups");
  mkdirSync(join(folder, "bin"));
  mkdirSync(state);
  tool("etcdctl", `printf '"Hash" : 1729428979\\n"Revision" : 2\\n"Keys" : 5\\n"Size" : 24576\\n'`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function tool(name: string, body: string): void {
  writeFileSync(
    join(folder, "bin", name),
    `#!/bin/bash\n[ "$*" = "snapshot status ${backups}/rollout-3/snapshot.db -w fields" ] || exit 9\n${body}\n`,
  );
  chmodSync(join(folder, "bin", name), 0o755);
}

function scriptFor(action: Action): string {
  const data: StepData = {
    ...readsOnly,
    master: { name: "master-1", etcdName: "n1", address: "10.0.0.1" },
    memberAddresses: [],
    layout: "ack",
    rows: [],
    owner: "etcd-rotation/prod",
    takeOver: "",
    rotation: "",
    restore: 0,
    isOutageAllowed: false,
    backupFolder: backups,
    backupsToKeep: 3,
    drainSeconds: 2,
    pauseSeconds: 2,
    gateSeconds: 0,
  };
  const script = backupsScript(data, action).replace(
    "STATE_DIR='/var/lib/etcd-rotation'",
    `STATE_DIR='${state}'`,
  );
  expect(script).toContain(`STATE_DIR='${state}'`);
  return script;
}

function run(action: Action) {
  const env = {
    ...process.env,
    PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
    ETCDCTL_CACERT: "/refused/beside/flags",
  };
  return spawnSync("bash", ["-s"], { input: scriptFor(action), encoding: "utf8", env });
}

/** A backup as components/node/lib/backup.sh leaves it. */
function keep(rollout: number, receipt?: string): string {
  const own = join(backups, `rollout-${rollout}`);
  const manifest = ["attempt=a", `rollout=${rollout}`, "rotation=later", "owner=etcd-rotation/prod"];
  for (const path of ["/var/lib/etcd/cert/ca.pem", "/a file/with blanks.pem"]) {
    mkdirSync(dirname(join(own, "files", path)), { recursive: true });
    writeFileSync(join(own, "files", path), `${path} of ${rollout}`);
    manifest.push(
      `file ${execFileSync("sha256sum", { input: `${path} of ${rollout}`, encoding: "utf8" }).split(" ")[0]} root:root 600 ${path}`,
    );
  }
  writeFileSync(join(own, "manifest"), `${manifest.join("\n")}\nabsent /var/lib/etcd/cert/none.pem\n`);
  utimesSync(join(own, "manifest"), 1_795_568_726, 1_795_568_726);
  if (receipt !== undefined) {
    writeFileSync(join(own, "receipt"), receipt);
  }
  return own;
}

function receipt(rollout: number, rotation: string, isComplete: boolean): string {
  return `version=1\nowner=etcd-rotation/prod\nrollout=${rollout}\nrotation=${rotation}\ncomplete=${isComplete ? 1 : 0}\n`;
}

const whole: KeptBackup = {
  rollout: 3,
  taken: "2026-11-25T01:05:26.000Z",
  files: 2,
  rotation: "2026-12",
  kind: "complete",
  damaged: [],
  snapshot: { bytes: 40, hash: "1729428979", revision: 2 },
  dataKib: undefined,
};

/** etcd sends its SHA-256 behind it */
const snapshot = Buffer.concat([Buffer.from("snapshot"), createHash("sha256").update("snapshot").digest()]);

describe("the list", () => {
  test("is of every backup, newest first, each file checked by its sum", () => {
    const damaged = keep(2, receipt(1, "2026-11", false));
    writeFileSync(join(damaged, "files", "/a file/with blanks.pem"), "other");
    rmSync(join(damaged, "files", "/var/lib/etcd/cert/ca.pem"));
    keep(1);
    writeFileSync(join(keep(3, receipt(2, "2026-12", true)), "snapshot.db"), snapshot);
    mkdirSync(join(backups, "rollout-4.new"));
    mkdirSync(join(state, "journal"));
    writeFileSync(join(state, "receipt"), receipt(3, "2027-01", false));
    const before = execFileSync("find", [folder, "-printf", "%p %C@ %s\n"], { encoding: "utf8" });
    const { status, stdout, stderr } = run({ kind: "list" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parseBackups("master-1", stdout)).toEqual({
      name: "master-1",
      present: { rollout: 3, rotation: "2027-01", isComplete: false },
      backups: [
        whole,
        {
          ...whole,
          rollout: 2,
          rotation: "2026-11",
          kind: "unfinished",
          damaged: ["/var/lib/etcd/cert/ca.pem", "/a file/with blanks.pem"],
          snapshot: undefined,
        },
        { ...whole, rollout: 1, rotation: undefined, kind: "original", snapshot: undefined },
      ],
      leftovers: [join(state, "journal"), join(backups, "rollout-4.new")],
    });
    // reads only
    expect(execFileSync("find", [folder, "-printf", "%p %C@ %s\n"], { encoding: "utf8" })).toBe(before);
  });

  test("a snapshot that etcd's tool cannot read, and a backup without its manifest, are damaged", () => {
    tool("etcdctl", "echo 'Error: file size too small' >&2; exit 1");
    writeFileSync(join(keep(3, receipt(2, "2026-12", true)), "snapshot.db"), snapshot);
    rmSync(join(keep(2, receipt(1, "2026-11", true)), "manifest"));
    const { stdout } = run({ kind: "list" });
    expect(
      parseBackups("master-1", stdout).backups.map(({ rollout, damaged }) => [rollout, damaged]),
    ).toEqual([
      [3, ["snapshot.db"]],
      [2, ["manifest"]],
    ]);
  });

  test("a snapshot with another byte than etcd sent is damaged, whatever the tool says", () => {
    tool("etcdctl", "printf 'NAME:\\n\\tsnapshot - Manages etcd node snapshots\\n'");
    const file = join(keep(3, receipt(2, "2026-12", true)), "snapshot.db");
    const list = () =>
      parseBackups("master-1", run({ kind: "list" }).stdout).backups.map(({ damaged, snapshot: kept }) => [
        damaged,
        kept?.revision,
      ]);
    writeFileSync(file, snapshot);
    expect(list()).toEqual([[[], undefined]]);
    writeFileSync(file, Buffer.from(snapshot).fill("S", 0, 1));
    expect(list()).toEqual([[["snapshot.db"], undefined]]);
  });

  test("etcdutl is asked where it is there", () => {
    tool("etcdutl", `printf '"Hash" : 5\\n"Revision" : 77\\n'`);
    writeFileSync(join(keep(3, receipt(2, "2026-12", true)), "snapshot.db"), snapshot);
    expect(parseBackups("master-1", run({ kind: "list" }).stdout).backups[0]?.snapshot).toEqual({
      bytes: 40,
      hash: "5",
      revision: 77,
    });
  });

  test("a master that no rollout has touched has none", () => {
    expect(parseBackups("master-1", run({ kind: "list" }).stdout)).toEqual({
      name: "master-1",
      present: undefined,
      backups: [],
      leftovers: [],
    });
  });

  test("an answer that was cut is no answer", () => {
    keep(1);
    const { stdout } = run({ kind: "list" });
    expect(() => parseBackups("master-1", stdout.slice(0, -3))).toThrow(
      "Cannot list the backups of master-1: the answer is not complete",
    );
  });

  test("fits into 80 columns", () => {
    const master: MasterBackups = {
      name: "master-1",
      present: { rollout: 3, rotation: "2027-01", isComplete: true },
      backups: [
        {
          ...whole,
          rotation: "a-rotation-whose-name-is-as-long-as-it-may-be-48",
          dataKib: 20_480,
          snapshot: { bytes: 20 << 20, hash: "1", revision: 5123 },
        },
        {
          ...whole,
          rollout: 1,
          rotation: undefined,
          kind: "original",
          snapshot: undefined,
          damaged: ["/etc/a.pem"],
        },
      ],
      leftovers: [],
    };
    const text = stripVTControlCharacters(formatBackups(master, process.stdout));
    expect(text).toBe(
      `master-1: now rollout 3, rotation "2027-01"
rollout  taken (UTC)       files  rotation       set       snapshot
      3  2026-11-25 01:05      2  a-rotation-w…  complete  20 MiB, revision 5123
      1  2026-11-25 01:05      2  -              damaged   -
  backup 1: damaged or missing: /etc/a.pem
  backup 3: holds a crash copy of etcd's data, 20 MiB
`,
    );
  });
});

describe("the removal", () => {
  test("removes that backup and nothing else", () => {
    keep(1);
    keep(2, receipt(1, "2026-11", true));
    mkdirSync(join(backups, "rollout-2.new"));
    writeFileSync(join(backups, "rollout-2.new", "half"), "");
    expect(run({ kind: "purge", rollout: 2, lockSeconds: 0 })).toMatchObject({
      status: 0,
      stdout: "removed\n",
      stderr: "",
    });
    expect(execFileSync("ls", [backups], { encoding: "utf8" })).toBe("rollout-1\n");
    expect(run({ kind: "purge", rollout: 2, lockSeconds: 0 })).toMatchObject({
      status: 0,
      stdout: "absent\n",
    });
    expect(readFileSync(join(state, "lock"), "utf8")).toMatch(
      /^\d+ etcd-rotation\/prod backups-purge none \d+\n/,
    );
  });

  test("does not begin while a step is at work", () => {
    keep(2);
    writeFileSync(join(state, "lock"), "4242 etcd-rotation/prod trust abc 1795568726\n");
    const script = `exec 8>>'${state}/lock'; flock 8; printf ready; read -r _`;
    const holder = execFileSync(
      "bash",
      [
        "-c",
        `coproc H { ${script}; }; read -rn 5 _ <&"\${H[0]}"; cat >'${folder}/s'; bash -s <'${folder}/s'; echo "code $?"`,
      ],
      {
        input: scriptFor({ kind: "purge", rollout: 2, lockSeconds: 0 }),
        encoding: "utf8",
        stdio: ["pipe", "pipe", "ignore"],
      },
    );
    expect(holder).toBe("code 3\n");
    expect(existsSync(join(backups, "rollout-2", "manifest"))).toBe(true);
  });
});

describe("purgeRefusals", () => {
  const set = (rollout: number, kind: KeptBackup["kind"], damaged: string[] = []): KeptBackup => ({
    ...whole,
    rollout,
    kind,
    damaged,
    rotation: kind === "original" ? undefined : `r${rollout - 1}`,
  });
  const master = (name: string, ...own: KeptBackup[]): MasterBackups => ({
    name,
    present: undefined,
    backups: own,
    leftovers: [],
  });
  const all = [
    master("master-1", set(5, "unfinished"), set(4, "complete"), set(3, "complete"), set(1, "original")),
    master("master-2", set(4, "complete", ["/x"]), set(3, "complete"), set(1, "original")),
  ];

  test.each<[number, boolean, string[]]>([
    [5, false, []],
    [
      4,
      true,
      [
        'Cannot remove backup 4: on master-1 it is the newest whole set (rotation "r3"), which going back by hand needs; expected an older one',
      ],
    ],
    [
      3,
      true,
      [
        'Cannot remove backup 3: on master-2 it is the newest whole set (rotation "r2"), which going back by hand needs; expected an older one',
      ],
    ],
    [
      1,
      false,
      [
        "Cannot remove backup 1: on master-1, master-2 it is the set from before this program's first rollout, and there is no other copy; expected --original if that is meant",
      ],
    ],
    [1, true, []],
    [2, false, ["Cannot remove backup 2: no master has it; expected one of 1, 3, 4, 5"]],
  ])("backup %d, original meant: %s", (rollout, isOriginalMeant, refusals) => {
    expect(purgeRefusals(all, rollout, { isOriginalMeant, restored: undefined })).toEqual(refusals);
  });

  test("the original stays while it is the only whole set", () => {
    expect(
      purgeRefusals([master("master-1", set(2, "unfinished"), set(1, "original"))], 1, {
        isOriginalMeant: true,
        restored: undefined,
      }),
    ).toEqual([
      "Cannot remove backup 1: on master-1 it is the newest whole set (the original one), which going back by hand needs; expected an older one",
    ]);
  });
});
