import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { type Decision, decide } from "../../components/model/decision.ts";
import type { Found, FoundFile, FoundMaster } from "../../components/model/found.ts";
import { asReadBy, type Row } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { type PlannedStep, stepName, stepsOf } from "../../components/model/plan.ts";
import type { Renewal } from "../../components/model/renewals.ts";
import { noRenewals } from "../../components/model/restore.ts";
import type { ClusterArgs } from "../../components/model/settings.ts";
import type { StepData } from "../../components/model/step-data.ts";
import { type StepInput, stepDataFor } from "../../components/model/step-work.ts";
import {
  changed,
  diskOf,
  fileOf,
  foundAs,
  makePems,
  receipt,
  shortSettings,
  signedBy,
  specs,
  wantedOf,
} from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

const current = makePems("current");
const next = makePems("next");
const { inState, texts } = signedBy(current, next);
const well = foundAs(current);
const now = Date.UTC(2026, 10, 24);
const settings: ClusterArgs = { ...shortSettings, kubernetes: { renew: "auto", keepKeys: true } };
const last = {
  ...{ cluster: receipt.cluster, rotation: "2026-11", authorities: [], hasDiskSnapshots: false },
  keys: { current: undefined, previous: undefined },
};
const input: StepInput = {
  pems: next,
  wanted: wantedOf(next),
  attempt: { rollout: 5, id: "a5" },
  renewals: noRenewals({ notices: [], kept: [] }),
  handover: { kind: "union", reason: "no-key" },
  inState: {},
  signed: [],
};
const cross: Partial<StepInput> = {
  inState: texts,
  handover: {
    kind: "cross",
    signers: {
      etcd: { certificate: inState.etcd, key: "state" },
      "etcd-peer": { certificate: inState["etcd-peer"], key: "state" },
    },
  },
};

interface Case {
  readonly found?: Found;
  readonly args?: Partial<ClusterArgs>;
  readonly decision?: Partial<Decision>;
  readonly input?: Partial<StepInput>;
}

/** By name, what each step of a rollout is told. */
function told({
  found = well,
  args = {},
  decision = {},
  input: change = {},
}: Case = {}): Record<string, StepData> {
  const all = { ...settings, ...args };
  const decided = {
    ...decide({ found, cloud: undefined, last, now }, all, { name: "prod", owner: receipt.owner }),
    ...decision,
  };
  const cluster = { ...decided, args: all, found, owner: receipt.owner, claim: "p/s me@here pid 7" };
  const joining = found.joining?.map(({ name }) => name) ?? [];
  const steps = stepsOf(
    decided.plan,
    found.masters.map(({ name }) => name),
    joining,
  );
  const data = (step: PlannedStep) =>
    all.masters
      .filter(({ name }) => name === step.master)
      .map((master) => stepDataFor(cluster, step, master, { ...input, ...change }));
  return Object.fromEntries(steps.flatMap((step) => data(step).map((own) => [stepName(step), own])));
}

/** The steps of which something holds, in their order. */
function those(steps: Record<string, StepData>, holds: (data: StepData) => boolean): string[] {
  return Object.entries(steps).flatMap(([name, data]) => (holds(data) ? [name] : []));
}

const contentIn = (of: StepData | undefined, id: string) => of?.contents[id];
/** etcd on master-3 does not answer, and its kube-apiserver with it. */
const cut = changed(well, "master-3", ({ processes }) => ({
  ...{ etcd: "silent", doesAnswer: false },
  processes: { ...processes, etcd: { identity: "x", isStale: true, flags: [] } },
}));

