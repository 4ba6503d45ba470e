import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RollbackStack } from "./rollback-stack.ts";

// The real engine on real states. There are no masters here: what they serve is in test/lab/rollback.test.ts.

const folder = mkdtempSync(join(tmpdir(), "rollback contract "));
const stack = new RollbackStack(folder);
/** what each test begins with: two states, the second one in use */
const kept = ["state", "stacks"] as const;
/** by number: what each state has, and the state file of that time */
const material: Record<number, string[]> = {};
let exportOfFirst: string;
/** the same with its keys in clear */
let decryptedFirst: string;

beforeAll(async () => {
  await stack.pulumi(["stack", "init", "prod"]);
  stack.configure("2026-11");
  await stack.up(1);
  material[1] = await stack.material();
  exportOfFirst = join(folder, "first.json");
  await stack.pulumi(["stack", "export", "--stack", "prod", "--file", exportOfFirst]);
  decryptedFirst = await stack.pulumi(["stack", "export", "--stack", "prod", "--show-secrets"]);
  stack.configure("2026-12");
  // as a backend whose owner has turned compression on in between
  await stack.up(2, { PULUMI_DIY_BACKEND_GZIP: "true" });
  material[2] = await stack.material();
  for (const name of kept) {
    cpSync(join(folder, name), join(folder, "begun", name), { recursive: true });
  }
});

