import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import type { Found } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import {
  longestRollout,
  outIn,
  phases,
  planRollout,
  type RolloutPlan,
  restartsIn,
  stepsOf,
} from "../../components/model/plan.ts";
import { changed, diskOf, foundAs, makePems, masterWith, names, receipt } from "./cluster.ts";

const separate = makePems("separate");
const shared = makePems("shared", "shared");
const half = makePems("half");
const found = foundAs(separate);
const now = Date.UTC(2026, 10, 23);

function plan(of: Found = found, at = now): RolloutPlan {
  return planRollout(of, ackLayout, [], at);
}

/** The common names of what stays trusted, by trust row. */
function trusted(of: Found, master: string): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(plan(of).trusted[master] ?? {}).map(([row, list]) => [
      row,
      list.map(({ subject: [name = ""] }) => name),
    ]),
  );
}

describe("the order of masters", () => {
  test("is that of the stack file, and retire ends with the one that leads after trust, whoever leads now", () => {
    for (const leader of names) {
      const masters = found.masters.map((master) => ({ ...master, isLeader: master.name === leader }));
      expect(plan({ masters }).order).toEqual({
        trust: ["master-1", "master-2", "master-3"],
        issue: ["master-1", "master-2", "master-3"],
        retire: ["master-2", "master-3", "master-1"],
      });
    }
  });

  test("begins with a master whose member is out", () => {
    const ill = changed(found, "master-2", () => ({ etcd: "silent" }));
    expect(plan(ill).order).toEqual({
      trust: ["master-2", "master-1", "master-3"],
      issue: ["master-2", "master-1", "master-3"],
      retire: ["master-1", "master-3", "master-2"],
    });
  });
});

describe("the snapshot", () => {
  test("comes from the first healthy member", () => {
    expect(plan().snapshotFrom).toBe("master-1");
    expect(plan(changed(found, "master-1", () => ({ etcd: "lagging" }))).snapshotFrom).toBe("master-2");
    expect(plan(foundAs(separate, { etcd: "silent", doesAnswer: false })).snapshotFrom).toBeUndefined();
  });

  test("comes, where none is healthy, from the first that answers and is not out", () => {
    const alarm = foundAs(separate, { etcd: "alarm" });
    const silent = changed(alarm, "master-1", () => ({ etcd: "silent", doesAnswer: false }));
    expect([plan(alarm).snapshotFrom, plan(silent).snapshotFrom]).toEqual(["master-1", "master-2"]);
    // it answers by the connections that it has, and is started anew
    const out = changed(alarm, "master-1", ({ files }) => ({
      etcd: "peer-refused",
      isLeader: false,
      files: { ...files, "etcd-peer": endingAt(files["etcd-peer"], now) },
    }));
    expect(plan(out)).toMatchObject({
      out: { "master-1": ["etcd", "kube-apiserver"] },
      snapshotFrom: "master-2",
    });
  });
});