test("a step is told the cluster's settings, whom it works for, and what it is to leave in the receipt", () => {
  expect(told()["trust-master-2"]).toMatchObject({
    ...{
      phase: "trust",
      master: { name: "master-2", address: "10.77.0.12" },
      layout: "ack",
      rows: ackLayout,
    },
    memberAddresses: ["10.77.0.11", "10.77.0.12", "10.77.0.13"],
    ...{ owner: receipt.owner, claim: "p/s me@here pid 7", takeOver: "", clusterId: receipt.cluster },
    ...{
      rollout: 5,
      attempt: "a5",
      rotation: "2026-12",
      restore: 0,
      saved: [],
      cross: [],
      tellsReach: false,
    },
    authorities: Object.values(input.wanted.authorities),
    ...{ isJoining: false, isHeld: false, out: [], restarts: ["etcd", "kube-apiserver"] },
    ...{ backupFolder: "/var/lib/etcd-rotation/backups", backupsToKeep: 3 },
    ...{ drainSeconds: 2, pauseSeconds: 10, gateSeconds: 300 },
    renewal: { groups: [], authorities: [], keepKeys: true, validitySeconds: 1_576_800_000 },
  });
  expect(told({ args: { takeOver: "p/old" } })["trust-master-2"]?.takeOver).toBe("p/old");
});

