import { execFileSync } from "node:child_process";
import { createPublicKey, X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { certificatesIn, publicKeyOf } from "../../components/model/certificate.ts";
import type { FoundMaster, StrangerKey } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { oldKeyNotices } from "../../components/model/strangers.ts";
import { changed, foundAs, makePems } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const pems = makePems("current");
const found = foundAs(pems);

function keyAt(path: string, keyPem: string): StrangerKey {
  const key = {
    pem: createPublicKey(keyPem).export({ type: "spki", format: "pem" }).toString(),
    hash: publicKeyOf(keyPem),
  };
  return { path, key };
}
/** The public key is all that the model gets: a certificate has it too. */
const authority = (path: string, role: "etcd" | "etcd-peer") =>
  keyAt(
    path,
    new X509Certificate(pems.authorities[role]).publicKey.export({ type: "spki", format: "pem" }).toString(),
  );
const peer = (path: string, master: string) => keyAt(path, pems.leaves[master]?.["etcd-peer"].keyPem ?? "");

const noticesOf = (strangerKeys: readonly StrangerKey[], change: Partial<FoundMaster> = {}) =>
  oldKeyNotices(
    changed(found, "master-1", () => ({ strangerKeys, ...change })),
    ackLayout,
  );
const pathsIn = (notices: readonly string[]) =>
  notices.flatMap((notice) => [...notice.matchAll(/(\S+) \(of /g)].map(([, path]) => path));

test("keys of etcd's authorities and of other members are named, a line for each master, with what moves them away", () => {
  const keys = [
    authority("/cert/ca-key.pem", "etcd"),
    authority("/cert/peer-ca-key.pem", "etcd-peer"),
    peer("/cert/two-key.pem", "master-2"),
  ];
  const [etcd, peers] = (["etcd", "etcd-peer"] as const).map((role) =>
    certificatesIn(pems.authorities[role])[0]?.subject.join(", "),
  );
  expect(noticesOf(keys)).toEqual([
    `master-1 has private keys that its etcd does not read: /cert/ca-key.pem (of the authority "${etcd}"), /cert/peer-ca-key.pem (of the authority "${peers}"), /cert/two-key.pem (of the member on master-2). They are worthless once retire has removed their authority; then run on master-1, as root: install -d -m 700 /root/etcd-old-keys && mv --backup=numbered -t /root/etcd-old-keys -- '/cert/ca-key.pem' '/cert/peer-ca-key.pem' '/cert/two-key.pem'`,
  ]);
  expect(oldKeyNotices(found, ackLayout)).toEqual([]);
});

describe("a key is named", () => {
  const original = makeAuthority("/CN=original");
  const other = makeLeaf(original, { subject: "/CN=other" });
  const [earlier] = certificatesIn(other.certPem);
  const backup = { earlier: earlier === undefined ? [] : [earlier] };

  test("after the rollout, too, by the leaves in the backups", () => {
    expect(noticesOf([keyAt("/cert/ca-key.pem", original.keyPem)], backup)[0]).toContain(
      '/cert/ca-key.pem (of the authority "CN=original")',
    );
    const of = changed(
      changed(found, "master-2", () => backup),
      "master-1",
      () => ({ strangerKeys: [keyAt("/cert/two-key.pem", other.keyPem)] }),
    );
    expect(oldKeyNotices(of, ackLayout)[0]).toContain("/cert/two-key.pem (of the member on master-2)");
  });

  test("not when it is the master's own, or nobody's that is known, of whichever kind; somebody else's authority may stay", () => {
    const foreign = makeAuthority("/CN=foreign");
    const trust = found.masters[0]?.files["etcd-ca"];
    const files =
      trust === undefined
        ? {}
        : {
            ...found.masters[0]?.files,
            "etcd-ca": { ...trust, certificates: certificatesIn(foreign.certPem) },
          };
    expect(noticesOf([keyAt("/cert/foreign-key.pem", foreign.keyPem)], { files })).toEqual([]);
    const rsa = execFileSync("openssl", ["genrsa", "2048"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    expect(
      noticesOf(
        [
          peer("/cert/copy-key.pem", "master-1"),
          keyAt("/cert/own-key.pem", other.keyPem),
          keyAt("/cert/rsa-key.pem", rsa),
        ],
        backup,
      ),
    ).toEqual([]);
  });

  test("not when a client of etcd has it, or Kubernetes signs with it", () => {
    const two = peer("/cert/two-key.pem", "master-2");
    const holding = {
      holder: { kind: "process", name: "scraper", unit: "x.service" } as const,
      name: "/cert/two-key.pem",
      publicKey: two.key.hash,
      certificates: [],
    };
    expect(pathsIn(noticesOf([two]))).toEqual([two.path]);
    expect(noticesOf([two], { holdings: [holding] })).toEqual([]);
    expect(pathsIn(noticesOf([two], { holdings: [{ ...holding, publicKey: "another" }] }))).toEqual([
      two.path,
    ]);
    const shared = keyAt("/cert/ca.key", original.keyPem);
    expect(pathsIn(noticesOf([shared], backup))).toEqual([shared.path]);
    const served = { ...found.masters[0]?.served, ...(earlier === undefined ? {} : { 6443: earlier }) };
    expect(noticesOf([shared], { ...backup, served })).toEqual([]);
    expect(
      pathsIn(noticesOf([shared], earlier === undefined ? {} : { ...backup, served: { 2379: earlier } })),
    ).toEqual([shared.path]);
  });
});

test("the command moves files of any name, and of the same name twice, to a folder of one user's alone", () => {
  const root = mkdtempSync(join(tmpdir(), "old-keys-"));
  try {
    const paths = ["cert/ca-key.pem", 'cert/it\'s $(touch made) "k".pem', "-t/ca-key.pem"].map((path) =>
      join(root, path),
    );
    for (const path of paths) {
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, path);
    }
    const [notice = ""] = noticesOf(paths.map((path) => authority(path, "etcd")));
    const command = notice.split("as root: ")[1]?.replaceAll("/root/etcd-old-keys", join(root, "old")) ?? "";
    execFileSync("bash", ["-c", command], { cwd: root });
    expect(readdirSync(join(root, "old")).toSorted()).toEqual(
      ["ca-key.pem", "ca-key.pem.~1~", 'it\'s $(touch made) "k".pem'].toSorted(),
    );
    expect(readFileSync(join(root, "old", "ca-key.pem"), "utf8")).toBe(paths[2]);
    expect(statSync(join(root, "old")).mode & 0o777).toBe(0o700);
    expect(existsSync(join(root, "made"))).toBe(false);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