describe("what stays trusted", () => {
  test("with separate authorities is each role's own, so that no client can pose as a member", () => {
    const own = {
      "etcd-ca": ["CN=etcd-ca separate"],
      "etcd-peer-ca": ["CN=etcd-peer-ca separate"],
      "apiserver-etcd-ca": ["CN=etcd-ca separate"],
    };
    expect(names.map((name) => trusted(found, name))).toEqual([own, own, own]);
  });

  test("with a shared authority is that one everywhere", () => {
    const own = {
      "etcd-ca": ["CN=etcd-ca shared"],
      "etcd-peer-ca": ["CN=etcd-ca shared"],
      "apiserver-etcd-ca": ["CN=etcd-ca shared"],
    };
    expect(trusted(foundAs(shared), "master-3")).toEqual(own);
  });

  test("includes whoever issued a leaf on another master's disk, for that leaf's role alone", () => {
    const disk = {
      ...diskOf(separate, "master-3"),
      "etcd-peer": half.leaves["master-3"]?.["etcd-peer"].certPem ?? "",
    };
    const known = `${separate.authorities["etcd-peer"]}${half.authorities["etcd-peer"]}${half.authorities.etcd}`;
    const mixed = {
      masters: [
        ...found.masters.slice(0, 2),
        masterWith(
          "master-3",
          { ...disk, "etcd-peer-ca": known },
          { served: found.masters[2]?.served ?? {} },
        ),
      ],
    };
    expect(trusted(mixed, "master-1")).toEqual({
      "etcd-ca": ["CN=etcd-ca separate"],
      "etcd-peer-ca": ["CN=etcd-peer-ca separate", "CN=etcd-peer-ca half"],
      "apiserver-etcd-ca": ["CN=etcd-ca separate"],
    });
    // what the file itself holds stays, needed or not
    expect(trusted(mixed, "master-3")["etcd-peer-ca"]).toEqual([
      "CN=etcd-peer-ca separate",
      "CN=etcd-peer-ca half",
      "CN=etcd-ca half",
    ]);
  });

  test.each([
    [
      2379,
      "etcd-server",
      {
        "etcd-ca": ["CN=etcd-ca separate", "CN=etcd-ca half"],
        "etcd-peer-ca": ["CN=etcd-peer-ca separate"],
        "apiserver-etcd-ca": ["CN=etcd-ca separate", "CN=etcd-ca half"],
      },
    ],
    [
      2380,
      "etcd-peer",
      {
        "etcd-ca": ["CN=etcd-ca separate"],
        "etcd-peer-ca": ["CN=etcd-peer-ca separate", "CN=etcd-peer-ca half"],
        "apiserver-etcd-ca": ["CN=etcd-ca separate"],
      },
    ],
  ] as const)("includes whoever issued what is still served on %d", (port, leaf, expected) => {
    const [served] = certificatesIn(half.leaves["master-3"]?.[leaf].certPem ?? "");
    const known = {
      "etcd-ca": `${separate.authorities.etcd}${half.authorities.etcd}${half.authorities["etcd-peer"]}`,
    };
    const third = masterWith("master-3", { ...diskOf(separate, "master-3"), ...known });
    const mixed = {
      masters: [
        ...found.masters.slice(0, 2),
        { ...third, served: { ...third.served, ...(served === undefined ? {} : { [port]: served }) } },
      ],
    };
    expect(trusted(mixed, "master-1")).toEqual(expected);
  });
});

describe("what stays trusted where a file is odd", () => {
  test("comes from the others where a master has none", () => {
    expect(
      trusted(
        changed(found, "master-2", () => ({ files: {} })),
        "master-2",
      ),
    ).toEqual({
      "etcd-ca": ["CN=etcd-ca separate"],
      "etcd-peer-ca": ["CN=etcd-peer-ca separate"],
      "apiserver-etcd-ca": ["CN=etcd-ca separate"],
    });
  });

  test("is told by the leaf, and by nothing that stands behind it in its file", () => {
    const more = certificatesIn(half.leaves["master-3"]?.["etcd-server"].certPem ?? "");
    const known = certificatesIn(half.authorities.etcd);
    const chained = changed(found, "master-3", ({ files }) => ({
      files: Object.fromEntries(
        Object.entries(files).map(([id, file]) => {
          const behind = id === "etcd-server" ? more : id === "etcd-ca" ? known : [];
          return [id, { ...file, certificates: [...file.certificates, ...behind] }];
        }),
      ),
    }));
    expect(trusted(chained, "master-1")["apiserver-etcd-ca"]).toEqual(["CN=etcd-ca separate"]);
  });
});

