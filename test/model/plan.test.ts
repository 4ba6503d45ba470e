import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import type { Found } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout.ts";
import { planRollout, type RolloutPlan, stepsOf } from "../../components/model/plan.ts";
import { changed, diskOf, foundAs, makePems, masterWith, names } from "./cluster.ts";

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
  return Object.fromEntries(Object.entries(plan(of).trusted[master] ?? {}).map(([row, list]) => [row, list.map((each) => each.subject.join())]));
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
    const ill = changed(found, "master-2", () => ({ etcd: "down" }));
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
    expect(plan(changed(found, "master-1", () => ({ etcd: "slow" }))).snapshotFrom).toBe("master-2");
    expect(plan(foundAs(separate, { etcd: "down", doesAnswer: false })).snapshotFrom).toBeUndefined();
  });
});

describe("what stays trusted", () => {
  test("with separate authorities is each role's own, so that no client can pose as a member", () => {
    const own = { "etcd-ca": ["CN=etcd-ca separate"], "etcd-peer-ca": ["CN=etcd-peer-ca separate"], "apiserver-etcd-ca": ["CN=etcd-ca separate"] };
    expect(names.map((name) => trusted(found, name))).toEqual([own, own, own]);
  });

  test("with a shared authority is that one everywhere", () => {
    const own = { "etcd-ca": ["CN=etcd-ca shared"], "etcd-peer-ca": ["CN=etcd-ca shared"], "apiserver-etcd-ca": ["CN=etcd-ca shared"] };
    expect(trusted(foundAs(shared), "master-3")).toEqual(own);
  });

  test("includes whoever issued a leaf on another master's disk, for that leaf's role alone", () => {
    const disk = { ...diskOf(separate, "master-3"), "etcd-peer": half.leaves["master-3"]?.["etcd-peer"].certPem ?? "" };
    const known = `${separate.authorities["etcd-peer"]}${half.authorities["etcd-peer"]}${half.authorities.etcd}`;
    const mixed = {
      masters: [...found.masters.slice(0, 2), masterWith("master-3", { ...disk, "etcd-peer-ca": known }, { served: found.masters[2]?.served ?? {} })],
    };
    expect(trusted(mixed, "master-1")).toEqual({
      "etcd-ca": ["CN=etcd-ca separate"],
      "etcd-peer-ca": ["CN=etcd-peer-ca separate", "CN=etcd-peer-ca half"],
      "apiserver-etcd-ca": ["CN=etcd-ca separate"],
    });
    // what the file itself holds stays, needed or not
    expect(trusted(mixed, "master-3")["etcd-peer-ca"]).toEqual(["CN=etcd-peer-ca separate", "CN=etcd-peer-ca half", "CN=etcd-ca half"]);
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
    const known = { "etcd-ca": `${separate.authorities.etcd}${half.authorities.etcd}${half.authorities["etcd-peer"]}` };
    const third = masterWith("master-3", { ...diskOf(separate, "master-3"), ...known });
    const mixed = { masters: [...found.masters.slice(0, 2), { ...third, served: { ...third.served, ...(served === undefined ? {} : { [port]: served }) } }] };
    expect(trusted(mixed, "master-1")).toEqual(expected);
  });
});

