import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { refusals } from "../../components/model/checks.ts";
import { differences } from "../../components/model/differences.ts";
import type { Found, Missing } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import {
  deadIn,
  foundOf,
  holdOf,
  isHeldAt,
  missingRefusals,
  obstaclesOf,
} from "../../components/model/missing.ts";
import { phases, planRollout, stepsOf } from "../../components/model/plan.ts";
import { describeHold } from "../../components/model/words.ts";
import { changed, foundAs, makePems, receipt, specs, wantedOf } from "./cluster.ts";

const pems = makePems("present");
const next = makePems("next");
const whole = foundAs(pems);
const authorities = Object.values(pems.authorities).map((pem) => certificatesIn(pem)[0]?.fingerprint ?? "");

/** The cluster without master-3. */
function without(isAlive: boolean, from = whole): Found {
  const missing: Missing = { name: "master-3", isAlive };
  return { masters: from.masters.slice(0, 2), missing: [missing] };
}

function refusalsOf(found: Found, known: readonly string[] | undefined) {
  return missingRefusals(found, ackLayout, planRollout(found, ackLayout, [], 0), known);
}

describe("a master that was not looked at is alive when another one reads through its member", () => {
  test.each([
    ["both do", ["10.77.0.13"], ["10.77.0.13"], true],
    ["one does", [], ["10.77.0.13"], true],
    ["none does", [], [], false],
  ])("%s", (_, first, second, isAlive) => {
    const masters = whole.masters
      .slice(0, 2)
      .map((master, index) => ({ ...master, reaches: index === 0 ? first : second }));
    expect(foundOf(masters, specs).missing).toEqual([{ name: "master-3", isAlive }]);
  });

  test("with all of them looked at, none is missing", () => {
    expect(foundOf(whole.masters, specs)).toEqual({ masters: whole.masters });
  });
});

test("a rollout stops before the phase that would refuse a living member, or before the one that needs a dead one", () => {
  expect([
    holdOf(whole, undefined, []),
    holdOf(whole, "retire", []),
    holdOf(without(true), "retire", []),
    holdOf(without(false), undefined, []),
  ]).toEqual([undefined, "retire", "issue", "retire"]);
  expect(phases.filter((phase) => isHeldAt(phase, "issue"))).toEqual(["issue", "settle", "retire", "verify"]);
  expect(phases.filter((phase) => isHeldAt(phase, undefined))).toEqual([]);
  expect([deadIn(whole), deadIn(without(true)), deadIn(without(false))]).toEqual([[], [], ["master-3"]]);
});

test("words say what it waits for", () => {
  expect(
    [whole, without(true), without(false)].map((each) => obstaclesOf(each, "retire", []).join(", and ")),
  ).toEqual([
    "",
    "master-3 can be reached over SSH (its etcd serves, and would refuse the new leaves)",
    "master-3 is back (it cannot be reached over SSH, and its etcd does not answer)",
  ]);
  const many = ["master-2", "master-3", "master-4", "master-5"].map((name, index) => ({
    name,
    isAlive: index < 2,
  }));
  expect(obstaclesOf({ masters: [], missing: many }, "retire", []).join(", and ")).toBe(
    "master-2, master-3 can be reached over SSH (its etcd serves, and would refuse the new leaves), and master-4, master-5 is back (it cannot be reached over SSH, and its etcd does not answer)",
  );
  expect(describeHold({ found: whole, heldBefore: "retire", clients: [] })).toBe(
    "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too. To go on, remove holdBefore and run pulumi up.",
  );
  expect(describeHold({ found: without(true), heldBefore: "issue", clients: [] })).toBe(
    "Held before issue: every master that could be reached trusts the wanted authorities and the earlier ones too. Run pulumi up again when master-3 can be reached over SSH (its etcd serves, and would refuse the new leaves).",
  );
});

