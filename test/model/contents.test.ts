import { describe, expect, test } from "vitest";
import { contentsFor } from "../../components/model/contents.ts";
import { ackLayout, layouts } from "../../components/model/layout/tables.ts";
import { type Phase, phases, planRollout } from "../../components/model/plan.ts";
import { fingerprintsOf, type WantedPems, wantedPem } from "../../components/model/wanted.ts";
import { fileOf, foundAs, makePems, masterWith, names } from "./cluster.ts";
import { openssl } from "./openssl.ts";

const current = makePems("current");
const next = makePems("next");
const plan = planRollout(foundAs(current), ackLayout, [], 0);
const leaves = next.leaves["master-2"];

function contents(phase: Phase, pems = next) {
  return contentsFor(phase, "master-2", ackLayout, plan, pems);
}

const trustFiles = {
  "etcd-ca": next.authorities.etcd,
  "etcd-peer-ca": next.authorities["etcd-peer"],
  "apiserver-etcd-ca": next.authorities.etcd,
};
const leafFiles = {
  "etcd-server": leaves?.["etcd-server"].certPem,
  "etcd-server-key": leaves?.["etcd-server"].keyPem,
  "etcd-peer": leaves?.["etcd-peer"].certPem,
  "etcd-peer-key": leaves?.["etcd-peer"].keyPem,
  "etcd-client": leaves?.["etcd-client"].certPem,
  "etcd-client-key": leaves?.["etcd-client"].keyPem,
  "apiserver-etcd-client": leaves?.["etcd-client"].certPem,
  "apiserver-etcd-client-key": leaves?.["etcd-client"].keyPem,
};

describe("contentsFor", () => {
  test("trust adds the wanted authority, first, to what is trusted for that role", () => {
    expect(contents("trust")).toEqual({
      "etcd-ca": `${next.authorities.etcd}${current.authorities.etcd}`,
      "etcd-peer-ca": `${next.authorities["etcd-peer"]}${current.authorities["etcd-peer"]}`,
      "apiserver-etcd-ca": `${next.authorities.etcd}${current.authorities.etcd}`,
    });
  });

  test("trust names an authority once", () => {
    expect(contents("trust", current)).toEqual({
      "etcd-ca": current.authorities.etcd,
      "etcd-peer-ca": current.authorities["etcd-peer"],
      "apiserver-etcd-ca": current.authorities.etcd,
    });
  });

  test("issue writes the leaves and keys of that master, and no trust", () => {
    expect(contents("issue")).toEqual(leafFiles);
  });

  test("retire writes the wanted authority alone", () => {
    expect(contents("retire")).toEqual(trustFiles);
  });

  test("verify compares with everything", () => {
    expect(contents("verify")).toEqual({ ...trustFiles, ...leafFiles });
  });

  test.each(["backup", "settle"] as const)("%s writes nothing", (phase) => {
    expect(contents(phase)).toEqual({});
  });

  test("leaves rows alone that the cluster does not have", () => {
    const rows = ackLayout.filter((row) => row.optional !== true);
    expect(Object.keys(contentsFor("issue", "master-2", rows, plan, next))).toEqual([
      "etcd-server",
      "etcd-server-key",
      "etcd-peer",
      "etcd-peer-key",
      "apiserver-etcd-client",
      "apiserver-etcd-client-key",
    ]);
  });
});

describe("what is wanted", () => {
  test("is named by fingerprints as openssl gives them, and shows no key", () => {
    const wanted = fingerprintsOf(
      next,
      ackLayout,
      { rotation: "2026-11", owner: "p/s", heldBefore: undefined },
      {},
    );
    const fingerprint = (pem: string) =>
      openssl(["x509", "-in", "c.pem", "-noout", "-fingerprint", "-sha256"], { "c.pem": pem })
        .trim()
        .replace(/^.*=/, "")
        .replaceAll(":", "")
        .toLowerCase();
    expect(wanted.rotation).toBe("2026-11");
    expect(wanted.authorities).toEqual({
      etcd: fingerprint(next.authorities.etcd),
      "etcd-peer": fingerprint(next.authorities["etcd-peer"]),
    });
    expect(Object.keys(wanted.files)).toEqual(["master-1", "master-2", "master-3"]);
    expect(wanted.files["master-2"]?.["etcd-server"]).toBe(fingerprint(leafFiles["etcd-server"] ?? ""));
    expect(wanted.files["master-2"]?.["etcd-peer-ca"]).toBe(fingerprint(next.authorities["etcd-peer"]));
    expect(JSON.stringify(wanted)).not.toMatch(/-----|PRIVATE/);
  });

  test("is an error for a master without leaves", () => {
    const row = ackLayout.find(({ id }) => id === "etcd-server");
    expect(() => (row === undefined ? "" : wantedPem(next, "master-9", row, {}))).toThrow(
      new Error("Cannot find the etcd-server leaf of master-9"),
    );
  });
});

describe("in kubeadm's layout", () => {
  const { rows } = layouts.kubeadm;
  // one that is half done: issuers of leaves on other masters are trusted too
  const abandoned = makePems("abandoned", "shared");
  const disk = (pems: WantedPems, name: string) =>
    Object.fromEntries(rows.map((row) => [row.id, wantedPem(pems, name, row, {})]));
  const from = makePems("from", "shared");
  const to = makePems("to", "shared");
  const found = {
    masters: names.map((name) => {
      const leavesFrom = name === "master-3" ? abandoned : from;
      const files = Object.fromEntries(
        rows.map((row) => [
          row.id,
          fileOf(row, disk(row.kind === "trust" ? from : leavesFrom, name)[row.id] ?? ""),
        ]),
      );
      return masterWith(name, {}, { files, served: {} });
    }),
  };
  const planned = planRollout(found, rows, [], 0);

  test.each(phases)("%s gives the rows of one path one text", (phase) => {
    const written = contentsFor(phase, "master-2", rows, planned, to);
    const texts = new Map<string, Set<string>>();
    for (const row of rows.filter(({ id }) => written[id] !== undefined)) {
      texts.set(row.path, (texts.get(row.path) ?? new Set()).add(written[row.id] ?? ""));
    }
    expect([...texts.values()].map(({ size }) => size)).toEqual([...texts.values()].map(() => 1));
  });

  test("trust keeps what is there, and both kinds of client get the one client's leaf", () => {
    const both = `${to.authorities.etcd}${from.authorities.etcd}`;
    expect(contentsFor("trust", "master-2", rows, planned, to)).toEqual({
      "etcd-ca": both,
      "etcd-peer-ca": both,
      "apiserver-etcd-ca": both,
    });
    const issued = contentsFor("issue", "master-2", rows, planned, to);
    expect(issued["etcd-healthcheck-client"]).toBe(to.leaves["master-2"]?.["etcd-client"].certPem);
    expect(issued["apiserver-etcd-client"]).toBe(to.leaves["master-2"]?.["etcd-client"].certPem);
  });
});
