import { describe, expect, test } from "vitest";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import { authorityContents } from "../../components/model/contents.ts";
import { differences } from "../../components/model/differences.ts";
import type { Found, FoundFile, FoundMaster } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import {
  mastersOf,
  planRenewals,
  type RenewalPolicy,
  renewedRows,
  signedAuthorities,
} from "../../components/model/renewals.ts";
import { changed, foundAs, makePems, names, receipt, wantedOf } from "./cluster.ts";
import { type Issued, makeAuthority, makeLeaf } from "./openssl.ts";

const pems = makePems("current");
const wanted = wantedOf(pems);
const etcdAuthority = wanted.authorities.etcd;
const now = Date.UTC(2026, 10, 24);
const years = 365 * 86_400_000;
const policy: RenewalPolicy = {
  renew: "auto",
  rotation: undefined,
  keepKeys: false,
  validity: 50 * 365 * 86_400,
  renewBefore: 60 * 86_400,
};
const signers = {
  "cluster-ca": makeAuthority("/CN=kubernetes"),
  "front-proxy-ca": makeAuthority("/CN=front-proxy-ca"),
};
const certificateOf = ({ certPem }: Issued): Certificate => {
  const [certificate] = certificatesIn(certPem);
  if (certificate === undefined) {
    throw new Error("Cannot read a certificate that was just made");
  }
  return certificate;
};
const leaves = new Map(
  ackKubernetes
    .filter(({ kind }) => kind === "cert" || kind === "kubeconfig")
    .map((row) => [row.id, leafOf(row.id)]),
);
const groups = [...leaves.keys()];
/** without the authority's other names */
const firstNames = ackKubernetes.filter((row) => row.isLater !== true);

function leafOf(id: string): Certificate {
  const row = ackKubernetes.find((each) => each.id === id);
  const subject = id === "root-kubeconfig" || id === "admin.conf" ? "/CN=kubernetes-admin" : `/CN=${id}`;
  return certificateOf(makeLeaf(signers[row?.signer ?? "cluster-ca"], { subject }));
}

/** Kubernetes' files of a master, with these ends. */
function filesWith(leafEnd: number, authorityEnd: number): Record<string, FoundFile> {
  const file = (id: string, certificates: readonly Certificate[], publicKey = "-"): [string, FoundFile] => [
    id,
    {
      isPresent: true,
      ownerAndMode: "root:root 600",
      isReadable: true,
      publicKey,
      path: `/pki/${id}`,
      realPath: `/pki/${id}`,
      certificates,
    },
  ];
  return Object.fromEntries(
    ackKubernetes.map((row) => {
      const authority = certificateOf(signers[row.signer]);
      switch (row.kind) {
        case "authority":
          return file(row.id, [{ ...authority, notAfter: authorityEnd }]);
        case "authority-key":
          return file(row.id, [], authority.publicKey);
        case "key":
          return file(row.id, [], "some key");
        case "cert":
        case "kubeconfig": {
          const leaf = leaves.get(row.id);
          return file(row.id, leaf === undefined ? [] : [{ ...leaf, notAfter: leafEnd }]);
        }
        default:
          return row.kind satisfies never;
      }
    }),
  );
}

function found({
  leafEnd = now + 50 * years,
  authorityEnd = now + 50 * years,
  purpose = `${etcdAuthority.slice(0, 16)}/`,
} = {}): Found {
  const renewed = purpose === "" ? {} : Object.fromEntries(groups.map((group) => [group, purpose]));
  const well = foundAs(pems, { receipt: { ...receipt, renewed } });
  return {
    masters: well.masters.map((master) => ({
      ...master,
      files: { ...master.files, ...filesWith(leafEnd, authorityEnd) },
    })),
  };
}

function plan(of: Found, change: Partial<RenewalPolicy> = {}, authority: string | undefined = etcdAuthority) {
  return planRenewals(
    of,
    ackKubernetes,
    { ...policy, ...change },
    authority,
    ["master-2", "master-3", "master-1"],
    now,
  );
}

