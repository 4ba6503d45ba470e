import { expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import type { Found } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { type PlanSummary, summarizePlan } from "../../components/model/plan-summary.ts";
import { noRenewals } from "../../components/model/restore.ts";
import type { WordsInput } from "../../components/model/words.ts";
import { changed, foundAs, makePems, wantedOf } from "./cluster.ts";

const current = makePems("current");
const found = foundAs(current);
const { masters } = found;
const [etcd, peer] = Object.values(current.authorities).flatMap(certificatesIn);
if (etcd === undefined || peer === undefined) {
  throw new Error("Cannot read the authorities");
}

function summaryOf(of: Found, change: Partial<WordsInput>): PlanSummary {
  const input: WordsInput = {
    ...{ found: of, wanted: undefined, rows: ackLayout, kubernetes: [] },
    ...{ plan: planRollout(of, ackLayout, [], 0), renewals: noRenewals({ notices: [], kept: [] }) },
    ...{ rollout: 5, rotation: "2026-12", lastRotation: undefined, restore: undefined },
    ...{ foreignAuthorities: undefined, shut: undefined, pauseSeconds: 10, heldBefore: undefined },
    ...{ handover: { kind: "union", reason: "no-key" }, clients: [], addresses: [], ...change },
  };
  return summarizePlan("prod", input, ["said"]);
}

const steady = { wanted: wantedOf(current) };
const both = ["etcd", "kube-apiserver"] as const;
const down = changed(found, "master-3", ({ processes }) => ({
  ...{ etcd: "silent", doesAnswer: false },
  processes: { ...processes, etcd: { identity: "x", isStale: true, flags: [] } },
}));
const without = (isAlive: boolean): Found => ({
  masters: masters.slice(0, 2),
  missing: [{ name: "master-3", isAlive }],
});

test.each<[string, Found, Partial<WordsInput>, Partial<PlanSummary>]>([
  [
    "nothing will be changed",
    found,
    steady,
    { isNothingToDo: true, mode: "rolling", because: [], out: {}, heldBefore: null, windowRefusal: null },
  ],
  [
    "new certificates will be made",
    found,
    {},
    { isNothingToDo: false, because: ["new certificates will be issued"], handover: "no-key" },
  ],
  [
    "what is out, and which master comes first",
    down,
    steady,
    {
      ...{ isNothingToDo: false, mode: "recovery", out: { "master-3": both } },
      order: {
        trust: ["master-3", "master-1", "master-2"],
        issue: ["master-3", "master-1", "master-2"],
        retire: ["master-1", "master-2", "master-3"],
      },
    },
  ],
  [
    "the rollout will stop, and what for",
    without(false),
    { heldBefore: "retire" },
    {
      heldBefore: "retire",
      obstacles: ["master-3 is back (it cannot be reached over SSH, and its etcd does not answer)"],
    },
  ],
  ["it will not stop, so nothing is in its way", without(true), {}, { heldBefore: null, obstacles: [] }],
  ["the window is shut", found, { shut: "Cannot begin now" }, { windowRefusal: "Cannot begin now" }],
  [
    "etcd restarts once",
    found,
    {
      handover: {
        kind: "cross",
        signers: {
          etcd: { certificate: etcd, key: "state" },
          "etcd-peer": { certificate: peer, key: "state" },
        },
      },
    },
    { handover: "cross" },
  ],
])("a program is told: %s", (_, of, change, expected) => {
  expect(summaryOf(of, change)).toMatchObject({
    ...{ cluster: "prod", rotation: "2026-12", rollout: 5, words: ["said"] },
    ...expected,
  });
});

test("a program is told what ends first on each master, by the second, and nothing of one that shows no certificate", () => {
  const notAfter = Date.UTC(2027, 0, 22, 1, 2, 3);
  const ending = changed(found, "master-1", ({ files }) => {
    const file = files["etcd-peer"];
    const certificates = file?.certificates.map((each) => ({ ...each, notAfter })) ?? [];
    return { files: file === undefined ? {} : { "etcd-peer": { ...file, certificates } } };
  });
  const bare = changed(ending, "master-2", () => ({ files: {} }));
  expect(summaryOf({ masters: bare.masters.slice(0, 2) }, {}).expires).toEqual([
    { master: "master-1", certificate: "etcd-peer", notAfter: "2027-01-22T01:02:03.000Z" },
  ]);
});
