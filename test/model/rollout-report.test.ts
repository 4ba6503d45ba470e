import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { StateStep } from "../../components/model/ended-steps.ts";
import { components } from "../../components/model/layout/rows.ts";
import { phases } from "../../components/model/plan.ts";
import { type KeptState, rolloutsIn } from "../../components/model/rollout-report.ts";

const hash = (sign: string) => sign.repeat(64);
const noon = Date.parse("2026-11-28T12:00:00Z");
const end = Date.parse("2076-11-15T00:00:00Z");
const endText = "2076-11-15T00:00:00.000Z";

interface MadeStep {
  readonly attempt?: string;
  readonly at?: number;
  readonly after?: readonly number[];
  readonly records?: string;
  readonly stderr?: string;
}

/** A step that ended so many seconds after noon. */
function step(
  name: string,
  { attempt = "a1", at = 1, after = [], records = "", stderr = "" }: MadeStep,
): StateStep {
  const [phase, master] = [name.split("-")[0], name.slice(name.indexOf("-") + 1)];
  return {
    ended: noon + at * 1000,
    after: after.map((each) => noon + each * 1000),
    stdout: `${records}done ${attempt} ${phase} ${master}`,
    stderr,
  };
}

const masters = ["m", "m-1"];

/** All phases on both masters, a second each. */
function whole(attempt: string, records: Readonly<Record<string, string>> = {}, begin = 0): StateStep[] {
  return phases.flatMap((phase, index) =>
    masters.map((master) =>
      step(`${phase}-${master}`, {
        attempt,
        at: begin + index + 1,
        records: records[`${phase}-${master}`] ?? "",
      }),
    ),
  );
}

function state(number: number, steps: readonly StateStep[], changes: Partial<KeptState> = {}): KeptState {
  return {
    update: {
      number,
      started: "2026-11-28T12:00:00.000Z",
      ended: "2026-11-28T12:01:00.000Z",
      result: "succeeded",
      changes: {},
    },
    steps,
    certificates: { "etcd-ca": { fingerprint: hash("a"), notAfter: end } },
    rotation: "2026-11",
    cluster: "7",
    rollout: number,
    pending: [],
    ...changes,
  };
}

const failed = (number: number): Pick<KeptState, "update"> => ({
  update: {
    number,
    started: "2026-11-28T12:00:00.000Z",
    ended: "2026-11-28T12:01:00.000Z",
    result: "failed",
    changes: {},
  },
});
const unfinished: Pick<KeptState, "update"> = { update: { result: "unfinished", changes: {} } };