test("an outage is allowed where there are one or two masters, and the stack file allows it; with three it is never one", () => {
  const isAllowed = (count: number, allowOutage: boolean) =>
    those(
      told({ args: { allowOutage, masters: settings.masters.slice(0, count) } }),
      (data) => data.isOutageAllowed,
    ).length > 0;
  expect([isAllowed(3, true), isAllowed(2, true), isAllowed(1, true), isAllowed(1, false)]).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

test("one master alone takes the snapshot; leadership goes to addresses, the best first", () => {
  const steps = told();
  expect(those(steps, (data) => data.takesSnapshot && data.phase === "backup")).toEqual(["backup-master-1"]);
  expect(steps["retire-master-3"]?.heirAddresses).toEqual(["10.77.0.12", "10.77.0.11"]);
});

test("the first restarts of a rollout wait for no load balancer: those of trust, and of retire where they are the first", () => {
  const hurried = (change: Case) => those(told(change), ({ pauseSeconds }) => pauseSeconds === 0);
  expect(hurried({})).toEqual(["trust-master-1"]);
  expect(hurried({ input: cross })).toEqual(["trust-master-1", "retire-master-2"]);
});

describe("what is written", () => {
  test("issue has this master's leaves; a cross-certificate stands behind each, and nothing is widened in trust", () => {
    const leaf = next.leaves["master-2"]?.["etcd-server"].certPem;
    const both = told();
    expect(contentIn(both["issue-master-2"], "etcd-server")).toBe(leaf);
    expect(contentIn(both["trust-master-2"], "etcd-ca")).toBe(
      next.authorities.etcd + current.authorities.etcd,
    );
    const crossed = told({ input: cross });
    expect(contentIn(crossed["issue-master-2"], "etcd-server")).toBe(`${leaf}${texts.etcd}`);
    expect(crossed["trust-master-2"]?.contents).toEqual({});
    expect(those(both, (data) => Object.keys(data.contents).length > 0 && data.phase === "backup")).toEqual(
      [],
    );
  });

  test("a master that is joining gets all of it in one step, which starts nothing", () => {
    const found = { masters: well.masters.slice(0, 2), joining: well.masters.slice(2) };
    const masters = settings.masters.map((each) => ({ ...each, joining: each.name === "master-3" }));
    const steps = told({ found, args: { masters } });
    expect(those(steps, (data) => data.isJoining)).toEqual(["issue-master-3"]);
    expect(steps["issue-master-3"]).toMatchObject({
      memberAddresses: ["10.77.0.11", "10.77.0.12"],
      out: ["etcd@10.77.0.13", "kube-apiserver@10.77.0.13"],
    });
    expect(Object.keys(steps["issue-master-3"]?.contents ?? {})).toEqual(ackLayout.map(({ id }) => id));
  });

  test("by a restore the backup's own bytes come back: a step has their rows' names alone, and Kubernetes' among them in retire", () => {
    const saved = (name: string) =>
      Object.fromEntries(ackLayout.map((row) => [row.id, fileOf(row, diskOf(next, name)[row.id] ?? "")]));
    const found = changed(well, "master-2", ({ name }) => ({ saved: saved(name) }));
    const { restore } = decide(
      { found, cloud: undefined, last, now },
      { ...settings, restore: 3 },
      { name: "prod", owner: receipt.owner },
    );
    const kubernetes = { "master-2": ["apiserver"] };
    const steps = told({
      ...{ found, args: { restore: 3 } },
      decision: { restore: restore && { ...restore, kubernetes } },
    });
    const idsOf = (...kinds: readonly Row["kind"][]) =>
      ackLayout.filter(({ kind }) => kinds.includes(kind)).map(({ id }) => id);
    expect(steps["issue-master-2"]).toMatchObject({
      ...{ restore: 3, rotation: "restore-3", contents: {}, saved: idsOf("cert", "key") },
    });
    expect(steps["retire-master-1"]?.saved).toEqual(idsOf("trust"));
    expect(steps["retire-master-2"]?.saved).toEqual([...idsOf("trust"), "apiserver"]);
    expect(contentIn(steps["trust-master-2"], "etcd-ca")).toBe(
      next.authorities.etcd + current.authorities.etcd,
    );
    expect(steps["trust-master-2"]?.saved).toEqual([]);
    expect(contentIn(steps["trust-master-1"], "etcd-ca")).toBe(current.authorities.etcd);
  });
});

describe("a key that lies on a master", () => {
  const keyOn = (master: string) => ({ master, path: `/cert/ca-key-of-${master}.pem` });
  const handover: StepInput["handover"] = {
    kind: "cross",
    signers: {
      etcd: { certificate: inState.etcd, key: keyOn("master-2") },
      "etcd-peer": { certificate: inState["etcd-peer"], key: keyOn("master-3") },
    },
  };

  test("signs there in backup, each its own authority", () => {
    const steps = told({ input: { handover } });
    expect(those(steps, (data) => data.cross.length > 0)).toEqual(["backup-master-2", "backup-master-3"]);
    expect(steps["backup-master-3"]?.cross).toEqual([
      {
        ...{ role: "etcd-peer", keyPath: "/cert/ca-key-of-master-3.pem" },
        ...{ signerPem: inState["etcd-peer"].pem, wantedPem: next.authorities["etcd-peer"] },
      },
    ]);
  });

  test("has signed what stands behind the leaves; what another attempt has signed does not", () => {
    const said = (attempt: string) =>
      (["etcd", "etcd-peer"] as const).map((role) => {
        const lines = texts[role].trimEnd().split("\n");
        return `${lines.map((line) => `authority ${role} ${line}\n`).join("")}done ${attempt} backup m\n`;
      });
    const server = (attempt: string) =>
      contentIn(told({ input: { handover, signed: said(attempt) } })["issue-master-1"], "etcd-server");
    const leaf = next.leaves["master-1"]?.["etcd-server"].certPem;
    expect([server("a5"), server("a4")]).toEqual([`${leaf}${texts.etcd}`, leaf]);
  });
});

describe("Kubernetes' certificates", () => {
  const authority = makeAuthority("/CN=kubernetes");
  const renewal: Renewal = { group: "apiserver", reason: "it ends" };
  const [renewed] = certificatesIn(authority.certPem);
  const file = (id: string): FoundFile => ({
    ...{ isPresent: true, isReadable: true, ownerAndMode: "root:root 600", publicKey: "-" },
    ...{ path: `/in/use/${id}`, realPath: `/in/use/${id}` },
    certificates: renewed === undefined ? [] : [{ ...renewed, fingerprint: "earlier" }],
  });
  const withAuthority = ({ files }: FoundMaster) => ({
    files: { ...files, "cluster-ca": file("cluster-ca"), apiserver: file("apiserver") },
  });
  const everywhere = (found: Found) =>
    specs.reduce((all, { name }) => changed(all, name, withAuthority), found);
  const renewals: StepInput["renewals"] = {
    ...noRenewals({ notices: [], kept: [] }),
    leaves: { "master-1": [renewal], "master-3": [renewal] },
    authorities: { "cluster-ca": { kind: "sign", on: "master-2" }, "front-proxy-ca": { kind: "keep" } },
    purpose: "ab/1",
  };
  const stdout = authority.certPem.trimEnd().split("\n");
  const signed = [
    `${stdout.map((line) => `authority cluster-ca ${line}\n`).join("")}done a5 backup master-2\n`,
  ];
  const renewing = (found: Found) => told({ found: everywhere(found), input: { renewals, signed } });

  test("are renewed in retire, by the authority that one master has signed anew in backup", () => {
    const steps = renewing(well);
    expect(those(steps, (data) => data.renewal.groups.length > 0)).toEqual([
      "retire-master-3",
      "retire-master-1",
    ]);
    expect(steps["retire-master-1"]?.renewal).toMatchObject({ groups: ["apiserver"], purpose: "ab/1" });
    expect(those(steps, (data) => data.renewal.authorities.length > 0)).toEqual(["backup-master-2"]);
    expect(steps["backup-master-2"]?.renewal.authorities).toEqual(["cluster-ca"]);
    expect(those(steps, (data) => data.contents["cluster-ca"] === authority.certPem)).toEqual([
      "retire-master-2",
      "retire-master-3",
      "retire-master-1",
    ]);
  });

  test("are renewed in issue where kube-apiserver is out: it would not start otherwise", () => {
    const steps = renewing(cut);
    expect(those(steps, (data) => data.renewal.groups.length > 0)).toEqual([
      "issue-master-3",
      "retire-master-1",
    ]);
    expect(those(steps, (data) => data.contents["cluster-ca"] !== undefined)).toEqual([
      "issue-master-3",
      "retire-master-1",
      "retire-master-2",
    ]);
  });

  test("lie where the running process says, and restart kube-apiserver where it is too old to read them by itself", () => {
    const rowOf = (found: Found) =>
      renewing(found)["verify-master-2"]?.rows.find(({ id }) => id === "apiserver");
    const own = ackKubernetes.find(({ id }) => id === "apiserver");
    const moved = own && { ...own, path: "/in/use/apiserver" };
    expect(rowOf(well)).toEqual(moved);
    const old = changed(well, "master-2", () => ({ kubernetes: "v1.16.9" }));
    expect(rowOf(old)).toEqual(moved && asReadBy(moved, "v1.16.9"));
    expect(rowOf(old)).not.toEqual(moved);
  });
});

test("a machine that is joining, or lacks a file that others have, is given it where the layout has it", () => {
  const own = ackKubernetes.find(({ id }) => id === "apiserver");
  const file: FoundFile = {
    ...{ isPresent: true, isReadable: true, ownerAndMode: "root:root 644", publicKey: "-", certificates: [] },
    ...{ path: "/in/use/apiserver.crt", realPath: "/in/use/apiserver.crt" },
  };
  const one = changed(well, "master-1", ({ files }) => ({ files: { ...files, apiserver: file } }));
  const found = { masters: one.masters.slice(0, 2), joining: one.masters.slice(2) };
  const pathIn = (args: Partial<ClusterArgs>, name: string) =>
    told({ found, args })[name]?.rows.find(({ id }) => id === "apiserver")?.path;
  expect(["verify-master-1", "verify-master-2", "issue-master-3"].map((name) => pathIn({}, name))).toEqual([
    file.path,
    own?.path,
    own?.path,
  ]);
  // with a restore it has no backup of its own
  expect(pathIn({ restore: 3 }, "issue-master-3")).toBe(own?.path);
});

test("what does not work is told by its address, until it is started", () => {
  const out = ["etcd@10.77.0.13", "kube-apiserver@10.77.0.13"];
  const steps = told({ found: cut });
  expect(those(steps, (data) => data.out.length > 0).map((name) => name.split("-")[0])).toEqual([
    ...["backup", "backup", "backup", "trust", "trust", "trust", "issue"],
  ]);
  expect([steps["trust-master-1"]?.out, steps["issue-master-3"]?.out]).toEqual([out, out]);
});

test("no gate waits for a member that is dead; where a rollout is held its steps do nothing", () => {
  const dead = { masters: well.masters.slice(0, 2), missing: [{ name: "master-3", isAlive: false }] };
  expect(told({ found: dead })["trust-master-1"]?.memberAddresses).toEqual(["10.77.0.11", "10.77.0.12"]);
  const wanted = { ...input.wanted, heldBefore: "retire" } as const;
  expect(those(told({ input: { wanted } }), (data) => data.isHeld)).toEqual(
    ["retire-master-2", "retire-master-3", "retire-master-1"].concat(
      settings.masters.map(({ name }) => `verify-${name}`),
    ),
  );
});