describe("the mode", () => {
  test("is rolling while certificates hold and there is quorum", () => {
    expect([plan().mode, plan().causes]).toEqual(["rolling", []]);
    const ill = changed(found, "master-1", () => ({ etcd: "lagging" }));
    expect([plan(ill).mode, plan(ill).causes]).toEqual(["rolling", []]);
  });

  test("is recovery without quorum", () => {
    const ill = changed(
      changed(found, "master-1", () => ({ etcd: "silent", doesAnswer: false })),
      "master-2",
      () => ({ etcd: "silent", doesAnswer: false }),
    );
    expect([plan(ill).mode, plan(ill).causes]).toEqual([
      "recovery",
      ["etcd has no quorum that answers: 1 of 3 members do"],
    ]);
  });

  test("counts a member that cannot be reached over SSH: by whether it answers the others", () => {
    const with3 = (isAlive: boolean): Found => ({
      masters: found.masters
        .slice(0, 2)
        .map((master, index) => (index === 0 ? { ...master, etcd: "silent", doesAnswer: false } : master)),
      missing: [{ name: "master-3", isAlive }],
    });
    expect(plan(with3(false)).causes).toEqual(["etcd has no quorum that answers: 1 of 3 members do"]);
    expect([plan(with3(true)).mode, plan(with3(true)).causes]).toEqual(["rolling", []]);
  });

  test("is rolling while members answer, however ill they are: an alarm is raised for all, and is no reason to stop them", () => {
    expect(plan(foundAs(separate, { etcd: "alarm" }))).toMatchObject({ mode: "rolling", causes: [] });
  });

  test("is rolling when a member that does not answer has only begun to start, and recovery when it serves with files that have changed", () => {
    const stale = { etcd: { identity: "x", isStale: true, flags: [] } };
    const starting = changed(found, "master-1", () => ({
      etcd: "stopped",
      doesAnswer: false,
      processes: stale,
      served: {},
    }));
    const old = changed(found, "master-1", () => ({ etcd: "silent", doesAnswer: false, processes: stale }));
    expect(plan(starting).causes).toEqual([]);
    expect(plan(old).causes).toEqual([
      "master-1: etcd does not answer, and runs with files that have changed since its start",
    ]);
    // on one port is enough
    const half = changed(old, "master-1", ({ served: { 2379: client } }) => ({
      served: client === undefined ? {} : { 2379: client },
    }));
    expect(plan(half).causes).toEqual(plan(old).causes);
    expect(plan(changed(old, "master-1", () => ({ processes: {} }))).causes).toEqual([]);
  });

  test("is rolling when an alarm is raised and a file is at fault as well: the members serve", () => {
    const ill = foundAs(separate, { etcd: "alarm" });
    expect(plan(expired(ill, "etcd-peer")).causes).toEqual([]);
  });

  test("is recovery when a member answers and no peer accepts it, for a fault of its files", () => {
    const ill = changed(found, "master-2", () => ({ etcd: "peer-refused" }));
    expect(plan(ill).causes).toEqual([]);
    expect(plan(expired(ill, "etcd-peer")).causes).toEqual(["master-2: etcd-peer expired on 2026-11-20"]);
  });

  const end = Date.UTC(2026, 10, 20);
  const out = changed(found, "master-2", () => ({ etcd: "silent", doesAnswer: false }));
  const expired = (of: Found, id: string) =>
    changed(of, "master-2", (master) => ({
      files: { ...master.files, [id]: endingAt(master.files[id], end) },
    }));

  test("is recovery when a member is out and its leaf has ended, from its very end on", () => {
    expect(plan(expired(out, "etcd-peer"), end - 1).causes).toEqual([]);
    expect(plan(expired(out, "etcd-peer"), end)).toMatchObject({
      mode: "recovery",
      causes: ["master-2: etcd-peer expired on 2026-11-20"],
    });
  });

  test("is recovery when a member is out and a leaf does not belong to its key", () => {
    const key = found.masters[0]?.files["etcd-server-key"];
    const mixed = changed(out, "master-2", (master) => ({
      files: { ...master.files, ...(key === undefined ? {} : { "etcd-server-key": key }) },
    }));
    expect(plan(mixed)).toMatchObject({
      mode: "recovery",
      causes: ["master-2: etcd-server does not belong to its key"],
    });
  });

  test("is rolling when a leaf has ended and its member still works", () => {
    expect(plan(expired(found, "etcd-peer")).causes).toEqual([]);
  });

  test("is rolling when only etcd-client has ended, which no process reads", () => {
    expect(plan(expired(out, "etcd-client")).causes).toEqual([]);
  });

  test("is recovery when a member is out and the authority in a trust file has ended", () => {
    expect(plan(expired(out, "etcd-ca")).causes).toEqual(["master-2: etcd-ca expired on 2026-11-20"]);
  });
});

