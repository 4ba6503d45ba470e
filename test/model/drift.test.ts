import { describe, expect, test } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { type DriftInput, driftOf, portOf } from "../../components/model/drift.ts";
import type { Found, FoundFile, FoundMaster } from "../../components/model/found.ts";
import type { Row } from "../../components/model/layout/rows.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { changed, fileOf, foundAs, makePems, receipt } from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

const pems = makePems("steady");
const other = makePems("other");
const steady = foundAs(pems);
const leafOf = (of: typeof pems, leaf: "etcd-server" | "etcd-client") =>
  of.leaves["master-2"]?.[leaf].certPem ?? "";
const [served] = certificatesIn(leafOf(pems, "etcd-server"));
const until = (pem: string) => new Date(certificatesIn(pem)[0]?.notAfter ?? 0).toISOString().slice(0, 10);

function drift(found: Found, change: Partial<DriftInput> = {}): string[] {
  const now = (served?.notBefore ?? 0) + 3_600_000;
  const all = driftOf({
    found,
    rows: ackLayout,
    kubernetes: ackKubernetes,
    owners: [receipt.owner, "x/before"],
    progress: undefined,
    now,
    ...change,
  });
  return all.map(({ master = "-", file = "-", what }) => `${master} ${file}: ${what}`);
}

/** A file of the row with these certificates, on any master that it is put on. */
function held(
  id: string,
  text: string,
  change: Partial<FoundFile> = {},
): (master: FoundMaster) => Partial<FoundMaster> {
  const row = [...ackLayout, ...ackKubernetes].find((each) => each.id === id);
  return ({ files }) => ({
    files: {
      ...files,
      ...(row === undefined ? {} : { [id]: { ...fileOf({ ...row, kind: "cert" } as Row, text), ...change } }),
    },
  });
}

describe("of etcd's files", () => {
  test("a steady cluster has none", () => {
    expect(drift(steady)).toEqual([]);
  });

  test("a file without a certificate, and a file that is not there", () => {
    expect(drift(changed(steady, "master-2", held("etcd-server", "nothing")))).toEqual([
      "master-2 etcd-server: etcd-server is not a certificate",
    ]);
    // one that may be missing, where the others have it
    const missing = ["master-2 etcd-client: etcd-client is missing"];
    expect(drift(changed(steady, "master-2", held("etcd-client", "", { isPresent: false })))).toEqual(
      missing,
    );
    const unknown = changed(steady, "master-2", ({ files: { "etcd-client": _, ...files } }) => ({ files }));
    expect(drift(unknown)).toEqual(missing);
  });

  test("a leaf that is not valid yet, to the millisecond", () => {
    const at = served?.notBefore ?? 0;
    const early = drift(steady, { now: at - 1 });
    expect(early).toContain(
      `master-2 etcd-server: etcd-server is not valid before ${new Date(at).toISOString()}`,
    );
    expect(drift(steady, { now: at }).filter((each) => each.startsWith("master-2 etcd-server"))).toEqual([]);
  });

  test("a trust file of one master that would refuse a leaf, which is named with its master", () => {
    const found = changed(steady, "master-3", held("etcd-peer-ca", other.authorities["etcd-peer"]));
    const [own, theirs] = [pems, other].map(({ authorities }) =>
      certificatesIn(authorities["etcd-peer"])[0]?.fingerprint.slice(0, 8),
    );
    expect(drift(found)).toEqual([
      ...[1, 2, 3].map(
        (number) =>
          `master-${number} etcd-peer: etcd-peer is not issued by any authority in etcd-peer-ca of master-3`,
      ),
      `- etcd-peer-ca: etcd-peer-ca differs between masters (master-1, master-2: ${own}; master-3: ${theirs})`,
    ]);
  });

  test("a trust file that is missing refuses nothing; one that is empty has none", () => {
    const missing = ["master-3 etcd-peer-ca: etcd-peer-ca is missing"];
    expect(drift(changed(steady, "master-3", held("etcd-peer-ca", "", { isPresent: false })))).toEqual(
      missing,
    );
    const unknown = changed(steady, "master-3", ({ files: { "etcd-peer-ca": _, ...files } }) => ({ files }));
    expect(drift(unknown)).toEqual(missing);
    const own = certificatesIn(pems.authorities["etcd-peer"])[0]?.fingerprint.slice(0, 8);
    expect(drift(changed(steady, "master-1", held("etcd-peer-ca", ""))).at(-1)).toBe(
      `- etcd-peer-ca: etcd-peer-ca differs between masters (master-1: none; master-2, master-3: ${own})`,
    );
  });

  test("two authorities in another order, or somebody else's besides, are no difference between masters", () => {
    const both = [pems.authorities.etcd, other.authorities.etcd];
    const one = changed(steady, "master-1", held("etcd-ca", both.join("")));
    const two = changed(
      changed(one, "master-2", held("etcd-ca", both.toReversed().join(""))),
      "master-3",
      held("etcd-ca", both.join("")),
    );
    expect(drift(two)).toEqual([]);
    expect(
      drift(
        changed(
          steady,
          "master-1",
          held("etcd-ca", `${pems.authorities.etcd}${makeAuthority("/CN=backup-ca", 30).certPem}`),
        ),
      ),
    ).toEqual([]);
  });
});

