import { describe, expect, test } from "vitest";
import { type PlannedStep, stepName } from "../../components/model/plan.ts";
import { describeReport, readReports } from "../../components/model/report.ts";

const planned: readonly PlannedStep[] = (["backup", "trust", "verify"] as const).flatMap((phase) =>
  ["master-1", "master-2"].map((master) => ({ phase, master, after: [], heirs: [] })),
);
const attempt = { rollout: 5, id: "a5" };
const done = Object.fromEntries(planned.map((step) => [stepName(step), `done a5 ${step.phase} ${step.master}\n`]));
const hash = "ab".repeat(32);
const verified = {
  ...done,
  "verify-master-1": `refused master-1 1\nserved master-1 etcd-server ${hash} Nov 10 12:00:00 2076 GMT\nlisting master-1 /etc/kubernetes/pki/ca.crt Nov 12 12:00:00 2036 GMT\ncarrier master-1 kubeconfigs until 2036-11-12\ndone a5 verify master-1\n`,
  "verify-master-2": `served master-2 etcd-peer ${hash} Nov  9 23:59:59 2076 GMT\nlisting master-2 /var/lib/etcd/cert/ca.pem Nov 10 12:00:00 2076 GMT\ndone a5 verify master-2\n`,
};

describe("readReports", () => {
  test("gathers what verify saw, and the first end", () => {
    expect(readReports(attempt, planned, verified)).toEqual({
      rollout: 5,
      attempt: "a5",
      served: { "master-1 etcd-server": `${hash} until 2076-11-10`, "master-2 etcd-peer": `${hash} until 2076-11-09` },
      carriers: ["master-1 kubeconfigs until 2036-11-12"],
      listings: ["master-1 /etc/kubernetes/pki/ca.crt Nov 12 12:00:00 2036 GMT", "master-2 /var/lib/etcd/cert/ca.pem Nov 10 12:00:00 2076 GMT"],
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
    expect(() => readReports(attempt, planned, { ...done, "trust-master-1": text })).toThrow("Cannot finish rollout 5: trust-master-1 ended with");
  });
});

test("the summary lists the certificates and says last that it is done", () => {
  expect(describeReport(readReports(attempt, planned, verified), "Held")).toEqual([
    "master-1 /etc/kubernetes/pki/ca.crt notAfter=Nov 12 12:00:00 2036 GMT",
    "master-2 /var/lib/etcd/cert/ca.pem notAfter=Nov 10 12:00:00 2076 GMT",
    "Earlier certificates of the Kubernetes authorities, same key, are still held by:",
    "master-1 kubeconfigs until 2036-11-12",
    "etcd CA and certs have successfully rotated!",
  ]);
});

test("a rollout that is held says so, and not that it is done", () => {
  const held = { ...done, "verify-master-1": "held master-1\ndone a5 verify master-1\n" };
  expect(describeReport(readReports(attempt, planned, held), "Held before retire: …")).toEqual(["Held before retire: …"]);
});