describe("what is out", () => {
  const down = (of: Found, name: string) =>
    changed(of, name, () => ({ etcd: "silent", doesAnswer: false, processes: staleEtcd }));
  const staleEtcd = {
    etcd: { identity: "x", isStale: true, flags: [] },
    "kube-apiserver": { identity: "y", isStale: false, flags: [] },
  };
  const both = ["etcd", "kube-apiserver"];
  /** How many steps of a phase wait for no other of the same phase. */
  const sideBySide = (of: Found, phase: string) =>
    stepsOf(plan(of), names).filter(
      (step) => step.phase === phase && !step.after.some((each) => each.startsWith(phase)),
    ).length;

  test("is nothing in rolling mode", () => {
    expect(plan().out).toEqual({});
  });

  test("is one member with its API server while the others are a quorum, and trust goes from master to master", () => {
    const one = down(found, "master-3");
    expect(plan(one).out).toEqual({ "master-3": both });
    expect(plan(one).order.trust).toEqual(["master-3", "master-1", "master-2"]);
    expect([sideBySide(one, "trust"), sideBySide(one, "issue"), sideBySide(one, "retire")]).toEqual([
      1, 1, 1,
    ]);
  });

  test("comes first although it answers, gives no snapshot and gets no leadership; the others are ill only because of it", () => {
    const end = Date.UTC(2026, 10, 20);
    const linked = {
      masters: foundAs(separate, { etcd: "peer-refused" }).masters.map((master) => ({
        ...master,
        isLeader: master.name === "master-1",
      })),
    };
    const one = changed(linked, "master-3", ({ files }) => ({
      files: { ...files, "etcd-peer": endingAt(files["etcd-peer"], end) },
    }));
    expect(plan(one)).toMatchObject({
      out: { "master-3": both },
      order: { trust: ["master-3", "master-1", "master-2"] },
      snapshotFrom: "master-1",
    });
    const heirs = stepsOf(plan(one), names).flatMap(({ phase, heirs: own }) =>
      phase === "trust" ? own : [],
    );
    expect(heirs).not.toContain("master-3");
    // by then it has been started
    const later = stepsOf(plan(one), names).flatMap(({ phase, heirs: own }) =>
      phase === "retire" ? own : [],
    );
    expect(later).toContain("master-3");
    // it would not let a restarted one back in
    const leading = changed(one, "master-3", () => ({ isLeader: true }));
    expect(plan(leading).out).toEqual({ "master-1": both, "master-2": both, "master-3": both });
  });

  test("is everything without quorum, and files are written side by side", () => {
    const two = down(down(found, "master-3"), "master-1");
    expect(plan(two).out).toEqual({ "master-1": both, "master-2": both, "master-3": both });
    expect([sideBySide(two, "trust"), sideBySide(two, "issue"), sideBySide(two, "retire")]).toEqual([
      3, 3, 1,
    ]);
  });

  test("is everything when members answer by the connections that they have, and no restart would bring a quorum back", () => {
    const end = Date.UTC(2026, 10, 20);
    const linked = foundAs(separate, { etcd: "peer-refused" });
    const masters = linked.masters.map((master) => ({
      ...master,
      isLeader: false,
      files: { ...master.files, "etcd-peer": endingAt(master.files["etcd-peer"], end) },
    }));
    const everything = { "master-1": both, "master-2": both, "master-3": both };
    expect(plan({ masters }).out).toEqual(everything);
    // one that is well is no quorum, whoever leads
    const [first, second, third] = masters;
    const well = [first, second, third && { ...third, isLeader: true, files: found.masters[2]?.files ?? {} }];
    expect(plan({ masters: well.flatMap((master) => master ?? []) }).out).toEqual(everything);
  });

  test("is everything when the one that is out leaves one that answers beside one that has only begun to start", () => {
    const starting = changed(down(found, "master-3"), "master-1", () => ({
      etcd: "stopped",
      doesAnswer: false,
      served: {},
    }));
    expect(plan(starting).out).toEqual({ "master-1": both, "master-2": both, "master-3": both });
  });

  test("is one alone when another that cannot be reached over SSH answers", () => {
    const two: Found = {
      masters: down(found, "master-2").masters.slice(0, 2),
      missing: [{ name: "master-3", isAlive: true }],
    };
    expect(plan(two).out).toEqual({ "master-2": both });
  });

  test("is an API server that is not ready and has not read its files, as when settle was killed before its turn", () => {
    const stale = {
      ...staleEtcd,
      etcd: { identity: "x", isStale: false, flags: [] },
      "kube-apiserver": { identity: "y", isStale: true, flags: [] },
    };
    const killed = changed(found, "master-2", () => ({ isApiReady: false, processes: stale }));
    expect(plan(killed)).toMatchObject({
      mode: "recovery",
      causes: [
        "master-2: kube-apiserver is not ready, and runs with files that have changed since its start",
      ],
      out: { "master-2": ["kube-apiserver"] },
    });
    expect(plan(changed(found, "master-2", () => ({ isApiReady: false }))).causes).toEqual([]);
    expect(plan(changed(found, "master-2", () => ({ processes: stale }))).causes).toEqual([]);
  });

  test("is what does not run since an interrupted recovery wrote its files, and nothing that a journal, or nobody, tells of", () => {
    const stopped = (change: Partial<Found["masters"][number]>) =>
      changed(found, "master-2", () => ({
        etcd: "stopped",
        doesAnswer: false,
        isApiReady: false,
        processes: {},
        served: {},
        ...change,
      }));
    const interrupted = { ...receipt, phase: "issue", isComplete: false };
    expect(plan(stopped({ receipt: interrupted })).causes).toEqual([
      "master-2: etcd does not run since rollout 4 was interrupted",
      "master-2: kube-apiserver does not run since rollout 4 was interrupted",
    ]);
    expect(plan(stopped({ receipt: { ...interrupted, phase: "trust" } })).causes).toHaveLength(2);
    expect(plan(stopped({ receipt: { ...interrupted, isComplete: true } })).causes).toEqual([]);
    expect(plan(stopped({ receipt: undefined })).causes).toEqual([]);
    // one that runs was started
    const running = found.masters[1]?.processes ?? {};
    expect(plan(stopped({ receipt: interrupted, processes: running })).causes).toEqual([]);
    expect(plan(stopped({})).causes).toEqual([]);
    expect(plan(stopped({ receipt: { ...interrupted, phase: "backup" } })).causes).toEqual([]);
    expect(
      plan(stopped({ receipt: interrupted, leftovers: ["/var/lib/etcd-rotation/journal"] })).causes,
    ).toEqual([]);
  });
});