test("whoever owns a master is told, whether a rollout is at work or was interrupted", () => {
  const found = changed(steady, "master-2", () => ({
    receipt: { ...receipt, owner: "x/y", isComplete: false },
  }));
  const expected = ["master-2 -: the receipt belongs to x/y, not to etcd-rotation/test"];
  expect(drift(found, { progress: "rotating" })).toEqual(expected);
  expect(drift(found, { progress: "interrupted" })).toEqual(expected);
});

test("the first rollout was interrupted before every master had a receipt, and before all processes had restarted: that is no drift", () => {
  const stale = { identity: "b 1 2", isStale: true, flags: [] };
  const interrupted = foundAs(pems, {
    receipt: { ...receipt, isComplete: false },
    processes: { etcd: stale, "kube-apiserver": stale },
  });
  const found = changed(interrupted, "master-1", () => ({ receipt: undefined }));
  expect(drift(found, { progress: "interrupted" })).toEqual([]);
});

describe("of receipts", () => {
  test("one of another stack's, unless it is taken over from", () => {
    const of = (owner: string) =>
      drift(changed(steady, "master-1", () => ({ receipt: { ...receipt, owner } })));
    expect(of("x/y")).toEqual(["master-1 -: the receipt belongs to x/y, not to etcd-rotation/test"]);
    expect(of("x/before")).toEqual([]);
  });

  test("none on any master is none; none on one of them is", () => {
    expect(drift(foundAs(pems, { receipt: undefined }))).toEqual([]);
    const one = changed(steady, "master-3", () => ({ receipt: undefined }));
    const unrecorded = [
      "master-1 -: the masters' receipts name different attempts",
      "master-3 -: no rollout has been recorded yet",
    ];
    expect(drift(one).toSorted()).toEqual(unrecorded);
    const apart = changed(one, "master-2", () => ({ receipt: { ...receipt, rotation: "2026-12" } }));
    expect(drift(apart).toSorted()).toEqual([
      `- -: the masters' receipts name different rotations: master-1 "2026-11", master-2 "2026-12"`,
      ...unrecorded,
    ]);
  });
});

describe("of Kubernetes' files", () => {
  const authority = held("cluster-ca", pems.authorities.etcd);
  const serving = (pem: string) => (master: FoundMaster) => {
    const [certificate] = certificatesIn(pem);
    return { served: { ...master.served, ...(certificate === undefined ? {} : { 10250: certificate }) } };
  };
  const [ours, theirs] = [leafOf(pems, "etcd-client"), leafOf(other, "etcd-client")];
  const one = (kubelet: string, shown: string) =>
    [authority, held("kubelet-server", kubelet), serving(shown)].reduce(
      (of, change) => changed(of, "master-1", change),
      steady,
    );

  test("another one is served than the one that the cluster's authority has issued", () => {
    expect(drift(one(ours, theirs))).toEqual([
      `master-1 kubelet-server: 10250 serves another certificate (until ${until(theirs)}) than kubelet-server on disk (until ${until(ours)})`,
    ]);
    expect(drift(one(ours, ours))).toEqual([]);
  });

  test("one of somebody else's may lie there unused", () => {
    expect(drift(one(theirs, ours))).toEqual([]);
    expect(drift(changed(one(ours, theirs), "master-1", held("cluster-ca", "")))).toEqual([]);
  });

  test("authorities differ between masters, whoever made them", () => {
    const [two, three] = [pems.authorities.etcd, makeAuthority("/CN=else").certPem];
    const found = changed(
      changed(steady, "master-1", held("cluster-ca", two)),
      "master-2",
      held("cluster-ca", three),
    );
    const named = [two, three].map(
      (pem, index) => `master-${index + 1}: ${certificatesIn(pem)[0]?.fingerprint.slice(0, 8)}`,
    );
    expect(drift(found)).toEqual([`- cluster-ca: cluster-ca differs between masters (${named.join("; ")})`]);
  });
});

test("the port of a row, where there is one", () => {
  const port = (id: string) => [...ackLayout, ...ackKubernetes].filter((row) => row.id === id).map(portOf);
  expect(
    [
      "etcd-server",
      "etcd-peer",
      "etcd-client",
      "etcd-ca",
      "kubelet-server",
      "apiserver",
      "admin.conf",
    ].flatMap(port),
  ).toEqual([2379, 2380, undefined, undefined, 10250, 6443, undefined]);
});
