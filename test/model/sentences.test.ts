import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import type { Found, FoundMaster } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import {
  changed,
  foundAs,
  makeOriginalPems,
  makePems,
  masterWith,
  receipt,
  specs,
  wantedOf,
} from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

// No decision hangs on text that is meant for people: the model decides the same with every sentence in it replaced by a key of its
// place, and with other words from the masters. That the sentences themselves are right is shown by the other tests.

const source = join(import.meta.dirname, "..", "..", "components", "model");
const folder = mkdtempSync(join(tmpdir(), "etcd-rotation-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The text of a module in which each piece of text with two words in it is a key that no other place has. */
function withKeys(file: string): string {
  const text = readFileSync(join(source, file), "utf8");
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const pieces: { readonly from: number; readonly to: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) {
      return;
    }
    const isText =
      ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
    if (isText && /[a-z]+[ ,:;]+[a-z]/i.test(node.text)) {
      const opensHole = ts.isTemplateHead(node) || ts.isTemplateMiddle(node);
      pieces.push({ from: node.getStart() + 1, to: node.getEnd() - (opensHole ? 2 : 1) });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return pieces
    .toReversed()
    .reduce((all, { from, to }) => `${all.slice(0, from)}<${file} ${from}>${all.slice(to)}`, text);
}

/** Modules by file, from a folder. */
async function modelIn(path: string) {
  const load = async (file: string) => await import(pathToFileURL(join(path, file)).href);
  return {
    plan: (await load("plan.ts")) as typeof import("../../components/model/plan.ts"),
    missing: (await load("missing.ts")) as typeof import("../../components/model/missing.ts"),
    differences: (await load("differences.ts")) as typeof import("../../components/model/differences.ts"),
    attempt: (await load("attempt.ts")) as typeof import("../../components/model/attempt.ts"),
    renewals: (await load("renewals.ts")) as typeof import("../../components/model/renewals.ts"),
    clients: (await load("clients.ts")) as typeof import("../../components/model/clients.ts"),
    status: (await load("status.ts")) as typeof import("../../components/model/status.ts"),
    listings: (await load("listings.ts")) as typeof import("../../components/model/listings.ts"),
    checks: (await load("checks.ts")) as typeof import("../../components/model/checks.ts"),
  };
}

const [current, next] = [makePems("current"), makePems("next")];
const wanted = wantedOf(next);
const kubernetes = makeAuthority("/CN=kubernetes");
const later = 86_400_000 * 300;
const policy = {
  renew: "auto",
  rotation: undefined,
  keepKeys: false,
  validity: 86_400 * 365,
  renewBefore: 86_400 * 400,
} as const;

/** All that is decided about a cluster, without a word of why. */
function decisionsOf(model: Awaited<ReturnType<typeof modelIn>>, found: Found) {
  const now = (found.masters[0]?.operatorClock ?? 0) * 1000 + later;
  const authorities = Object.values(wanted.authorities);
  const plan = model.plan.planRollout(found, ackLayout, ackKubernetes, now);
  const renewals = model.renewals.planRenewals(
    found,
    ackKubernetes,
    policy,
    wanted.authorities.etcd,
    plan.order.retire,
    now,
  );
  const clients = model.clients.clientsOf(found, {
    rows: ackLayout,
    authorities,
    kept: plan.kept,
    ignored: [],
  });
  const heldBefore = model.missing.holdOf(found, undefined, clients);
  const identity = { owner: receipt.owner, takeOver: undefined, lastClusterId: receipt.cluster };
  const allowed = { outage: false, renewals: renewals.leaves };
  const status = model.status.clusterStatus({
    ...{
      stack: "prod",
      found,
      unreachable: [],
      masters: specs,
      rows: ackLayout,
      kubernetes: ackKubernetes,
      policy,
      identity,
      now,
    },
    ...{
      isOutageAllowed: false,
      foreignAuthorities: undefined,
      ignoredClients: [],
      rotation: receipt.rotation,
      restore: undefined,
      expiringWithin: 0,
    },
  });
  return {
    plan: { ...plan, causes: plan.causes.length },
    differences: [undefined, wanted].map((each) =>
      model.differences
        .differences(found, each, ackLayout, renewals)
        .map(({ master, missing, isUnrecorded }) => ({ master, missing, isUnrecorded })),
    ),
    // its id covers what was found, words and all
    rollout: model.attempt.decideAttempt(found, wanted, ackLayout, plan, renewals).rollout,
    hold: [heldBefore, heldBefore && model.missing.obstaclesOf(found, heldBefore, clients).length],
    clients: clients.map(({ isBehind, isCutOff }) => [isBehind, isCutOff]),
    renewals: {
      authorities: renewals.authorities,
      kept: renewals.kept.map(({ master, file }) => [master, file]),
    },
    renewed: Object.entries(renewals.leaves).map(([master, leaves]) => [
      master,
      leaves.map(({ group }) => group),
    ]),
    refusals: [
      model.checks.refusals(found, specs, ackLayout, identity, allowed).length,
      model.missing.missingRefusals(found, ackLayout, plan, authorities).length,
    ],
    status: [
      status.state,
      status.masters.map(({ state }) => state),
      status.certificates.map(({ state }) => state),
      status.notes.length,
    ],
    findings: status.findings.map(({ state, master }) => [state, master]),
    listed: found.masters.map(({ name: master, files }) =>
      Object.values(files).map(({ realPath, certificates: [first] }) => {
        const listing = { master, path: realPath, realPath, fingerprint: first?.fingerprint ?? "", end: "" };
        return model.listings.judge(listing, { found, rows: ackLayout, kubernetes: ackKubernetes, renewals })
          .isOpen;
      }),
    ),
  };
}

const steady = foundAs(current);
const stale = { etcd: { identity: "boot 1 2", isStale: true, flags: [] } };
const own = (
  path: string,
  { certPem, keyPem }: { readonly certPem: string; readonly keyPem: string },
  isKey = false,
): FoundMaster["files"][string] => {
  const [certificate] = certificatesIn(certPem);
  const publicKey = isKey ? (certificate?.publicKey ?? keyPem) : "-";
  return {
    isPresent: true,
    ownerAndMode: "root:root 600",
    isReadable: true,
    path,
    realPath: path,
    publicKey,
    certificates: isKey ? [] : certificatesIn(certPem),
  };
};
const withKubernetes = ({ files }: FoundMaster) => ({
  files: {
    ...files,
    "cluster-ca": own("/pki/ca.crt", kubernetes),
    "cluster-ca-key": own("/pki/ca.key", kubernetes, true),
    apiserver: own("/pki/apiserver.crt", makeLeaf(kubernetes, { subject: "/CN=kube-apiserver" })),
    "admin.conf": own("/admin.conf", makeLeaf(kubernetes, { subject: "/CN=admin" })),
  },
});
const holder = { kind: "Secret", namespace: "monitoring", name: "etcd-client" } as const;
const held = (name: string, pem: string, publicKey = "-") => ({
  holder,
  name,
  publicKey,
  certificates: certificatesIn(pem),
});
const client = current.leaves["master-1"]?.["etcd-client"].certPem ?? "";

const clusters: Readonly<Record<string, Found>> = {
  "as it should be": steady,
  "new here": foundAs(makeOriginalPems(), { receipt: undefined }),
  "with a master that has no receipt": changed(steady, "master-2", () => ({ receipt: undefined })),
  "in the middle of a rollout": foundAs(current, {
    receipt: { ...receipt, isComplete: false, phase: "trust" },
    leftovers: ["/a"],
  }),
  "under an alarm": foundAs(current, {
    etcd: "alarm",
    etcdProblem: "an alarm is raised (etcdctl alarm list)",
  }),
  "with a member that no peer accepts": changed(steady, "master-3", () => ({
    ...masterWith("master-3", {}),
    etcd: "peer-refused",
    etcdProblem: "no peer handshake with 10.77.0.11:2380",
  })),
  "with an ill member": changed(steady, "master-2", () => ({
    etcd: "lagging",
    etcdProblem: "applied index",
  })),
  "with a member that is out": changed(steady, "master-2", () => ({
    etcd: "silent",
    etcdProblem: "no status",
    doesAnswer: false,
    processes: stale,
  })),
  "with a file that is missing": changed(steady, "master-1", ({ files: { "etcd-server": _, ...files } }) => ({
    files,
  })),
  "without a master": { masters: steady.masters.slice(0, 2), missing: [{ name: "master-3", isAlive: true }] },
  "with Kubernetes' certificates": changed(steady, "master-1", withKubernetes),
  "whose Kubernetes cannot be renewed": changed(
    changed(steady, "master-1", withKubernetes),
    "master-1",
    ({ files: { "cluster-ca-key": _, ...files } }) => ({
      files,
      carriers: [{ kind: "worker", name: "w1", end: 1, words: "worker w1: run this" }],
    }),
  ),
  "with another client": changed(steady, "master-1", () => ({
    holdings: [held("tls.crt", client), held("tls.key", "", certificatesIn(client)[0]?.publicKey)],
    holdersCut: "after 20 s",
  })),
};

for (const part of ["layout", "exploration"]) {
  mkdirSync(join(folder, part));
}
for (const file of readdirSync(source, { recursive: true, encoding: "utf8" })) {
  if (file.endsWith(".ts")) {
    writeFileSync(join(folder, file), withKeys(file));
  }
}
const [words, keys] = [await modelIn(source), await modelIn(folder)];

test.each(Object.entries(clusters))(
  "a cluster %s is decided on the same with keys in place of all sentences",
  (_, found) => {
    expect(decisionsOf(keys, found)).toEqual(decisionsOf(words, found));
    // the keys were there
    expect(keys.differences.differences(steady, wanted, ackLayout)[0]?.what).toMatch(/<differences\.ts \d+>/);
  },
);

test.each(Object.entries(clusters))(
  "a cluster %s is decided on the same whatever words its masters use",
  (_, found) => {
    const reworded = found.masters.map((master) => ({
      ...master,
      etcdProblem: master.etcdProblem === "" ? "" : "something else",
      holdersCut: master.holdersCut === "" ? "" : "something else",
      carriers: master.carriers.map((each) => ({ ...each, words: "something else" })),
    }));
    expect(decisionsOf(words, { ...found, masters: reworded })).toEqual(decisionsOf(words, found));
  },
);