function endingAt(file: Found["masters"][number]["files"][string] | undefined, notAfter: number) {
  if (file === undefined) {
    throw new Error("Cannot find the file");
  }
  return { ...file, certificates: file.certificates.map((certificate) => ({ ...certificate, notAfter })) };
}

describe("what a step is told to be out", () => {
  const both = ["etcd", "kube-apiserver"] as const;
  const told = (out: RolloutPlan["out"], master: string, joining: readonly string[] = []) =>
    Object.fromEntries(
      phases.map((phase) => [
        phase,
        Object.keys(outIn(phase, master, { ...plan(), out }, joining)).join(" "),
      ]),
    );

  test("one of three: until issue has started it; the others wait for each other from issue on", () => {
    const out = { "master-2": both };
    expect(told(out, "master-2")).toEqual({
      ...{ backup: "master-2", trust: "master-2", issue: "master-2" },
      ...{ settle: "", retire: "", verify: "" },
    });
    expect(told(out, "master-1")).toEqual({
      ...{ backup: "master-2", trust: "master-2", issue: "" },
      ...{ settle: "", retire: "", verify: "" },
    });
  });

  test("all: until settle has started them together", () => {
    const out = Object.fromEntries(names.map((name) => [name, both]));
    const all = "master-1 master-2 master-3";
    expect(told(out, "master-1")).toEqual({
      ...{ backup: all, trust: all, issue: all },
      ...{ settle: all, retire: "", verify: "" },
    });
  });

  test("an API server alone: until issue", () => {
    expect(told({ "master-1": ["kube-apiserver"] }, "master-1")).toEqual({
      ...{ backup: "master-1", trust: "master-1", issue: "master-1" },
      ...{ settle: "", retire: "", verify: "" },
    });
  });

  test("a master that is still to join: itself, in every phase, and nobody else", () => {
    expect(outIn("issue", "master-4", { ...plan(), out: { "master-2": both } }, ["master-4"])).toEqual({
      "master-4": ["etcd", "kube-apiserver"],
    });
  });
});

