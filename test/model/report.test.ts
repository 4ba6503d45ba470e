import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { ackLayout, type LayoutKind } from "../../components/model/layout/tables.ts";
import { type PlannedStep, stepName } from "../../components/model/plan.ts";
import { describeReport, type Report, readReports } from "../../components/model/report.ts";
import { noRenewals } from "../../components/model/restore.ts";
import { changed, foundAs, makePems, withOldKey } from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

const planned: readonly PlannedStep[] = (["backup", "trust", "verify"] as const).flatMap((phase) =>
  ["master-1", "master-2"].map((master) => ({ phase, master, after: [], heirs: [] })),
);
const attempt = { rollout: 5, id: "a5" };
const done = Object.fromEntries(
  planned.map((step) => [stepName(step), `done a5 ${step.phase} ${step.master}\n`]),
);
const hash = "ab".repeat(32);
const verified = {
  ...done,
  "verify-master-1": `refused master-1 1\nserved master-1 etcd-server ${hash} Nov 10 12:00:00 2076 GMT\nlisting master-1 /etc/kubernetes/pki/ca.crt /pki/ca.crt ${hash} Nov 12 12:00:00 2036 GMT\ncarrier master-1 kubeconfigs until 2036-11-12\ndone a5 verify master-1\n`,
  "verify-master-2": `served master-2 etcd-peer ${hash} Nov  9 23:59:59 2076 GMT\nlisting master-2 /var/lib/etcd/cert/ca.pem Nov 10 12:00:00 2076 GMT\ndone a5 verify master-2\n`,
};

describe("readReports", () => {
  test("gathers what verify saw, and the first end", () => {
    expect(readReports(attempt, planned, verified)).toEqual({
      rollout: 5,
      attempt: "a5",
      served: {
        "master-1 etcd-server": `${hash} until 2076-11-10`,
        "master-2 etcd-peer": `${hash} until 2076-11-09`,
      },
      carriers: ["master-1 kubeconfigs until 2036-11-12"],
      // the second line is an earlier program's
      listings: [
        {
          master: "master-1",
          path: "/etc/kubernetes/pki/ca.crt",
          realPath: "/pki/ca.crt",
          fingerprint: hash,
          end: "Nov 12 12:00:00 2036 GMT",
        },
      ],
      isHeld: false,
      expires: "2076-11-09",
    });
  });

  const names = planned.map(stepName);
  test.each(names)("is an error when %s has said nothing", (name) => {
    const said = Object.fromEntries(Object.entries(done).filter(([each]) => each !== name));
    const [phase, master] = [name.split("-")[0], name.slice(name.indexOf("-") + 1)];
    const message = `Cannot finish rollout 5: ${name} ended with "", expected "done a5 ${phase} ${master}"; the step did not run in this attempt. Run pulumi up again`;
    expect(() => readReports(attempt, planned, said)).toThrow(new Error(message));
  });

  test.each(names)("is an error when %s is from another attempt", (name) => {
    const said = { ...done, [name]: (done[name] ?? "").replace("a5", "a4") };
    const [phase, master] = [name.split("-")[0], name.slice(name.indexOf("-") + 1)];
    const message = `Cannot finish rollout 5: ${name} ended with "done a4 ${phase} ${master}", expected "done a5 ${phase} ${master}"; the step did not run in this attempt. Run pulumi up again`;
    expect(() => readReports(attempt, planned, said)).toThrow(new Error(message));
  });

  test.each([
    ["another master", "done a5 trust master-2\n"],
    ["another phase", "done a5 issue master-1\n"],
    ["a word more", "done a5 trust master-1 x\n"],
    ["something after it", "done a5 trust master-1\nrestarted\n"],
  ])("is an error for %s", (_, text) => {
    expect(() => readReports(attempt, planned, { ...done, "trust-master-1": text })).toThrow(
      "Cannot finish rollout 5: trust-master-1 ended with",
    );
  });
});