beforeEach(() => {
  for (const name of kept) {
    rmSync(join(folder, name), { recursive: true });
    cpSync(join(folder, "begun", name), join(folder, name), { recursive: true });
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs something that must change nothing: no byte of the backend or the stack file, and no temporary file stays. */
async function changingNothing<T>(run: () => Promise<T>): Promise<T> {
  const before = stack.fingerprint();
  const result = await run();
  expect(stack.fingerprint()).toBe(before);
  return result;
}

describe("the engine", () => {
  test("gives no earlier states of a file backend, so that its history is read", async () => {
    await expect(stack.pulumi(["stack", "export", "--stack", "prod", "--version", "1"])).rejects.toThrow(
      "does not provide the ability to export previous deployments",
    );
    expect(
      readdirSync(stack.history).filter((name) => name.includes("checkpoint") && !name.endsWith(".attrs")),
    ).toEqual([
      expect.stringMatching(/^prod-\d{19}\.checkpoint\.json$/),
      expect.stringMatching(/^prod-\d{19}\.checkpoint\.json\.gz$/),
    ]);
  });
});

describe("--list", () => {
  const withoutPassphrase = { PULUMI_CONFIG_PASSPHRASE: undefined };

  test("tells of each state what its certificates are, without the passphrase", async () => {
    const { code, stdout, stderr } = await changingNothing(() =>
      stack.rollback(["--list", "--json"], withoutPassphrase),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const listed: unknown = JSON.parse(stdout);
    const year = new Date().getUTCFullYear();
    const common = {
      rollout: 1,
      condition: "valid",
      isPresent: false,
      faults: [],
      result: "succeeded",
      firstToEnd: expect.any(String),
    };
    const notAfter = expect.stringMatching(new RegExp(`^${year + 49}-(11|12)|^${year + 50}-`));
    expect(listed).toMatchObject([
      { ...common, number: 2, rollout: 2, rotation: "2026-12", isPresent: true, notAfter },
      { ...common, number: 1, rotation: "2026-11", notAfter },
    ]);
    expect(stdout).not.toMatch(/ciphertext|PRIVATE/);
  });

  test("is a table for people, in 80 columns", async () => {
    const { code, stdout } = await stack.rollback(["--list"], withoutPassphrase);
    expect(code).toBe(0);
    const [head, second, first, ...rest] = stdout.split("\n");
    expect(head).toBe("number  time (UTC)        rollout  rotation  authority  ends");
    expect(second).toMatch(
      /^ {5}2 {2}\d{4}-\d\d-\d\d \d\d:\d\d {8}2 {2}2026-12 {3}[0-9a-f]{8} {3}\d{4}-\d\d-\d\d {2}valid now$/,
    );
    expect(first).toMatch(
      /^ {5}1 {2}\d{4}-\d\d-\d\d \d\d:\d\d {8}1 {2}2026-11 {3}[0-9a-f]{8} {3}\d{4}-\d\d-\d\d {2}valid$/,
    );
    expect(rest).toEqual([""]);
  });

  test("reads exported files and copies of a history too", async () => {
    const file = await stack.rollback(["--list", "--json", exportOfFirst], withoutPassphrase);
    expect(JSON.parse(file.stdout)).toMatchObject([
      { file: exportOfFirst, rotation: "2026-11", condition: "valid", isPresent: false },
    ]);
    const copy = await stack.rollback(["--list", "--json", "--history", stack.history], withoutPassphrase);
    expect(JSON.parse(copy.stdout)).toMatchObject([{ number: 2 }, { number: 1 }]);
  });
});

describe("nothing is changed", () => {
  test("by a preview, which shows that the authorities stay", async () => {
    const { code, stdout } = await changingNothing(() => stack.rollback(["--to", "1", "--preview-only"]));
    expect(code, stdout).toBe(0);
    expect(stdout).toContain("stack file: etcd-rotation:rotation: 2026-12 -> 2026-11\n");
    expect(stdout).toMatch(/Previewing update \(prod\)[\s\S]*15 unchanged[\s\S]*Nothing was changed\.\n$/);
  });

  test("when the answer is not yes", async () => {
    const { code, stdout } = await changingNothing(() =>
      stack.rollbackOnTerminal(["--to", "1"], () => "y\n"),
    );
    expect(code).toBe(4);
    expect(stdout).toMatch(/Go back to state 1\? Type yes to go on: [\s\S]*Nothing was changed\./);
  });

  test("when nobody can answer", async () => {
    expect(await changingNothing(() => stack.rollback(["--to", "1"]))).toEqual({
      code: 3,
      stdout: "",
      stderr: "Cannot ask: standard input is not a terminal; expected --yes, or --preview-only\n",
    });
  });

  test("when the preview fails", async () => {
    writeFileSync(join(folder, "fail-preview"), "");
    const { code, stdout, stderr } = await changingNothing(() => stack.rollback(["--to", "1", "--yes"]));
    rmSync(join(folder, "fail-preview"));
    expect({ code, stderr: stderr.split("\n").at(-2) }).toEqual({
      code: 2,
      stderr: "Cannot go back: the preview has failed. Nothing was changed.",
    });
    expect(stdout).toContain("the program was told to fail");
  });

  test("when the present state cannot be saved", async () => {
    const states = join(folder, "xdg-full");
    const place = join(states, "etcd-rotation", "saved-states", "etcd-rotation");
    mkdirSync(place, { recursive: true });
    // a file in the folder's place, since a full disk needs root
    writeFileSync(join(place, "prod"), "");
    const { code, stderr } = await changingNothing(() =>
      stack.rollback(["--to", "1", "--yes"], { XDG_STATE_HOME: states }),
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Cannot save the present state: EEXIST: .*\. Nothing was changed\n$/);
    expect(readdirSync(place)).toEqual(["prod"]);
  });

  test("with the wrong passphrase", async () => {
    const { code, stderr } = await changingNothing(() =>
      stack.rollback(["--to", "1", "--yes"], { PULUMI_CONFIG_PASSPHRASE: "wrong" }),
    );
    expect(code).toBe(2);
    expect(stderr).toBe(
      "Cannot try out that state: could not create secrets manager for new stack: incorrect passphrase\n",
    );
  });

  test("without a passphrase", async () => {
    const { code, stderr } = await changingNothing(() =>
      stack.rollback(["--to", "1", "--yes"], { PULUMI_CONFIG_PASSPHRASE: undefined }),
    );
    expect(code).toBe(3);
    expect(stderr).toBe(
      "Cannot read the keys of the state: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE\n",
    );
  });

  test("by a state of the time before the passphrase was changed; decrypted, it can be used", async () => {
    await stack.pulumi(["stack", "init", "other", "--no-select"], {
      PULUMI_CONFIG_PASSPHRASE: "of that time",
    });
    const salt = /^encryptionsalt: (.*)$/m.exec(
      readFileSync(join(folder, "stacks", "Pulumi.other.yaml"), "utf8"),
    )?.[1];
    const file = join(folder, "of-that-time.json");
    const of = (text: string) => text.replace(/"salt": "[^"]*"/, `"salt": "${salt}"`);
    writeFileSync(file, of(readFileSync(exportOfFirst, "utf8")), { mode: 0o600 });
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", file, "--yes"]));
    expect(code).toBe(6);
    expect(stderr).toBe(
      "Cannot use that state: its keys are encrypted with another passphrase than the one of the stack now; expected the same. Decrypt it first, as docs/rollback.md says. Nothing was changed\n",
    );
    writeFileSync(file, of(decryptedFirst), { mode: 0o600 });
    const decrypted = await changingNothing(() => stack.rollback(["--to", file, "--preview-only"]));
    expect(decrypted.code, decrypted.stderr).toBe(0);
    expect(decrypted.stdout).toContain("15 unchanged");
    expect(decrypted.stdout).not.toContain("PRIVATE KEY");
    rmSync(file);
  });

  test.each<[string, (text: string) => string, string]>([
    [
      "another project's",
      (text) => text.replaceAll("::etcd-rotation::", "::other::"),
      'it is of project "other"; expected "etcd-rotation"',
    ],
    [
      "another stack's",
      (text) => text.replaceAll("urn:pulumi:prod::", "urn:pulumi:dev::"),
      'it is of stack "dev"; expected "prod"',
    ],
    [
      "another cluster's",
      (text) => text.replace('"cluster": "4242"', '"cluster": "17"'),
      'it is of etcd cluster "17"; expected "4242"',
    ],
  ])("by %s state", async (_, change, seen) => {
    const file = join(folder, "strange.json");
    writeFileSync(file, change(readFileSync(exportOfFirst, "utf8")));
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", file, "--yes"]));
    expect({ code, stderr }).toEqual({
      code: 6,
      stderr: `Cannot go back to state ${file}: ${seen}\nNothing was changed.\n`,
    });
  });

  test("by a state that was cut", async () => {
    const file = join(folder, "cut.json");
    writeFileSync(file, readFileSync(exportOfFirst, "utf8").slice(0, 20_000));
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", file, "--yes"]));
    expect(code).toBe(6);
    expect(stderr).toContain("it is no JSON, so it may have been cut");
  });

  test("by a state whose resources do not hold together, which the engine finds", async () => {
    const file = join(folder, "torn.json");
    const parent = '"parent": "urn:pulumi:prod::etcd-rotation::etcd-rotation:index:LeafCertificate::';
    writeFileSync(file, readFileSync(exportOfFirst, "utf8").replaceAll(parent, `${parent}lost-`));
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", file, "--yes"]));
    expect(code).toBe(6);
    expect(stderr).toMatch(
      /^Cannot use that state: [\s\S]*lost-master-1-etcd-[\s\S]*\. Nothing was changed\n$/,
    );
  });

  test("by a number that there is not", async () => {
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", "9", "--yes"]));
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr:
        "Cannot find state 9: the history has 1 to 2; expected a number of: npx etcd-rotation rollback prod --list\n",
    });
  });

  test("when somebody has changed the stack while the question stood", async () => {
    const before = readFileSync(stack.stackFile, "utf8");
    const { code, stdout } = await stack.rollbackOnTerminal(["--to", "1"], () => {
      writeFileSync(stack.stackFile, `${before}# by somebody else\n`);
      return "yes\n";
    });
    expect(readFileSync(stack.stackFile, "utf8")).toBe(`${before}# by somebody else\n`);
    writeFileSync(stack.stackFile, before);
    expect(code).toBe(2);
    expect(stdout).toContain(
      'Cannot go back: the stack file has changed since the preview; expected nobody else to work on "prod".',
    );
    expect(await stack.material()).toEqual(material[2]);
  });
});

describe("going back", () => {
  test("brings exactly that state and its rotation, and asks for nothing more; forward again by the one that it has saved", async () => {
    const before = readFileSync(stack.stackFile, "utf8");
    const { code, stdout, stderr } = await stack.rollback(["--to", "1", "--yes", "--json"]);
    expect(code, stderr).toBe(0);
    const result: { saved: string } = JSON.parse(stdout);
    const { saved } = result;
    expect(result).toMatchObject({
      stack: "prod",
      outcome: "done",
      to: { number: 1, rotation: "2026-11", rollout: 1 },
      changes: [{ path: ["etcd-rotation:rotation"], from: "2026-12", to: "2026-11" }],
    });
    expect(await stack.material()).toEqual(material[1]);
    expect(readFileSync(stack.stackFile, "utf8")).toBe(before.replace('"2026-12"', '"2026-11"'));
    expect((statSync(saved).mode & 0o777).toString(8)).toBe("600");
    expect(
      saved.startsWith(join(folder, "xdg", "etcd-rotation", "saved-states", "etcd-rotation", "prod")),
    ).toBe(true);
    expect(readFileSync(saved, "utf8")).not.toMatch(/PRIVATE KEY/);
    await stack.pulumi(["preview", "--stack", "prod", "--expect-no-changes"]);
    expect(readdirSync(join(folder, "tmp")).filter((name) => name.startsWith("etcd-rotation"))).toEqual([]);

    // forward again, with an answer on a terminal
    const forward = await stack.rollbackOnTerminal(["--to", saved], () => "yes\n");
    expect(forward.code, forward.stdout).toBe(0);
    expect(await stack.material()).toEqual(material[2]);
    expect(readFileSync(stack.stackFile, "utf8")).toContain(
      '  etcd-rotation:rotation:   "2026-12"   # change it to rotate\n',
    );
  });

  test("an up that fails leaves the older state and stack file, and both ways on are told", async () => {
    writeFileSync(join(folder, "fail-up"), "");
    const { code, stderr } = await stack.rollback(["--to", "1", "--yes"]);
    rmSync(join(folder, "fail-up"));
    expect(code).toBe(5);
    const back = /or back: npx etcd-rotation rollback prod --to (\S.*\.json)\n/.exec(stderr)?.[1] ?? "";
    expect(stderr).toContain("  go on:   npx etcd-rotation pulumi up --stack prod\n");
    expect(await stack.material()).toEqual(material[1]);
    expect(readFileSync(stack.stackFile, "utf8")).toContain('"2026-11"');
    expect((await stack.rollback(["--to", back, "--yes"])).code).toBe(0);
    expect(await stack.material()).toEqual(material[2]);
  });
});

describe("a set that is near its end", () => {
  const validity = "  etcd-rotation:certificates: { validity: 2h, renewBefore: 1h } # short\n";

  test("is refused with the date and the ways out, comes back as it was with a shorter renewBefore, and signed anew with --re-sign", async () => {
    stack.configure("short", validity);
    await stack.up(3);
    const short = await stack.material();
    stack.configure("2027-01");
    await stack.up(4);
    const listed: { number: number; rotation: string; condition: string }[] = JSON.parse(
      (await stack.rollback(["--list", "--json"])).stdout,
    );
    const due = listed.find(({ rotation }) => rotation === "short");
    expect(due?.condition).toBe("due");
    const number = String(due?.number);
    const { code, stderr } = await changingNothing(() => stack.rollback(["--to", number, "--yes"]));
    expect(code).toBe(6);
    expect(stderr).toMatch(/ends on \d{4}-\d\d-\d\d, which is within renewBefore/);
    expect(stderr).toContain(`--to ${number} --re-sign`);

    stack.configure("2027-01", "  etcd-rotation:certificates: { renewBefore: 1h } # short\n");
    const back = await stack.rollback(["--to", number, "--yes"]);
    expect(back.code, back.stderr).toBe(0);
    expect(await stack.material()).toEqual(short);
    expect(readFileSync(stack.stackFile, "utf8")).toMatch(
      /certificates: \{ renewBefore: 1h, validity: 2h \} # short\n/,
    );

    stack.configure("2027-02");
    await stack.up(5);
    const signed = await stack.rollback(["--to", number, "--yes", "--re-sign"]);
    expect(signed.code, signed.stderr).toBe(0);
    const keys = (all: readonly string[]) => all.filter((line) => line.includes("-key "));
    expect(keys(await stack.material())).toEqual(keys(short));
    const [newest] = JSON.parse((await stack.rollback(["--list", "--json"])).stdout);
    expect(newest).toMatchObject({ rotation: "short", condition: "valid", isPresent: true });
  });
});

test("after pulumi destroy a set of before comes back", async () => {
  await stack.pulumi(["destroy", "--yes", "--skip-preview", "--stack", "prod"]);
  expect(await stack.material()).toEqual([]);
  stack.configure("2026-12");
  const { code, stderr } = await stack.rollback(["--to", "1", "--yes"]);
  expect(code, stderr).toBe(0);
  expect(await stack.material()).toEqual(material[1]);
});

test("a history that was damaged on the disk shows so, and the others stay usable", async () => {
  const packed = readdirSync(stack.history).find((name) => name.endsWith(".checkpoint.json.gz")) ?? "";
  const file = join(stack.history, packed);
  renameSync(file, `${file}.whole`);
  writeFileSync(file, gunzipSync(readFileSync(`${file}.whole`)).subarray(0, 5000));
  const { code, stdout } = await stack.rollback(["--list", "--json"]);
  expect(code).toBe(0);
  const listed: { number: number; condition: string; faults: string[] }[] = JSON.parse(stdout);
  expect(listed.find(({ number }) => number === 2)).toMatchObject({
    condition: "unreadable",
    faults: [expect.stringContaining("it is not what Pulumi wrote: its sum differs")],
  });
  expect(listed.find(({ number }) => number === 1)).toMatchObject({ condition: "valid" });
});