test.each([
  ["rolling", ""],
  ["recovery", "etcd kube-apiserver"],
] as const)(
  "only retire restarts what reads Kubernetes' own certificates; %s: what issue restarts, and verify nothing",
  (mode, inIssue) => {
    expect(phases.map((phase) => restartsIn(phase, { mode }).join(" "))).toEqual([
      "etcd kube-apiserver",
      "etcd kube-apiserver",
      inIssue,
      "etcd kube-apiserver",
      "etcd kube-apiserver kubelet kube-controller-manager kube-scheduler",
      "",
    ]);
  },
);

test("the longest rollout waits at each gate of each phase to its end", () => {
  expect(longestRollout(3, 120, 10)).toBe(6 * 3 * 130);
});

describe("the steps", () => {
  test("of three masters", () => {
    const lines = stepsOf(plan(), names).map(
      (step) =>
        `${step.phase} ${step.master} after [${step.after.join(" ")}] heirs [${step.heirs.join(" ")}]`,
    );
    expect(lines).toEqual([
      "backup master-1 after [] heirs []",
      "backup master-2 after [] heirs []",
      "backup master-3 after [] heirs []",
      "trust master-1 after [backup-master-1 backup-master-2 backup-master-3] heirs [master-3 master-2]",
      "trust master-2 after [backup-master-1 backup-master-2 backup-master-3 trust-master-1] heirs [master-1 master-3]",
      "trust master-3 after [backup-master-1 backup-master-2 backup-master-3 trust-master-1 trust-master-2] heirs [master-1 master-2]",
      "issue master-1 after [trust-master-1 trust-master-2 trust-master-3] heirs [master-3 master-2]",
      "issue master-2 after [trust-master-1 trust-master-2 trust-master-3 issue-master-1] heirs [master-1 master-3]",
      "issue master-3 after [trust-master-1 trust-master-2 trust-master-3 issue-master-1] heirs [master-1 master-2]",
      "settle master-1 after [issue-master-1 issue-master-2 issue-master-3] heirs []",
      "settle master-2 after [issue-master-1 issue-master-2 issue-master-3] heirs []",
      "settle master-3 after [issue-master-1 issue-master-2 issue-master-3] heirs []",
      "retire master-2 after [settle-master-1 settle-master-2 settle-master-3] heirs [master-1 master-3]",
      "retire master-3 after [settle-master-1 settle-master-2 settle-master-3 retire-master-2] heirs [master-2 master-1]",
      "retire master-1 after [settle-master-1 settle-master-2 settle-master-3 retire-master-2 retire-master-3] heirs [master-2 master-3]",
      "verify master-1 after [retire-master-2 retire-master-3 retire-master-1] heirs []",
      "verify master-2 after [retire-master-2 retire-master-3 retire-master-1] heirs []",
      "verify master-3 after [retire-master-2 retire-master-3 retire-master-1] heirs []",
    ]);
  });

  test("of one that is still to join: its files in issue, beside the first of the others, and nothing else", () => {
    const joining = stepsOf(plan(), names, ["master-4"]).filter(({ master }) => master === "master-4");
    expect(joining).toEqual([
      { phase: "issue", master: "master-4", after: names.map((name) => `trust-${name}`), heirs: [] },
    ]);
  });

  test("of one master", () => {
    const alone = plan({ masters: found.masters.slice(0, 1) });
    expect(
      stepsOf(alone, ["master-1"]).map(
        (step) =>
          `${step.phase} ${step.master} after [${step.after.join(" ")}] heirs [${step.heirs.join(" ")}]`,
      ),
    ).toEqual([
      "backup master-1 after [] heirs []",
      "trust master-1 after [backup-master-1] heirs []",
      "issue master-1 after [trust-master-1] heirs []",
      "settle master-1 after [issue-master-1] heirs []",
      "retire master-1 after [settle-master-1] heirs []",
      "verify master-1 after [retire-master-1] heirs []",
    ]);
  });
});