const reasonsOn = (
  of: Found,
  change: Partial<RenewalPolicy> = {},
  authority: string | undefined = etcdAuthority,
) =>
  Object.values(plan(of, change, authority).leaves).map((own) => [
    ...new Set(own.map(({ reason }) => reason)),
  ]);
const all = (reason: string) => [[reason], [reason], [reason]];
const withFile = (of: Found, id: string, change: Partial<FoundFile>) =>
  changed(of, "master-2", (master) => {
    const file = master.files[id];
    return file === undefined ? {} : { files: { ...master.files, [id]: { ...file, ...change } } };
  });

describe("what is renewed", () => {
  test("nothing, when everything was renewed for this etcd authority and lasts", () => {
    const { leaves: own, authorities, notices } = plan(found());
    expect(own).toEqual({ "master-1": [], "master-2": [], "master-3": [] });
    expect(authorities).toEqual({ "cluster-ca": { kind: "keep" }, "front-proxy-ca": { kind: "keep" } });
    expect(notices).toEqual([]);
    expect(differences(found(), wanted, ackLayout, plan(found()))).toEqual([]);
  });

  test("everything, when the etcd authority is new, not known yet, or was never recorded", () => {
    expect(reasonsOn(found(), {}, "ff".repeat(32))).toEqual(all("the etcd authority is new"));
    expect(
      planRenewals(found(), ackKubernetes, policy, undefined, names, now).leaves["master-3"]?.map(
        ({ group }) => group,
      ),
    ).toEqual(groups);
    expect(reasonsOn(found({ purpose: "" }))).toEqual(all("the etcd authority is new"));
    const unrecorded = found().masters.map((master) => ({ ...master, receipt: undefined }));
    expect(reasonsOn({ masters: unrecorded })).toEqual(all("the etcd authority is new"));
  });

  test("everything, when kubernetes.rotation asks, also with renew: never", () => {
    expect(reasonsOn(found(), { rotation: "r2" })).toEqual(all('kubernetes.rotation is "r2"'));
    expect(reasonsOn(found(), { rotation: "r2", renew: "never" }, "ff".repeat(32))).toEqual(
      all('kubernetes.rotation is "r2"'),
    );
    expect(reasonsOn(found({ purpose: `${etcdAuthority.slice(0, 16)}/r2` }), { rotation: "r2" })).toEqual([
      [],
      [],
      [],
    ]);
  });

  test("what is near its end, and only where renewing helps", () => {
    expect(reasonsOn(found({ leafEnd: now + 59 * 86_400_000 }))).toEqual(all("it ends on 2027-01-22"));
    expect(reasonsOn(found({ leafEnd: now + 60 * 86_400_000 }))).toEqual([[], [], []]);
    expect(reasonsOn(found({ leafEnd: now + 59 * 86_400_000 }), { renew: "never" })).toEqual([[], [], []]);
  });

  test("no row, when nothing ever asks", () => {
    expect(renewedRows(ackKubernetes, policy)).toEqual(ackKubernetes);
    expect(renewedRows(ackKubernetes, { ...policy, renew: "never" })).toEqual([]);
    expect(renewedRows(ackKubernetes, { ...policy, renew: "never", rotation: "r" })).toEqual(ackKubernetes);
  });

  test("no certificate of somebody else: not under this authority, not served, a user's own kubeconfig", () => {
    const stranger = certificateOf(makeLeaf(makeAuthority("/CN=kubernetes"), { subject: "/CN=x" }));
    const of = found({ purpose: "" });
    const groupsOn = (one: Found) => plan(one).leaves["master-2"]?.map(({ group }) => group) ?? [];
    expect(groupsOn(withFile(of, "scheduler.conf", { certificates: [stranger] }))).toEqual(
      groups.filter((group) => group !== "scheduler.conf"),
    );
    expect(
      groupsOn(changed(of, "master-2", (master) => ({ served: { ...master.served, 10250: stranger } }))),
    ).not.toContain("kubelet-server");
    const served = leaves.get("kubelet-server") ?? stranger;
    expect(
      groupsOn(changed(of, "master-2", (master) => ({ served: { ...master.served, 10250: served } }))),
    ).toEqual(groups);
    const own = certificateOf(makeLeaf(signers["cluster-ca"], { subject: "/CN=me" }));
    expect(groupsOn(withFile(of, "root-kubeconfig", { certificates: [own] }))).not.toContain(
      "root-kubeconfig",
    );
    expect(groupsOn(withFile(of, "admin.conf", { certificates: [] }))).toEqual(
      groups.filter((group) => group !== "admin.conf" && group !== "root-kubeconfig"),
    );
    expect(groupsOn(withFile(of, "kubelet.conf", { certificates: [] }))).not.toContain("kubelet.conf");
  });
});

