import { expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor } from "../../components/model/contents.ts";
import { type CheckQuestion, checkRollout, describeCheck } from "../../components/model/exploration/check.ts";
import type { Limits } from "../../components/model/exploration/explore.ts";
import type { Ways } from "../../components/model/exploration/runs.ts";
import type { Found } from "../../components/model/found.ts";
import { decideHandover } from "../../components/model/handover.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { changed, diskOf, foundAs, type MadePems, makePems, masterWith } from "./cluster.ts";

// phases*.test.ts show that the exploration sees what it should; here it begins with what a survey has found, and what is wanted
// is still to be made.

const separate = makePems("separate");
const now = 1_795_000_000_000;

function questionFor(found: Found, keys?: MadePems): CheckQuestion {
  const [etcd, peer] = Object.values(keys?.authorities ?? {}).flatMap(certificatesIn);
  const inState = etcd && peer && { etcd, "etcd-peer": peer };
  const asked = { rows: ackLayout, wanted: undefined, inState, now, end: now };
  const handover = decideHandover(found, {
    ...asked,
    ...{ mode: "rolling", policy: undefined, isRestoring: false, isHeld: false },
  });
  return {
    ...{ ...asked, found, handover, hasPeerAuthority: true, authorities: [] },
    ...{ crossPolicy: undefined, heldBefore: undefined, foreignAuthorities: undefined },
  };
}

const everything: Limits = { isOver: () => false };

/** Ends before so many runs have been started. */
function runs(most: number): Limits {
  let started = 0;
  return {
    isOver: () => {
      started += 1;
      return started > most;
    },
  };
}

function check(question: CheckQuestion, change?: Ways, limits = everything) {
  return checkRollout(question, limits, change);
}

test("of a rotation of healthy masters, each restarted twice, every state is walked, and none refuses a connection", () => {
  const made = check(questionFor(foundAs(separate)));
  expect(made).toEqual({ states: 734, isComplete: true, refused: [], way: [] });
  expect(describeCheck(made)).toEqual([
    "Check: no connection is refused in any of 734 states, by runs that end anywhere and processes that restart at any time.",
  ]);
}, 300_000);

test("with the authorities' keys at hand the walk is that of one restart; where it ends early it says so", () => {
  const question = questionFor(foundAs(separate), separate);
  expect(question.handover.kind).toBe("cross");
  const { states, ...made } = check(question, {}, runs(10));
  expect(made).toEqual({ isComplete: false, refused: [], way: [] });
  expect(describeCheck({ states, ...made })).toEqual([
    [
      `Check: no connection is refused in ${states} states, by runs that end anywhere and processes that restart at any time.`,
      "There are more: the walk was not finished.",
    ].join(" "),
  ]);
}, 60_000);

test("where authorities stay, new leaves restart nothing, so there is less to walk", () => {
  const authorities = Object.values(separate.authorities).flatMap(certificatesIn);
  const question = {
    ...questionFor(foundAs(separate)),
    authorities: authorities.map(({ fingerprint }) => fingerprint),
  };
  expect(check(question)).toMatchObject({ isComplete: true, refused: [] });
  const late = check(question, { order: ["retire", "issue", "trust"] });
  expect(late).toMatchObject({ isComplete: true, refused: [] });
}, 60_000);

test.each<[string, MadePems | undefined, Ways, string[], string]>([
  [
    "issue before trust",
    undefined,
    { order: ["issue", "trust", "retire"] },
    ["issue on master-1: etcd-server and etcd-server-key written"],
    "apiserver-etcd-ca on master-2 refuses etcd-server of master-1",
  ],
  [
    "trust without restarts",
    undefined,
    { restarts: ["retire"] },
    [
      ...["master-1", "master-2", "master-3"].flatMap((name) =>
        ["etcd-ca", "etcd-peer-ca", "apiserver-etcd-ca"].map((id) => `trust on ${name}: ${id} written`),
      ),
      "issue on master-1: etcd-server and etcd-server-key written",
    ],
    "apiserver-etcd-ca on master-2 refuses etcd-server of master-1",
  ],
  [
    "leaves without the cross-certificate",
    separate,
    {
      contents: (phase, master, rows, plan, pems) =>
        phase === "trust" ? {} : contentsFor(phase, master, rows, plan, pems),
    },
    ["issue on master-1: etcd-server and etcd-server-key written"],
    "apiserver-etcd-ca on master-2 refuses etcd-server of master-1",
  ],
])(
  "the shortest way to a refused connection is told: %s",
  (_, keys, change, way, expected) => {
    const made = check(questionFor(foundAs(separate), keys), change);
    expect(made.way).toEqual(way);
    expect(made.refused).toContain(expected);
    expect(describeCheck(made)).toEqual([
      "Check: connections are refused after this:",
      ...way.map((each) => `  ${each}`),
      ...made.refused.map((each) => `  then ${each}`),
    ]);
  },
  300_000,
);

test("a connection that is refused as it is now is the end of the walk", () => {
  const { files } = masterWith("master-2", diskOf(makePems("stranger"), "master-2"));
  const found = changed(foundAs(separate), "master-2", (master) => ({
    files: {
      ...master.files,
      ...Object.fromEntries(Object.entries(files).filter(([id]) => id === "etcd-peer")),
    },
  }));
  const made = check(questionFor(found));
  expect(made.way).toEqual([]);
  expect(made.refused).toContain("etcd-peer-ca on master-1 refuses etcd-peer of master-2");
  expect(describeCheck(made)[0]).toBe("Check: connections are refused as it is now:");
});

test("a stale process may have no more than it needs now, whatever lies on the disk", () => {
  const other = makePems("other");
  const more = masterWith("master-1", diskOf(other, "master-1")).files;
  const withMore = (isStale: boolean): Found => ({
    masters: foundAs(separate).masters.map((master) => ({
      ...master,
      files: Object.fromEntries(
        Object.entries(master.files).map(([id, file]) => {
          const behind = id.endsWith("ca") ? (more[id]?.certificates ?? []) : [];
          return [id, { ...file, certificates: [...file.certificates, ...behind] }];
        }),
      ),
      processes: {
        ...master.processes,
        etcd: { identity: "1", flags: [], isStale: isStale && master.name === "master-2" },
      },
    })),
  });
  const authorities = Object.values(other.authorities)
    .flatMap(certificatesIn)
    .map(({ fingerprint }) => fingerprint);
  const checked = (isStale: boolean, change: Ways) =>
    check({ ...questionFor(withMore(isStale)), authorities }, change, runs(3)).refused;
  const restarts: Ways = { restarts: ["retire"] };
  expect(checked(true, restarts)).toEqual(["etcd-peer-ca on master-2 refuses etcd-peer of master-1"]);
  expect(checked(false, restarts)).toEqual([]);
  expect(checked(true, {})).toEqual([]);
}, 60_000);