describe("refused before anything is changed", () => {
  test("a restart that would leave one of three", () => {
    expect(refusalsOf(without(false), undefined)).toEqual([
      "Cannot rotate without master-3: 2 of 3 members answer, so a restart of etcd on master-1, master-2 would leave 1; expected a quorum of 2 beside it. Nothing was changed. Bring master-3 back (systemctl status etcd there), or replace it (docs/masters.md), then run pulumi up again",
    ]);
  });

  test("but not new leaves under authorities that are trusted, nor a rotation with a member that lives", () => {
    expect(refusalsOf(without(false), authorities)).toEqual([]);
    expect(refusalsOf(without(true), undefined)).toEqual([]);
  });

  test("one etcd that has to be restarted for its files", () => {
    const stale = changed(without(false), "master-2", (master) => ({
      processes: { ...master.processes, etcd: { identity: "boot-2 101 5000", isStale: true, flags: [] } },
    }));
    expect(refusalsOf({ ...stale, missing: without(false).missing ?? [] }, authorities)[0]).toContain(
      "a restart of etcd on master-2 would leave 1;",
    );
  });

  test("a restart for a trust file of etcd that lacks a wanted authority, and for no other file", () => {
    const [etcd = ""] = authorities;
    const ofNext = foundAs(next).masters[0]?.files ?? {};
    const withFiles = (
      change: (files: Found["masters"][number]["files"]) => Found["masters"][number]["files"],
    ) => ({
      ...without(false),
      masters: without(false).masters.map((master) => ({ ...master, files: change(master.files) })),
    });
    // etcd-peer-ca alone
    expect(refusalsOf(without(false), [etcd])[0]).toContain(
      "a restart of etcd on master-1, master-2 would leave 1;",
    );
    expect(
      refusalsOf(
        withFiles(() => ({})),
        authorities,
      )[0],
    ).toContain("a restart of etcd on master-1, master-2 would leave 1;");
    // kube-apiserver's
    const other = ofNext["apiserver-etcd-ca"];
    expect(
      refusalsOf(
        withFiles((files) => ({ ...files, ...(other === undefined ? {} : { "apiserver-etcd-ca": other }) })),
        authorities,
      ),
    ).toEqual([]);
    // one more beside it
    const both = withFiles((files) =>
      Object.fromEntries(
        Object.entries(files).map(([id, file]) => [
          id,
          { ...file, certificates: [...file.certificates, ...(ofNext[id]?.certificates ?? [])] },
        ]),
      ),
    );
    expect(refusalsOf(both, authorities)).toEqual([]);
  });

  test("by the members that answer, of those that etcd has: other masters have not", () => {
    const dumb = changed({ masters: without(true).masters }, "master-2", () => ({
      doesAnswer: false,
      etcd: "silent",
      processes: {},
    }));
    expect(refusalsOf({ ...dumb, missing: without(true).missing ?? [] }, undefined)[0]).toContain(
      "2 of 3 members answer, so a restart of etcd on master-1 would leave 1; expected a quorum of 2",
    );
    expect(refusalsOf({ ...dumb, missing: without(true).missing ?? [] }, authorities)).toEqual([]);
    const [member] = whole.masters.flatMap(({ members }) => members);
    const five = (_: unknown, index: number) => ({
      members: index === 0 || member === undefined ? [] : Array.from({ length: 5 }, () => member),
    });
    const withMembers = (
      change: (_: unknown, index: number) => { members: Found["masters"][number]["members"] },
    ) => ({
      ...without(false),
      masters: without(false).masters.map((master, index) => ({ ...master, ...change(master, index) })),
    });
    expect(refusalsOf(withMembers(five), undefined)[0]).toContain("2 of 5 members answer");
    expect(
      refusalsOf(
        withMembers(() => ({ members: [] })),
        undefined,
      )[0],
    ).toContain("2 of 3 members answer");
  });

  test("nothing for a member that is ill where every master was reached", () => {
    const ill = changed(whole, "master-3", () => ({ doesAnswer: false, etcd: "silent" }));
    expect(refusalsOf(ill, undefined)).toEqual([]);
  });

  test("a recovery, with all that is missing and all causes", () => {
    const stale = { etcd: { identity: "x", isStale: true, flags: [] } };
    const masters = whole.masters
      .slice(0, 1)
      .map((master) => ({ ...master, doesAnswer: false, etcd: "silent" as const, processes: stale }));
    const gone = ["master-2", "master-3"].map((name) => ({ name, isAlive: false }));
    expect(refusalsOf({ masters, missing: gone }, authorities)[0]).toContain(
      "Cannot recover without master-2, master-3: etcd has no quorum that answers: 0 of 3 members do; master-1: etcd does not answer, and",
    );
  });

  test("a recovery", () => {
    const down = {
      ...without(false),
      masters: without(false).masters.map((master) => ({
        ...master,
        etcd: "silent" as const,
        doesAnswer: false,
      })),
    };
    expect(refusalsOf(down, authorities)).toEqual([
      "Cannot recover without master-3: etcd has no quorum that answers: 0 of 3 members do; expected every master to be reachable, since all that is out is started together. Restore SSH access to master-3, then run pulumi up again",
    ]);
  });
});