describe("an authority whose key cannot sign on a master", () => {
  test.each<[string, Partial<FoundFile>, string]>([
    ["missing", { isPresent: false }, "the key of cluster-ca is not on this master"],
    [
      "another one, or encrypted",
      { publicKey: "e3b0" },
      "the key of cluster-ca (/pki/cluster-ca-key) is encrypted, or does not belong to its certificate",
    ],
  ])("%s: nothing under it is touched there, and it is a notice, not a difference", (_, change, reason) => {
    const of = withFile(found({ purpose: "", leafEnd: now + 20 * 86_400_000 }), "cluster-ca-key", change);
    const { leaves: own, notices } = plan(of);
    expect(own["master-2"]?.map(({ group }) => group)).toEqual(["front-proxy-client"]);
    expect(own["master-1"]?.map(({ group }) => group)).toEqual(groups);
    expect(notices).toContain(`master-2: apiserver stays until 2026-12-14: ${reason}`);
    expect(notices).toHaveLength(groups.length - 1);
  });

  test("what is near its end there is a notice, whatever was renewed before", () => {
    const near = found({ leafEnd: now + 20 * 86_400_000 });
    const { leaves: own, notices } = plan(withFile(near, "cluster-ca-key", { isPresent: false }));
    expect(own["master-2"]?.map(({ group }) => group)).toEqual(["front-proxy-client"]);
    expect(notices).toContain(
      "master-2: apiserver stays until 2026-12-14: the key of cluster-ca is not on this master",
    );
    expect(notices).toHaveLength(groups.length - 1);
  });

  test("on every master: clean, with notices", () => {
    const noKey = (master: FoundMaster): FoundMaster => {
      const { "cluster-ca-key": own, "front-proxy-ca-key": proxy, ...files } = master.files;
      expect([own, proxy]).not.toContain(undefined);
      return { ...master, files };
    };
    const of = { masters: found({ purpose: "", leafEnd: now + 20 * 86_400_000 }).masters.map(noKey) };
    expect(differences(of, wanted, ackLayout, plan(of))).toEqual([]);
    expect(plan(of).notices).toHaveLength(3 * groups.length);
  });
});