describe("the mode", () => {
  test("is rolling while certificates hold and there is quorum", () => {
    expect([plan().mode, plan().causes]).toEqual(["rolling", []]);
    const ill = changed(found, "master-1", () => ({ etcd: "slow" }));
    expect([plan(ill).mode, plan(ill).causes]).toEqual(["rolling", []]);
  });

  test("is recovery without quorum", () => {
    const ill = changed(
      changed(found, "master-1", () => ({ etcd: "down", doesAnswer: false })),
      "master-2",
      () => ({ etcd: "down", doesAnswer: false }),
    );
    expect([plan(ill).mode, plan(ill).causes]).toEqual(["recovery", ["etcd has no quorum that answers: 1 of 3 members do"]]);
  });

  test("is rolling while members answer, however ill they are: an alarm is raised for all, and is no reason to stop them", () => {
    expect(plan(foundAs(separate, { etcd: "an alarm is raised (etcdctl alarm list)" }))).toMatchObject({ mode: "rolling", causes: [] });
  });

  test("is rolling when a member that does not answer has only begun to start, and recovery when it serves with files that have changed", () => {
    const stale = { etcd: { identity: "x", isStale: true, flags: [] } };
    const starting = changed(found, "master-1", () => ({ etcd: "the unit etcd is not active", doesAnswer: false, processes: stale, served: {} }));
    const old = changed(found, "master-1", () => ({ etcd: "no status", doesAnswer: false, processes: stale }));
    expect(plan(starting).causes).toEqual([]);
    expect(plan(old).causes).toEqual(["master-1: etcd does not answer, and runs with files that have changed since its start"]);
  });

  test("is rolling when an alarm is raised and a file is at fault as well: the members serve", () => {
    const ill = foundAs(separate, { etcd: "an alarm is raised (etcdctl alarm list)" });
    expect(plan(expired(ill, "etcd-peer")).causes).toEqual([]);
  });

  test("is recovery when a member answers and no peer accepts it, for a fault of its files", () => {
    const ill = changed(found, "master-2", () => ({ etcd: "no peer handshake with 10.77.0.11:2380" }));
    expect(plan(ill).causes).toEqual([]);
    expect(plan(expired(ill, "etcd-peer")).causes).toEqual(["master-2: etcd-peer expired on 2026-11-20"]);
  });

  const end = Date.UTC(2026, 10, 20);
  const out = changed(found, "master-2", () => ({ etcd: "down", doesAnswer: false }));
  const expired = (of: Found, id: string) => changed(of, "master-2", (master) => ({ files: { ...master.files, [id]: endingAt(master.files[id], end) } }));

  test("is recovery when a member is out and its leaf has ended, from its very end on", () => {
    expect(plan(expired(out, "etcd-peer"), end - 1).causes).toEqual([]);
    expect(plan(expired(out, "etcd-peer"), end)).toMatchObject({ mode: "recovery", causes: ["master-2: etcd-peer expired on 2026-11-20"] });
  });

  test("is recovery when a member is out and a leaf does not belong to its key", () => {
    const key = found.masters[0]?.files["etcd-server-key"];
    const mixed = changed(out, "master-2", (master) => ({ files: { ...master.files, ...(key === undefined ? {} : { "etcd-server-key": key }) } }));
    expect(plan(mixed)).toMatchObject({ mode: "recovery", causes: ["master-2: etcd-server does not belong to its key"] });
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

function endingAt(file: Found["masters"][number]["files"][string] | undefined, notAfter: number) {
  if (file === undefined) {
    throw new Error("Cannot find the file");
  }
  return { ...file, certificates: file.certificates.map((certificate) => ({ ...certificate, notAfter })) };
}

describe("the steps", () => {
  test("of three masters", () => {
    const lines = stepsOf(plan(), names).map((step) => `${step.phase} ${step.master} after [${step.after.join(" ")}] heirs [${step.heirs.join(" ")}]`);
    expect(lines).toEqual([
      "backup master-1 after [] heirs []",
      "backup master-2 after [] heirs []",
      "backup master-3 after [] heirs []",
      "trust master-1 after [backup-master-1 backup-master-2 backup-master-3] heirs [master-3 master-2]",
      "trust master-2 after [backup-master-1 backup-master-2 backup-master-3 trust-master-1] heirs [master-1 master-3]",
      "trust master-3 after [backup-master-1 backup-master-2 backup-master-3 trust-master-1 trust-master-2] heirs [master-1 master-2]",
      "issue master-1 after [trust-master-1 trust-master-2 trust-master-3] heirs [master-3 master-2]",
      "issue master-2 after [trust-master-1 trust-master-2 trust-master-3 issue-master-1] heirs [master-1 master-3]",
      "issue master-3 after [trust-master-1 trust-master-2 trust-master-3 issue-master-1 issue-master-2] heirs [master-1 master-2]",
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

  test("of one master", () => {
    const alone = plan({ masters: found.masters.slice(0, 1) });
    expect(stepsOf(alone, ["master-1"]).map((step) => `${step.phase} ${step.master} after [${step.after.join(" ")}] heirs [${step.heirs.join(" ")}]`)).toEqual([
      "backup master-1 after [] heirs []",
      "trust master-1 after [backup-master-1] heirs []",
      "issue master-1 after [trust-master-1] heirs []",
      "settle master-1 after [issue-master-1] heirs []",
      "retire master-1 after [settle-master-1] heirs []",
      "verify master-1 after [retire-master-1] heirs []",
    ]);
  });
});