describe("which updates are rollouts", () => {
  const outline = (states: readonly KeptState[]) =>
    rolloutsIn("dev", states).map(({ rollout, result, update, later }) => [
      rollout,
      result,
      update.number,
      later.map(({ number }) => number),
    ]);

  test("one for each attempt; updates without a step of their own come after", () => {
    const states = [state(1, whole("a1")), state(2, whole("a1")), { ...state(3, whole("a1")), ...failed(3) }];
    expect(outline([...states, state(4, whole("a4")), state(4, whole("a4"), unfinished)])).toEqual([
      [1, "succeeded", 1, [2, 3]],
      [4, "succeeded", 4, []],
    ]);
  });

  test("a step whose answer was lost, and that the next update has made up for, is one of that rollout", () => {
    const steps = whole("a1");
    const states = [{ ...state(1, steps.slice(0, -1)), ...failed(1) }, state(2, steps), state(3, steps)];
    expect(outline(states)).toEqual([[2, "succeeded", 2, [3]]]);
    const [report] = rolloutsIn("dev", states);
    expect([report?.steps.length, report?.remaining]).toEqual([steps.length, []]);
  });

  test("what was at work: of what an earlier run has left pending nothing", () => {
    const left = ["etcd-ca-key", "backup-m", "verify-m"];
    const at = (changes: Partial<KeptState>) =>
      rolloutsIn("dev", [state(1, whole("a1").slice(0, masters.length), changes)])[0]?.pending;
    expect(at({ pending: left })).toEqual([]);
    expect(at({ ...failed(1), pending: left })).toEqual([]);
    expect(at({ ...unfinished, pending: [...left, "trust-m"] })).toEqual(["trust-m"]);
  });

  test("a phase that nobody knows is no step", () => {
    const [report] = rolloutsIn("dev", [state(1, [...whole("a1"), step("pause-m", { at: 9 })])]);
    expect(report?.steps.map(({ phase }) => phase)).toEqual(phases.flatMap((phase) => [phase, phase]));
  });

  test("none where no step has ended", () => {
    expect(outline([state(1, [])])).toEqual([]);
    expect(outline([state(1, [{ ended: noon, after: [], stdout: "", stderr: "" }])])).toEqual([]);
  });

  test("an import is none, and neither are the steps that it brings back", () => {
    const imported = { ...failed(3).update, result: "import" };
    const states = [
      state(1, whole("a1")),
      state(2, whole("a2")),
      state(3, whole("a1"), { update: imported }),
    ];
    expect(
      outline([
        ...states,
        state(4, whole("other"), { update: imported }),
        state(4, whole("other"), unfinished),
      ]),
    ).toEqual([
      [1, "succeeded", 1, []],
      [2, "succeeded", 2, []],
    ]);
  });

  test("the number of one that failed is that of its backup, else the next", () => {
    const told = (words: string) =>
      step("backup-m", { attempt: "a2", at: 9, stderr: `m backup: backup ${words}\n` });
    const numberOf = (own: StateStep) =>
      outline([state(1, whole("a1")), state(1, [own], failed(2))]).at(-1)?.[0];
    expect(numberOf(told("in /var/lib/etcd rotation/backup/rollout-12"))).toBe(12);
    expect(numberOf(told("/backup/rollout-13 exists"))).toBe(13);
    expect(numberOf(told("/backup/rollout-14 of somebody"))).toBe(2);
    expect(outline([state(1, [told("")], failed(1))])).toEqual([[1, "failed", 1, []]]);
  });

  test("a killed run has its steps in the present state alone", () => {
    const [killed] = rolloutsIn("dev", [
      state(1, [step("backup-m", { stderr: "m backup: backup in /b/rollout-1" })], {
        ...unfinished,
        pending: ["trust-m"],
      }),
    ]);
    expect(killed).toMatchObject({
      rollout: 1,
      result: "unfinished",
      pending: ["trust-m"],
      remaining: ["trust-m", "issue-m", "settle-m", "retire-m", "verify-m"],
    });
  });

  test("one that has stopped before a phase is held, and is no measure for the next", () => {
    const states = [
      state(1, whole("a1")),
      state(2, whole("a2", { "retire-m": "held m\n" })),
      state(3, whole("a3")),
    ];
    expect(rolloutsIn("dev", states).map(({ result, before }) => [result, before?.rollout])).toEqual([
      ["succeeded", undefined],
      ["held", 1],
      ["succeeded", 1],
    ]);
  });
});