describe("an authority", () => {
  test("is signed once, on the first master in the order of retire that can, when leaves would outlive it", () => {
    const of = found({ purpose: "", authorityEnd: now + 10 * years });
    expect(plan(of).authorities["cluster-ca"]).toEqual({ kind: "sign", on: "master-2" });
    expect(plan(withFile(of, "cluster-ca-key", { isPresent: false })).authorities["cluster-ca"]).toEqual({
      kind: "sign",
      on: "master-3",
    });
    expect(plan(found({ authorityEnd: now + 10 * years })).authorities["cluster-ca"]).toEqual({
      kind: "keep",
    });
  });

  test("is signed anew for its own leaves alone, and replaced on every master, or where it is copied to", () => {
    const { "front-proxy-client": _, ...renewed } = Object.fromEntries(
      groups.map((group) => [group, `${etcdAuthority.slice(0, 16)}/`]),
    );
    const of = changed(found({ authorityEnd: now + 10 * years }), "master-2", () => ({
      receipt: { ...receipt, isComplete: false, renewed },
    }));
    const { authorities } = plan(of);
    expect(authorities).toEqual({
      "cluster-ca": { kind: "keep" },
      "front-proxy-ca": { kind: "sign", on: "master-2" },
    });
    expect([
      mastersOf(authorities["cluster-ca"], of),
      mastersOf(authorities["front-proxy-ca"], of),
      mastersOf({ kind: "copy", pem: "", to: ["master-3"] }, of),
    ]).toEqual([[], names, ["master-3"]]);
  });

  test("that one master has already is copied to the others, byte for byte", () => {
    const of = found({ purpose: "", authorityEnd: now + 10 * years });
    const renewed = {
      ...certificateOf(signers["cluster-ca"]),
      notAfter: now + 50 * years,
      fingerprint: "new",
    };
    const half = withFile(of, "cluster-ca", { certificates: [renewed] });
    expect(plan(half).authorities["cluster-ca"]).toEqual({
      kind: "copy",
      pem: renewed.pem,
      to: ["master-1", "master-3"],
    });
  });

  test("from a settle step of this attempt goes to retire, and no other key's does", () => {
    const { certPem } = signers["cluster-ca"];
    const stdout = `${certPem
      .trim()
      .split("\n")
      .map((line) => `authority cluster-ca ${line}\n`)
      .join("")}done a5 settle master-2\n`;
    const signed = signedAuthorities(["done a5 settle master-1\n", stdout], "a5");
    expect(signed).toEqual({ "cluster-ca": certPem });
    expect(signedAuthorities([stdout], "a6")).toEqual({});
    const [master] = found().masters;
    const plans = {
      "cluster-ca": { kind: "sign", on: "master-2" },
      "front-proxy-ca": { kind: "keep" },
    } as const;
    expect(master && authorityContents(master, firstNames, plans, signed)).toEqual({ "cluster-ca": certPem });
    expect(
      master &&
        authorityContents(master, firstNames, plans, {
          "cluster-ca": makeAuthority("/CN=kubernetes").certPem,
        }),
    ).toEqual({});
  });
});

test("a resumed run renews only where the last one has not", () => {
  const [token, old] = [`${etcdAuthority.slice(0, 16)}/`, "0123456789abcdef/"];
  const renewed = {
    ...Object.fromEntries(groups.map((group) => [group, old])),
    apiserver: token,
    "admin.conf": `${token} kept`,
  };
  const of = changed(found({ purpose: old }), "master-2", () => ({ receipt: { ...receipt, renewed } }));
  const { leaves: own } = plan(of);
  expect(own["master-1"]?.map(({ group }) => group)).toEqual(groups);
  expect(own["master-2"]?.map(({ group }) => group)).toEqual(
    groups.filter((group) => group !== "apiserver" && group !== "admin.conf"),
  );
});

test("what could not be made is tried again for another purpose", () => {
  const of = found({ purpose: `${etcdAuthority.slice(0, 16)}/ kept` });
  expect(plan(of).leaves["master-1"]).toEqual([]);
  expect(plan(of, { rotation: "r2" }).leaves["master-1"]?.map(({ group }) => group)).toEqual(groups);
  const authority = changed(found({ purpose: "", authorityEnd: now + 10 * years }), "master-2", () => ({
    receipt: { ...receipt, renewed: { "cluster-ca": `${etcdAuthority.slice(0, 16)}/ kept` } },
  }));
  expect(plan(authority).authorities["cluster-ca"]).toEqual({ kind: "sign", on: "master-3" });
  expect(plan(authority).notices).toEqual([
    "master-2: cluster-ca stays until 2036-11-21: openssl could not make one like it; renew it by hand",
  ]);
});

