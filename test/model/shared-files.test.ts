import { describe, expect, test } from "vitest";
import { sharedFileRefusals } from "../../components/model/checks.ts";
import { contentsFor } from "../../components/model/contents.ts";
import type { Found } from "../../components/model/found.ts";
import { withPaths } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout, layouts } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { changed, fileOf, foundAs, makePems } from "./cluster.ts";

const shared = makePems("shared", "shared");
const next = makePems("next");

/** `found` with the rows' files being that of the first one, on master-2 alone. */
function linked(found: Found, first: string, ...others: readonly string[]): Found {
  return changed(found, "master-2", ({ files }) => {
    const [file] = Object.entries(files).flatMap(([id, each]) => (id === first ? [each] : []));
    return {
      files: { ...files, ...(file === undefined ? {} : Object.fromEntries(others.map((id) => [id, file]))) },
    };
  });
}

describe("rows that are one file on a master", () => {
  const refusals = (found: Found, kind: keyof typeof layouts = "ack", rows = layouts[kind].rows) =>
    sharedFileRefusals(found, rows, [], layouts[kind]);

  test("are refused when their new contents differ, each pair once and by both keys", () => {
    expect(refusals(linked(foundAs(shared), "etcd-ca", "etcd-peer-ca"))).toEqual([
      "Cannot rotate master-2: layout.paths.etcd-ca and layout.paths.etcd-peer-ca are one file, /var/lib/etcd/cert/ca.pem; expected a file for each, since their new contents differ. Copy it to a path of its own on every master, let the process that reads it use that, one master after the other, and set layout.paths.etcd-peer-ca",
    ]);
    expect(refusals(linked(foundAs(shared), "etcd-server", "etcd-peer")).map(keysIn)).toEqual([
      "etcd-server, etcd-peer",
    ]);
    expect(refusals(linked(foundAs(shared), "etcd-server", "etcd-server-key")).map(keysIn)).toEqual([
      "etcd-server, etcd-server-key",
    ]);
  });

  test("are refused by the stack file's paths alone, where the files are not there", () => {
    const found = changed(foundAs(shared), "master-2", () => ({ files: {} }));
    const rows = withPaths(ackLayout, { "etcd-peer-ca": "/var/lib/etcd/cert/ca.pem" });
    expect(refusals(found, "ack", rows).map(keysIn)).toEqual(["etcd-ca, etcd-peer-ca"]);
  });

  test("are refused where one is Kubernetes' own", () => {
    const [first] = ackKubernetes;
    const found = changed(foundAs(shared), "master-2", ({ files }) => ({
      files: { ...files, ...(files["etcd-ca"] === undefined ? {} : { "cluster-ca": files["etcd-ca"] }) },
    }));
    expect(
      sharedFileRefusals(found, ackLayout, first === undefined ? [] : [first], layouts.ack).map(keysIn),
    ).toEqual(["etcd-ca, cluster-ca"]);
  });

  test("may be one file when the same is wanted: one authority's trust, one leaf, and kubeadm's ca.crt", () => {
    expect(refusals(foundAs(shared))).toEqual([]);
    expect(
      refusals(
        linked(
          linked(foundAs(shared), "etcd-ca", "apiserver-etcd-ca"),
          "etcd-client",
          "apiserver-etcd-client",
        ),
      ),
    ).toEqual([]);
    expect(
      refusals(
        changed(foundAs(shared), "master-2", () => ({ files: {} })),
        "kubeadm",
      ),
    ).toEqual([]);
  });
});

test("trust files that are one get one content, whatever each use has to accept", () => {
  const peers = makePems("peers");
  // clients already have leaves of an authority that only the peers' file has
  const [row] = ackLayout.filter(({ id }) => id === "apiserver-etcd-client");
  const strange = peers.leaves["master-2"]?.["etcd-client"].certPem ?? "";
  const trusted = ackLayout.find(({ id }) => id === "etcd-peer-ca");
  const found = changed(foundAs(shared), "master-2", ({ files }) => ({
    files: {
      ...files,
      ...(row === undefined ? {} : { [row.id]: fileOf(row, strange) }),
      ...(trusted === undefined
        ? {}
        : { [trusted.id]: fileOf(trusted, shared.authorities["etcd-peer"] + peers.authorities.etcd) }),
    },
  }));
  const trust = (of: Found) =>
    contentsFor("trust", "master-2", ackLayout, planRollout(of, ackLayout, [], 0), next);
  const both = `${next.authorities.etcd}${shared.authorities.etcd}${peers.authorities.etcd}`;
  expect(trust(found)).toMatchObject({
    "etcd-ca": both,
    "apiserver-etcd-ca": `${next.authorities.etcd}${shared.authorities.etcd}`,
  });
  expect(trust(linked(found, "etcd-ca", "apiserver-etcd-ca"))).toMatchObject({
    "etcd-ca": both,
    "apiserver-etcd-ca": both,
  });
});

/** The rows that a refusal names. */
function keysIn(refusal: string): string {
  return [...refusal.matchAll(/layout\.paths\.(\S+) (?:and|are)/g)].map(([, id]) => id).join(", ");
}