describe("one rollout", () => {
  test("a step begins when the last thing that it waited for has ended, and not before the update", () => {
    const steps = [
      step("backup-m", { at: 5, after: [-3600] }),
      step("trust-m", { at: 9, after: [-3600, 2, 5, 4] }),
      step("issue-m", { at: 10, after: [9, 11] }),
    ];
    const [report] = rolloutsIn("dev", [state(1, steps.toReversed())]);
    expect(
      report?.steps.map(({ phase, started, ended }) => [phase, started.slice(17, 19), ended.slice(17, 19)]),
    ).toEqual([
      ["backup", "00", "05"],
      ["trust", "05", "09"],
      ["issue", "09", "10"],
    ]);
    const [alone] = rolloutsIn("dev", [state(1, [step("backup-m", { at: 5 })], unfinished)]);
    expect(alone?.steps[0]?.started).toBe("2026-11-28T12:00:05.000Z");
  });

  test("only what a step has said itself, and nothing that moves the cursor", () => {
    const stderr = "Welcome\nm-1 trust: other\nm trust: wrote \u001b[2J/etc\nm issue: other\n m trust: no\n";
    const [report] = rolloutsIn("dev", [state(1, [step("trust-m", { stderr })])]);
    expect(report?.steps[0]?.words).toEqual(["wrote  [2J/etc"]);
  });

  test("restarts by component, in their order", () => {
    const lines = [
      "leadership handed to 10.0.0.2",
      "restarting etcd, with kube-apiserver",
      "etcd is healthy again after 7 s",
      "restarting kube-apiserver (drain up to 5 s)",
      "waiting 2 s for the load balancer",
    ];
    const stderr = lines.map((line) => `m trust: ${line}\n`).join("");
    const own =
      "m retire: restarting the kubelet (containers keep running)\nm retire: restarting kube-scheduler\n";
    const steps = [step("trust-m", { stderr }), step("retire-m", { at: 2, stderr: own })];
    const [report] = rolloutsIn("dev", [state(1, [...steps, step("trust-m-1", {})])]);
    expect(report?.steps.find(({ phase }) => phase === "trust")?.restarts).toEqual([
      "etcd",
      "kube-apiserver",
      "kube-apiserver",
    ]);
    expect(report?.restarts).toEqual({
      m: { etcd: 1, "kube-apiserver": 2, kubelet: 1, "kube-scheduler": 1 },
      "m-1": {},
    });
  });

  test("every line of the scripts that says a restart is known as one", () => {
    const root = join(import.meta.dirname, "..", "..");
    const scripts = globSync("components/node/lib/*.sh", { cwd: root }).map((file) =>
      readFileSync(join(root, file), "utf8"),
    );
    const said = scripts.flatMap((text) =>
      [...text.matchAll(/^ *say ["'](.*starting .*)["']$/gm)].map(([, line = ""]) =>
        line
          .replace("${along:+, with kube-apiserver (drain up to $DRAIN_SECONDS s)}", ", with kube-apiserver")
          .replace("${old:+re}", "re")
          .replace("${old:+ (drain up to $DRAIN_SECONDS s)}", " (drain up to 5 s)")
          .replace("$1", "kube-scheduler"),
      ),
    );
    expect(said).toHaveLength(5);
    for (const line of said) {
      const [report] = rolloutsIn("dev", [state(1, [step("trust-m", { stderr: `m trust: ${line}` })])]);
      expect([line, report?.steps[0]?.restarts[0]]).toEqual([line, expect.toBeOneOf([...components])]);
    }
  });

  test("what has not ended, of the masters that began; a machine that joins has issue alone", () => {
    const steps = [
      step("backup-m", { at: 1 }),
      step("backup-m-1", { at: 2 }),
      step("issue-new", { at: 3 }),
      step("verify-gone", { attempt: "a0", at: 0 }),
    ];
    const [report] = rolloutsIn("dev", [state(1, steps, failed(1))]);
    expect(report?.masters).toEqual(["m", "m-1", "new"]);
    expect(report?.remaining).toEqual(phases.slice(1).flatMap((phase) => [`${phase}-m`, `${phase}-m-1`]));
    const [early] = rolloutsIn("dev", [
      state(1, [step("verify-m-1", { attempt: "a0", at: 0 }), step("backup-m", {})], failed(1)),
    ]);
    expect(early?.remaining.slice(0, 3)).toEqual(["backup-m-1", "trust-m", "trust-m-1"]);
  });

  test("certificates: as verify has seen them, else as the state has them; against the last rollout that ended well", () => {
    const served = (role: string, sign: string, until = "Nov 15 00:00:00 2076 GMT") =>
      `served m-1 ${role} ${hash(sign)} ${until}\n`;
    const first = state(
      1,
      whole("a1", { "verify-m-1": served("etcd-server", "b") + served("apiserver", "c") }),
      {
        certificates: {
          "etcd-ca": { fingerprint: hash("a"), notAfter: end },
          "m-1-etcd-server": { fingerprint: hash("b"), notAfter: end },
          "m-etcd-peer": { fingerprint: hash("d"), notAfter: end },
        },
      },
    );
    const second = state(1, [...whole("a2", {}, 60).slice(0, 3), ...whole("a1").slice(3)], {
      ...failed(2),
      certificates: { ...first.certificates, "m-1-etcd-server": { fingerprint: hash("e"), notAfter: end } },
    });
    const third = state(
      3,
      whole("a3", { "verify-m-1": served("etcd-server", "e") + served("apiserver", "c", "some day") }, 120),
      {
        certificates: second.certificates,
      },
    );
    const reports = rolloutsIn("dev", [first, second, third]);
    const rows = (index: number) =>
      reports[index]?.certificates.map(
        ({ place, role, before, after, change, isSeen }) =>
          `${place} ${role}: ${before?.fingerprint[0] ?? "-"} ${after.fingerprint[0]} ${after.notAfter} ${change}${isSeen ? " seen" : ""}`,
      );
    expect(rows(0)).toEqual([
      `stack etcd-ca: - a ${endText} unknown`,
      `m etcd-peer: - d ${endText} unknown`,
      `m-1 apiserver: - c ${endText} unknown seen`,
      `m-1 etcd-server: - b ${endText} unknown seen`,
    ]);
    expect(rows(1)).toEqual([
      `stack etcd-ca: a a ${endText} same`,
      `m etcd-peer: d d ${endText} same`,
      `m-1 etcd-server: b e ${endText} renewed`,
    ]);
    expect(rows(2)).toEqual([
      `stack etcd-ca: a a ${endText} same`,
      `m etcd-peer: d d ${endText} same`,
      "m-1 apiserver: c c unknown same seen",
      `m-1 etcd-server: b e ${endText} renewed seen`,
    ]);
  });

  test("an authority is in use when every master has it", () => {
    const ca = `served m etcd-ca ${hash("a")} Nov 15 00:00:00 2076 GMT\n`;
    const isSeen = (records: Readonly<Record<string, string>>) =>
      rolloutsIn("dev", [state(1, whole("a1", records))])[0]?.certificates[0]?.isSeen;
    expect(isSeen({ "verify-m": ca, "verify-m-1": ca.replace(" m ", " m-1 ") })).toBe(true);
    expect(isSeen({ "verify-m": ca, "verify-m-1": ca.replace(" m ", " m-1 ").replace("aaa", "aab") })).toBe(
      false,
    );
    expect(isSeen({ "verify-m": ca })).toBe(false);
  });

  test("what probes have seen: the worst of all steps, and where each gap was", () => {
    const records = (line: string) => `probe m ${line}\n`;
    const steps = [
      step("backup-m", { at: 1, records: records("etcd silent 2 2 400 100 0") }),
      step("trust-m", {
        at: 60,
        records:
          records("etcd answers 90 3 2500 20000 40") + records("kube-apiserver answers 80 9 6100 500 30"),
      }),
      step("verify-m", { at: 90, records: records("etcd answers 10 0 530 0 90") }),
      step("verify-m-1", { at: 91, stderr: "m-1 verify: leadership handed to 10.0.0.2" }),
    ];
    const [report] = rolloutsIn("dev", [state(1, steps)]);
    expect(report?.probes).toEqual({
      m: {
        etcd: {
          ...{ state: "answers", tries: 102, failures: 5 },
          ...{ longestGapMilliseconds: 2500, slowestMilliseconds: 90 },
        },
        "kube-apiserver": {
          ...{ state: "answers", tries: 80, failures: 9 },
          ...{ longestGapMilliseconds: 6100, slowestMilliseconds: 30 },
        },
      },
    });
    expect(report?.steps[1]?.probe[0]).toMatchObject({
      target: "etcd",
      gapEnded: "2026-11-28T12:00:40.000Z",
      longestGapMilliseconds: 2500,
    });
    expect(report?.leadershipMoves).toEqual([{ from: "m-1", to: "10.0.0.2", phase: "verify" }]);
    expect(rolloutsIn("dev", [state(1, whole("a1"))])[0]).toMatchObject({ probes: {}, leadershipMoves: [] });
  });

  test("nothing that the steps of an earlier rollout have said is one's own", () => {
    const earlier = whole("a1", { "verify-m": "refused m 2\ncarrier worker w1: run this\nheld m\n" });
    const own = ["backup-m", "backup-m-1"].map((name) => step(name, { attempt: "a2", at: 60 }));
    const [, report] = rolloutsIn("dev", [state(1, earlier), state(2, [...earlier.slice(2), ...own])]);
    expect(report).toMatchObject({ attempt: "a2", result: "succeeded", refused: [], carriers: [] });
  });

  test("what verify says of refused leaves and of who is left", () => {
    const [report] = rolloutsIn("dev", [
      state(1, whole("a1", { "verify-m": "refused m 2\ncarrier worker w1: run this\n" })),
    ]);
    expect(report).toMatchObject({
      refused: [{ master: "m", leaves: 2 }],
      carriers: ["worker w1: run this"],
    });
  });
});