test("what could not be made is a notice when its end is near, by its own file alone", () => {
  const purpose = `${etcdAuthority.slice(0, 16)}/`;
  const of = changed(found({ leafEnd: now + 20 * 86_400_000 }), "master-2", ({ receipt: own }) => ({
    receipt: own && { ...own, renewed: { ...own.renewed, apiserver: `${purpose} kept` } },
  }));
  const { leaves: own, notices, kept } = plan(of);
  expect(own["master-2"]?.map(({ group }) => group)).toEqual(groups.filter((group) => group !== "apiserver"));
  const why =
    "stays until 2026-12-14: it has something that cannot be copied into a new one; renew it by hand";
  expect([notices, kept]).toEqual([
    [`master-2: apiserver ${why}`],
    [{ master: "master-2", file: "apiserver", why }],
  ]);
  // an authority whose file has gone since has no end to tell
  const gone = changed(withFile(found(), "cluster-ca", { certificates: [] }), "master-2", () => ({
    receipt: { ...receipt, renewed: { "cluster-ca": `${purpose} kept` } },
  }));
  expect(plan(gone).notices).toEqual([]);
});

test("a group that a whole rollout has not known waits for its end, or for the next one; an interrupted rollout renews it", () => {
  const { "kube.conf": own, ...renewed } = Object.fromEntries(
    groups.map((group) => [group, `${etcdAuthority.slice(0, 16)}/`]),
  );
  expect(own).toBeDefined();
  const groupsOn = (of: Found, authority?: string) =>
    plan(of, {}, authority ?? etcdAuthority).leaves["master-2"]?.map(({ group }) => group);
  const since = (of: Found, isComplete: boolean) =>
    changed(of, "master-2", () => ({ receipt: { ...receipt, isComplete, renewed } }));
  expect(groupsOn(since(found(), true))).toEqual([]);
  expect(groupsOn(since(found(), true), "ff".repeat(32))).toEqual(groups);
  expect(groupsOn(since(found({ leafEnd: now + 59 * 86_400_000 }), true))).toContain("kube.conf");
  expect(groupsOn(since(found(), false))).toEqual(["kube.conf"]);
});

describe("how long an authority has to last", () => {
  const kindOf = (of: Found, change: Partial<RenewalPolicy> = {}) =>
    plan(of, change).authorities["cluster-ca"];
  const days = (count: number) => now + count * 86_400_000;

  test("as long as what it signs now, less a tenth or thirty days, so that a run that goes on does not sign it again", () => {
    const signing = (authorityEnd: number, validityDays: number) =>
      kindOf(found({ purpose: "", authorityEnd }), { validity: validityDays * 86_400 }).kind;
    expect([signing(days(89), 100), signing(days(90), 100)]).toEqual(["sign", "keep"]);
    expect([signing(days(969), 1000), signing(days(970), 1000)]).toEqual(["sign", "keep"]);
  });

  test("longer than renewBefore, also where it signs nothing else, unless nothing is to be renewed by itself", () => {
    const near = found({ authorityEnd: days(59) });
    expect(kindOf(near)).toEqual({ kind: "sign", on: "master-2" });
    expect(kindOf(found({ authorityEnd: days(60) }))).toEqual({ kind: "keep" });
    expect(kindOf(near, { renew: "never", rotation: undefined })).toEqual({ kind: "keep" });
  });

  test("nobody signs it where no master has its key", () => {
    const keyless = found({ authorityEnd: days(59) }).masters.map(
      ({ files: { "cluster-ca-key": _, ...files }, ...master }) => ({ ...master, files }),
    );
    expect(kindOf({ masters: keyless })).toEqual({ kind: "keep" });
    const none = keyless.map(({ files: { "cluster-ca": _, ...files }, ...master }) => ({ ...master, files }));
    expect(kindOf({ masters: none })).toEqual({ kind: "keep" });
  });

  test("a master that has another one with another key is left alone", () => {
    const [renewed, other] = [
      certificateOf(signers["cluster-ca"]),
      certificateOf(makeAuthority("/CN=kubernetes")),
    ];
    const apart = withFile(
      withFile(found({ authorityEnd: days(1000) }), "cluster-ca", { certificates: [other] }),
      "cluster-ca-key",
      {
        publicKey: other.publicKey,
      },
    );
    const both = changed(apart, "master-3", ({ files }) => {
      const file = files["cluster-ca"];
      return file === undefined
        ? {}
        : {
            files: {
              ...files,
              "cluster-ca": {
                ...file,
                certificates: [{ ...renewed, notAfter: now + 50 * years, fingerprint: "new" }],
              },
            },
          };
    });
    expect(kindOf(both)).toEqual({ kind: "copy", pem: renewed.pem, to: ["master-1"] });
  });
});