describe("while a rollout is held before issue", () => {
  const held = { ...wantedOf(next), heldBefore: "issue" as const };
  const trusting = foundAs(pems, { receipt: { ...receipt, isComplete: false, phase: "trust" } });

  test("earlier leaves are no difference, a trust file without the wanted authority is one", () => {
    const both = {
      masters: trusting.masters.map((master) => ({
        ...master,
        files: { ...master.files, ...unionOf(master.files) },
      })),
    };
    expect(differences(both, held, ackLayout)).toEqual([]);
    expect(differences(trusting, held, ackLayout).map(({ master, what }) => `${master}: ${what}`)).toContain(
      "master-1: etcd-ca is not the wanted one",
    );
  });

  function unionOf(files: Found["masters"][number]["files"]) {
    const nextFiles = foundAs(next).masters[0]?.files ?? {};
    return Object.fromEntries(
      ackLayout
        .filter((row) => row.kind === "trust")
        .flatMap((row) => {
          const [file, other] = [files[row.id], nextFiles[row.id]];
          return file === undefined || other === undefined
            ? []
            : [[row.id, { ...file, certificates: [...other.certificates, ...file.certificates] }]];
        }),
    );
  }
});

describe("a new machine that is still to join", () => {
  const joining = whole.masters.slice(2);
  const two = whole.masters.slice(0, 2).map((master) => ({ ...master, members: master.members.slice(0, 2) }));
  const found: Found = { masters: two, joining };
  const masters = specs.map((spec) => ({ ...spec, joining: spec.name === "master-3" }));
  const identity = { owner: receipt.owner, takeOver: undefined, lastClusterId: receipt.cluster };
  const allowed = { outage: false, renewals: {} };

  test("stands apart, is no member, and is refused for nothing but its clock and its owner", () => {
    expect(foundOf([...two, ...joining], masters)).toEqual(found);
    expect(refusals(found, masters, ackLayout, identity, allowed)).toEqual([]);
    const late = { ...found, joining: joining.map((master) => ({ ...master, clock: master.clock - 60 })) };
    expect(refusals(late, masters, ackLayout, identity, allowed)[0]).toContain(
      "Cannot issue certificates for master-3: its clock is 60 s behind",
    );
  });

  test("is refused while etcd has a member at its address", () => {
    expect(
      refusals({ ...found, masters: whole.masters.slice(0, 2) }, masters, ackLayout, identity, allowed),
    ).toEqual([
      "Cannot treat master-3 as joining: etcd has a member at 10.77.0.13; expected none yet. When it is the machine that was replaced: etcdctl member remove; when it is the new one and its etcd runs: remove masters[master-3].joining",
    ]);
  });

  test("has to join before etcd of the others is restarted, unless nothing of them answers", () => {
    expect(refusalsOf(found, authorities)).toEqual([]);
    expect(refusalsOf(found, undefined)).toEqual([
      "Cannot rotate without master-3: 2 of 2 members answer, so a restart of etcd on master-1, master-2 would leave 1; expected a quorum of 2 beside it. Nothing was changed. First let master-3 join with the certificates that the others have (docs/masters.md), then run pulumi up again",
    ]);
    expect(
      refusalsOf(
        {
          masters: two.map((master) => ({ ...master, etcd: "silent" as const, doesAnswer: false })),
          joining,
        },
        undefined,
      ),
    ).toEqual([]);
  });

  test("differs by its files alone", () => {
    const bare = joining.map((master) => ({
      ...master,
      files: {},
      processes: {},
      served: {},
      receipt: undefined,
    }));
    const wanted = { ...wantedOf(pems), heldBefore: "retire" as const };
    expect(
      differences({ masters: two, joining: bare }, wanted, ackLayout).map(
        ({ master, what }) => `${master} ${what}`,
      ),
    ).toEqual(ackLayout.map(({ id }) => `master-3 ${id} is missing (joining)`));
    const there = joining.map((master) => ({ ...master, processes: {}, served: {}, receipt: undefined }));
    expect(differences({ masters: two, joining: there }, wanted, ackLayout)).toEqual([]);
  });

  test("gets one step, after the others trust what its leaves are issued by", () => {
    const steps = stepsOf(
      planRollout(found, ackLayout, [], 0),
      ["master-1", "master-2"],
      ["master-3"],
    ).filter(({ master }) => master === "master-3");
    expect(steps).toEqual([
      { phase: "issue", master: "master-3", after: ["trust-master-1", "trust-master-2"], heirs: [] },
    ]);
    expect([holdOf(found, undefined, []), ...obstaclesOf(found, "retire", [])]).toEqual([
      "retire",
      "master-3 has joined and masters[master-3].joining is removed",
    ]);
  });
});