const found = foundAs(makePems("current"));
const before = { found, rows: ackLayout, kubernetes: [], renewals: noRenewals({ notices: [], kept: [] }) };
const summary = (listings: Report["listings"], of = before, layout: LayoutKind = "kubeadm") =>
  describeReport({ ...readReports(attempt, planned, verified), listings }, "Held", of, layout);
const listing = (id: string, fingerprint: string) => ({
  master: "master-1",
  path: `/shown/${id}`,
  realPath: found.masters[0]?.files[id]?.realPath ?? `/strange/${id}`,
  fingerprint,
  end: "Nov 12 12:00:00 2036 GMT",
});

test("the summary says of every certificate whether it was renewed, and that it is done; last, on ACK, what its console does not know", () => {
  const present = found.masters[0]?.files["etcd-ca"]?.certificates[0]?.fingerprint ?? "";
  expect(summary([listing("etcd-ca", present), listing("etcd-server", hash)], before, "ack")).toEqual([
    "master-1 /shown/etcd-ca notAfter=Nov 12 12:00:00 2036 GMT: is the wanted one already",
    "master-1 /shown/etcd-server notAfter=Nov 12 12:00:00 2036 GMT: renewed",
    "Earlier certificates of the Kubernetes authorities, same key, are still held by:",
    "master-1 kubeconfigs until 2036-11-12",
    "etcd CA and certs have successfully rotated!",
    "Alibaba Cloud's console does not know about this rotation: do not press its button that updates certificates, and open a ticket to have its reminder removed (docs/alibaba-cloud.md).",
  ]);
  const nobody = { ...readReports(attempt, planned, done), listings: [] };
  expect(describeReport(nobody, "Held", before, "kubeadm")).toEqual([
    "etcd CA and certs have successfully rotated!",
  ]);
  expect(summary([]).at(-1)).toBe("etcd CA and certs have successfully rotated!");
});

test("the summary names the keys that an installer has left, before its last words", () => {
  const [first, ...rest] = summary([], { ...before, found: withOldKey(found) }).slice(2);
  expect(first).toContain("master-1 has private keys that its etcd does not read: /cert/two-key.pem");
  expect(rest).toEqual(["etcd CA and certs have successfully rotated!"]);
});

test("a copy of another member's certificate has a reason, and so has somebody else's; what nobody looks after has none, and is no success", () => {
  const [peer] = found.masters[1]?.files["etcd-peer"]?.certificates ?? [];
  const [own] = found.masters[0]?.files["etcd-client"]?.certificates ?? [];
  const [foreign] = certificatesIn(makeAuthority("/CN=console").certPem);
  if (peer === undefined || own === undefined || foreign === undefined) {
    throw new Error("Cannot find the test's certificates");
  }
  const strangers = Object.entries({ peer, own, foreign }).map(([id, certificate]) => ({
    path: `/strange/${id}`,
    certificate,
  }));
  const of = { ...before, found: changed(found, "master-1", () => ({ strangers })) };
  const [line, open, other, last] = summary(
    strangers.map(({ path, certificate }) =>
      listing(path.slice("/strange/".length), certificate.fingerprint),
    ),
    of,
  ).filter((each) => !(each.includes("kubeconfigs") || each.startsWith("Earlier")));
  expect(line).toMatch(/: a copy of etcd-peer of master-2, from before$/);
  expect(open).toMatch(/: not managed$/);
  expect(other).toMatch(/: of an authority that is not managed$/);
  expect(last).toBe(
    "etcd serves the wanted certificates, and the official check still finds certificates that nothing manages: /shown/own of master-1. Renew or remove it by hand",
  );
});

test("a rollout that is held says so, and not that it is done", () => {
  const held = { ...done, "verify-master-1": "held master-1\ndone a5 verify master-1\n" };
  expect(describeReport(readReports(attempt, planned, held), "Held before retire: …", before, "ack")).toEqual(
    ["Held before retire: …"],
  );
});