test("a leaf near its end is renewed under an authority that could not be made like it only where that one outlives it", () => {
  const kept = (authorityEnd: number) =>
    changed(found({ leafEnd: now + 20 * 86_400_000, authorityEnd }), "master-2", ({ receipt: own }) => ({
      receipt: own && {
        ...own,
        renewed: { ...own.renewed, "cluster-ca": `${etcdAuthority.slice(0, 16)}/ kept` },
      },
    }));
  const groupsOn = (of: Found) => plan(of).leaves["master-2"]?.map(({ group }) => group);
  expect(groupsOn(kept(now + 20 * 86_400_000))).toEqual(["front-proxy-client"]);
  expect(groupsOn(kept(now + 21 * 86_400_000))).toEqual(groups);
});

test("a renewal is noted by the etcd authority and the rotation that it was for", () => {
  const etcd = etcdAuthority.slice(0, 16);
  expect([plan(found()).purpose, plan(found(), { rotation: "r2" }).purpose]).toEqual([
    `${etcd}/`,
    `${etcd}/r2`,
  ]);
  expect(planRenewals(found(), ackKubernetes, policy, undefined, names, now).purpose).toBe("/");
});

test("what backup has signed is told apart by authority, and several lines make one text", () => {
  const step =
    "authority cluster-ca one\nserved x\nauthority front-proxy-ca two words\n\nauthority cluster-ca three\ndone a5 backup master-1\n";
  expect(signedAuthorities([step, "authority cluster-ca four\ndone a4 backup master-2\n", ""], "a5")).toEqual(
    {
      "cluster-ca": "one\nthree\n",
      "front-proxy-ca": "two words\n",
    },
  );
});

describe("the authority under another name", () => {
  const signed = { ...certificateOf(signers["cluster-ca"]), notAfter: now + 50 * years, fingerprint: "new" };
  const earlier = certificateOf(signers["cluster-ca"]);
  const other = certificateOf(makeAuthority("/CN=console"));
  const bundle = (certificates: readonly Certificate[], of = found()) =>
    withFile(of, "root-ca", { certificates });

  test("gets the newest certificate with any rollout, and asks for one when its end is near", () => {
    const [far, near] = [now + 10 * years, now + 59 * 86_400_000].map((notAfter) => ({
      ...earlier,
      notAfter,
    }));
    const of = (own = earlier) => bundle([own], found({ authorityEnd: now + 50 * years }));
    expect(plan(of(far)).authorities["cluster-ca"]).toEqual({ kind: "keep" });
    const both = (own = earlier) => withFile(of(own), "cluster-ca", { certificates: [signed] });
    const planned = plan({
      masters: both(far).masters.map((master) => ({ ...master, files: { ...both(far).masters[1]?.files } })),
    });
    expect(planned.authorities["cluster-ca"]).toEqual({ kind: "copy", pem: earlier.pem, to: [] });
    expect(
      differences(both(far), wanted, ackLayout, planned).filter(({ what }) => what.includes("cluster-ca")),
    ).toEqual([]);
    const asked = plan({
      masters: both(near).masters.map((master) => ({
        ...master,
        files: { ...both(near).masters[1]?.files },
      })),
    });
    expect(asked.authorities["cluster-ca"]).toEqual({ kind: "copy", pem: earlier.pem, to: names });
  });

  test("is renewed where it lies in a bundle, and nothing of another key or subject is", () => {
    const renewed = certificateOf(signers["cluster-ca"]);
    const present = { ...renewed, pem: "earlier\n", fingerprint: "earlier" };
    const crossed = { ...present, subject: ["CN=other"], pem: "crossed\n" };
    const master = bundle([other, present, crossed]).masters[1];
    const plans = {
      "cluster-ca": { kind: "sign", on: "master-2" },
      "front-proxy-ca": { kind: "keep" },
    } as const;
    const contents = master && authorityContents(master, ackKubernetes, plans, { "cluster-ca": renewed.pem });
    expect(contents?.["root-ca"]).toBe(`${other.pem}${renewed.pem}crossed\n`);
  });

  test("signs from a bundle that begins with somebody else's", () => {
    const of = found({ purpose: "", authorityEnd: now + 10 * years });
    const first = { masters: of.masters.map((master) => ({ ...master, files: bundleFirst(master) })) };
    expect(plan(first).authorities["cluster-ca"]).toEqual({ kind: "sign", on: "master-2" });
    expect(plan(first).leaves["master-2"]?.map(({ group }) => group)).toEqual(groups);
    function bundleFirst({ files }: FoundMaster): Record<string, FoundFile> {
      const own = files["cluster-ca"];
      return own === undefined
        ? {}
        : { ...files, "cluster-ca": { ...own, certificates: [other, ...own.certificates] } };
    }
  });
});

test("an authority is copied to whoever has an earlier one, and written into its own file alone", () => {
  const { certPem } = signers["cluster-ca"];
  const renewed = certificateOf(signers["cluster-ca"]);
  const earlier = { ...renewed, pem: "earlier\n", fingerprint: "earlier" };
  /** with a leaf's file that has the authority behind the leaf, as ACK's has */
  const written = (held: Certificate, kind: "copy" | "keep") => {
    const [master] = withFiles({ "cluster-ca": [held], apiserver: [leafOf("apiserver"), held] });
    const plans = {
      "cluster-ca": kind === "copy" ? ({ kind, pem: certPem, to: names } as const) : ({ kind } as const),
      "front-proxy-ca": { kind: "keep" },
    } as const;
    return master && authorityContents(master, firstNames, plans, { "cluster-ca": certPem });
  };
  expect(written(earlier, "copy")).toEqual({ "cluster-ca": certPem });
  expect([written(renewed, "copy"), written(earlier, "keep")]).toEqual([{}, {}]);

  function withFiles(files: Record<string, Certificate[]>): readonly FoundMaster[] {
    return Object.entries(files).reduce(
      (of, [id, certificates]) => ({
        masters: of.masters.map((master) => {
          const file = master.files[id];
          return file === undefined
            ? master
            : { ...master, files: { ...master.files, [id]: { ...file, certificates } } };
        }),
      }),
      found(),
    ).masters;
  }
});

test("other authorities in the same file stay trusted", () => {
  const [master] = found().masters;
  const other = certificateOf(makeAuthority("/CN=other"));
  const file = master?.files["cluster-ca"];
  const bundle = master &&
    file && {
      ...master,
      files: {
        ...master.files,
        "cluster-ca": { ...file, certificates: [certificateOf(signers["cluster-ca"]), other] },
      },
    };
  const plans = {
    "cluster-ca": { kind: "sign", on: "master-2" },
    "front-proxy-ca": { kind: "keep" },
  } as const;
  const { certPem } = signers["cluster-ca"];
  expect(bundle && authorityContents(bundle, firstNames, plans, { "cluster-ca": certPem })).toEqual({
    "cluster-ca": `${certPem}${other.pem}`,
  });
});

test("differences say what, and why, a line for each reason", () => {
  const of = changed(found(), "master-2", () => ({ receipt: { ...receipt, renewed: {} } }));
  expect(differences(of, wanted, ackLayout, plan(of))).toEqual([
    { master: "master-2", what: `${groups.join(", ")}: to be renewed, since the etcd authority is new` },
  ]);
});
