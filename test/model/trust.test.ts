import { describe, expect, test, vi } from "vitest";
import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor, restoredContents } from "../../components/model/contents.ts";
import { differences } from "../../components/model/differences.ts";
import { operationsOf } from "../../components/model/exploration/runs.ts";
import { apply, type Disk, foundIn, type World } from "../../components/model/exploration/world.ts";
import { certificateFaults } from "../../components/model/faults.ts";
import type { Found, SavedFile } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { planRestore } from "../../components/model/restore.ts";
import { isIssuedUnder, ownerOf, recordedAuthorities, trustNotices } from "../../components/model/trust.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import {
  changed,
  diskOf,
  fileOf,
  foundAs,
  makeOriginalPems,
  makePems,
  masterWith,
  names,
  receipt,
  signedBy,
  wantedOf,
} from "./cluster.ts";
import { issuersOf, settled, withTrust } from "./masters.ts";
import { finish } from "./one-run.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

vi.mock(import("../../components/model/certificate.ts"), async (original) => {
  const { withMemory } = await import("./remembered.ts");
  return withMemory(await original());
});

// Authorities in etcd's trust files that are not the wanted one: whose they are, and what becomes of them.

const original = makeOriginalPems();
const current = makePems("current");
const abandoned = makePems("abandoned");
const next = makePems("next");
const issuers = issuersOf([original, current, abandoned, next]);
const foreign = makeAuthority("/O=Elsewhere/CN=backup-ca", 30).certPem;
const [authority] = certificatesIn(foreign);
const end = new Date(authority?.notAfter ?? 0).toISOString().slice(0, 10);
/** after the foreign one has ended, and before anything else does */
const late = (authority?.notAfter ?? 0) / 1000 + 86_400;

/** Two masters accept clients of somebody else's authority; the third does not. */
function joined(pems: WantedPems): World {
  return withTrust(withTrust(settled(pems), "master-1", "etcd-ca", foreign), "master-2", "etcd-ca", foreign);
}

const foreigner = [authority].flatMap((each) => each ?? []);
const kept = {
  "master-1": { "etcd-ca": foreigner, "etcd-peer-ca": [], "apiserver-etcd-ca": [] },
  "master-2": { "etcd-ca": foreigner, "etcd-peer-ca": [], "apiserver-etcd-ca": [] },
  "master-3": { "etcd-ca": [], "etcd-peer-ca": [], "apiserver-etcd-ca": [] },
};

function halfDone(start: World, pems: WantedPems, count: number): World {
  return operationsOf(start, pems).slice(0, count).reduce(apply, start);
}

/** The subjects in a trust file on each master. */
function trusted({ disks }: World, id: string): string[] {
  return names.map((name) =>
    certificatesIn(disks[name]?.[id] ?? "")
      .map(({ subject }) => subject.find((rdn) => rdn.startsWith("CN=")))
      .join(" + "),
  );
}

describe("whose an authority is", () => {
  const owner = (found: Found, pem: string) => certificatesIn(pem).map(ownerOf(found.masters, ackLayout))[0];
  const withFile = (found: Found, text: string) =>
    changed(found, "master-1", ({ files }) => ({
      files: {
        ...files,
        ...Object.fromEntries(ackLayout.slice(0, 1).map((row) => [row.id, fileOf(row, text)])),
      },
    }));
  const of = (text: string, found = foundAs(current)) =>
    owner(withFile(found, `${current.authorities.etcd}${text}`), text);

  test("in use: a leaf of it lies on a master, or is served", () => {
    const [served] = certificatesIn(original.leaves["master-1"]?.["etcd-server"].certPem ?? "");
    expect(of(current.authorities.etcd)).toBe("in-use");
    expect(of(original.authorities.etcd)).toBe("foreign");
    expect(
      of(
        original.authorities.etcd,
        foundAs(current, served === undefined ? {} : { served: { 2379: served } }),
      ),
    ).toBe("in-use");
  });

  test("in use: it is above one that is", () => {
    const root = makeAuthority("/CN=root");
    const below = makeLeaf(root, { subject: "/CN=below", authority: true });
    const leaf = makeLeaf(below, { subject: "/CN=etcd-client" });
    const found = changed(foundAs(current), "master-3", ({ files }) => ({
      files: {
        ...files,
        ...Object.fromEntries(
          ackLayout
            .filter(({ id }) => id === "etcd-client")
            .map((row) => [row.id, fileOf(row, leaf.certPem)]),
        ),
      },
    }));
    expect(owner(withFile(found, `${below.certPem}${root.certPem}`), root.certPem)).toBe("in-use");
    // known by the leaf's own file alone
    const chained = changed(found, "master-3", ({ files }) => ({
      files: {
        ...files,
        ...Object.fromEntries(
          ackLayout
            .filter(({ id }) => id === "etcd-client")
            .map((row) => [row.id, fileOf(row, leaf.certPem + below.certPem)]),
        ),
      },
    }));
    expect(owner(withFile(chained, root.certPem), root.certPem)).toBe("in-use");
  });

  test("earlier: a leaf of it is in a backup on any master", () => {
    const leaves = certificatesIn(original.leaves["master-3"]?.["etcd-peer"].certPem ?? "");
    expect(
      of(
        original.authorities.etcd,
        changed(foundAs(current), "master-3", () => ({ earlier: leaves })),
      ),
    ).toBe("earlier");
    const saved = Object.fromEntries(
      ackLayout
        .filter(({ id }) => id === "etcd-client")
        .map((row) => [row.id, fileOf(row, original.leaves["master-3"]?.["etcd-client"].certPem ?? "")]),
    );
    expect(
      of(
        original.authorities.etcd,
        changed(foundAs(current), "master-3", () => ({ saved })),
      ),
    ).toBe("earlier");
  });

  test("earlier: this program made it, whatever is left of its rollout; a subject that only looks like it does not count", () => {
    expect(of(abandoned.authorities.etcd)).toBe("earlier");
    const serial = certificatesIn(abandoned.authorities.etcd)[0]?.subject.find((rdn) =>
      rdn.startsWith("serialNumber="),
    );
    expect(of(makeAuthority(`/CN=etcd-ca abandoned/${serial}`).certPem)).toBe("foreign");
  });

  test("foreign: any other", () => {
    expect(of(foreign)).toBe("foreign");
    expect(of(foreign, foundAs(current, { served: {} }))).toBe("foreign");
  });
});

describe("somebody else's authority", () => {
  test.each([
    ["a take-over, then another rotation", original, abandoned, next],
    ["a rotation, then another one", current, abandoned, next],
    ["a rotation, taken back", current, next, current],
    ["a rollback, then forward again", next, current, next],
  ])(
    "stays alone behind the wanted one after a run that was killed anywhere: %s",
    (_, before, during, after) => {
      const start = joined(before);
      const own = certificatesIn(after.authorities.etcd)[0]?.subject[0];
      for (let count = 0; count <= operationsOf(start, during).length; count += 1) {
        const end = finish(halfDone(start, during, count), after, issuers);
        expect([count, ...trusted(end, "etcd-ca")]).toEqual([
          count,
          `${own} + CN=backup-ca`,
          `${own} + CN=backup-ca`,
          own,
        ]);
        expect(trusted(end, "apiserver-etcd-ca")).toEqual([own, own, own]);
      }
    },
  );

  test("is no reason to rotate: kept as it lies, in any order, put there since, or expired", () => {
    const plan = planRollout(foundIn(joined(current)), ackLayout, [], 0);
    expect(plan.kept).toEqual(kept);
    const wanted = wantedOf(current, plan.kept);
    expect(differences(foundIn(joined(current)), wanted, ackLayout)).toEqual([]);
    const reversed = changed(foundIn(joined(current)), "master-1", ({ files }) => ({
      files: {
        ...files,
        ...Object.fromEntries(
          ackLayout.slice(0, 1).map((row) => [row.id, fileOf(row, `${foreign}${current.authorities.etcd}`)]),
        ),
      },
    }));
    expect(differences(reversed, wanted, ackLayout)).toEqual([]);
    const ended = {
      masters: foundIn(joined(current)).masters.map((master) => ({
        ...master,
        clock: late,
        operatorClock: late,
      })),
    };
    const later = planRollout(ended, ackLayout, [], 0);
    expect(later.kept["master-1"]?.["etcd-ca"]).toEqual([]);
    expect(differences(ended, wantedOf(current, later.kept), ackLayout)).toEqual([]);
    // with the next rollout it goes
    expect(contentsFor("retire", "master-1", ackLayout, later, current)["etcd-ca"]).toBe(
      current.authorities.etcd,
    );
  });

  test("keeps its bytes, and changes no file when leaves alone are renewed", () => {
    const plan = planRollout(foundIn(joined(current)), ackLayout, [], 0);
    const disk = joined(current).disks["master-1"]?.["etcd-ca"];
    expect(
      (["trust", "retire", "verify"] as const).map(
        (phase) => contentsFor(phase, "master-1", ackLayout, plan, current)["etcd-ca"],
      ),
    ).toEqual([disk, disk, disk]);
    const windows = foreign.trimEnd().replaceAll("\n", "\r\n");
    const odd = planRollout(
      foundIn(withTrust(settled(current), "master-1", "etcd-ca", windows)),
      ackLayout,
      [],
      0,
    );
    expect(contentsFor("retire", "master-1", ackLayout, odd, next)["etcd-ca"]).toBe(
      `${next.authorities.etcd}${windows}\n`,
    );
  });

  test("goes when the stack file says drop, and not before retire", () => {
    const found = foundIn(joined(current));
    const plan = planRollout(found, ackLayout, [], 0, "drop");
    expect(differences(found, wantedOf(current, plan.kept), ackLayout)).toEqual([
      { master: "master-1", what: "etcd-ca is not the wanted one" },
      { master: "master-2", what: "etcd-ca is not the wanted one" },
    ]);
    const writing = operationsOf(joined(current), current, { foreignAuthorities: "drop" }).filter(
      (each) =>
        each.kind === "write" &&
        each.texts["etcd-ca"] !== undefined &&
        each.texts["etcd-ca"] !== joined(current).disks[each.master]?.["etcd-ca"],
    );
    expect(writing.map(({ phase, master }) => `${phase} ${master}`)).toEqual([
      "retire master-2",
      "retire master-1",
    ]);
    expect(finish(joined(current), current, issuers, { foreignAuthorities: "drop" }).disks).toEqual(
      settled(current).disks,
    );
  });

  test("an authority of this cluster that was put back by hand is a difference", () => {
    const found = foundIn(withTrust(settled(current), "master-2", "etcd-ca", original.authorities.etcd));
    const seen = {
      masters: found.masters.map((master) => ({
        ...master,
        earlier: certificatesIn(original.leaves["master-1"]?.["etcd-client"].certPem ?? ""),
      })),
    };
    const { kept: none } = planRollout(seen, ackLayout, [], 0);
    expect(differences(seen, wantedOf(current, none), ackLayout)).toEqual([
      { master: "master-2", what: "etcd-ca is not the wanted one" },
    ]);
  });

  test("comes to a new machine as well", () => {
    const found = foundIn(joined(current), undefined, undefined, "master-3");
    const plan = planRollout(found, ackLayout, [], 0);
    expect(contentsFor("verify", "master-3", ackLayout, plan, current)["etcd-ca"]).toBe(
      `${current.authorities.etcd}${foreign}`,
    );
    expect(differences(found, wantedOf(current, plan.kept), ackLayout)).toContainEqual({
      master: "master-3",
      what: "etcd-ca is not the wanted one (joining)",
    });
  });

  test("hides no end of the cluster's own", () => {
    const masters = names.map((name) =>
      masterWith(name, {
        ...diskOf(current, name),
        "etcd-ca": `${current.authorities.etcd}${makeAuthority("/CN=long", 9999).certPem}`,
      }),
    );
    const [first] = masters;
    const ends = certificatesIn(current.authorities.etcd).map(({ notAfter }) => notAfter)[0] ?? 0;
    expect(first && certificateFaults(first, masters, ackLayout, ends)).toContain(
      `master-1: etcd-ca expired on ${new Date(ends).toISOString().slice(0, 10)}`,
    );
  });
});

describe("a restore", () => {
  /** What a backup of these pems has, with more in front of its etcd-ca. */
  const savedOf = (pems: WantedPems, name: string, before = ""): Record<string, SavedFile> => {
    const disk: Disk = { ...diskOf(pems, name), "etcd-ca": `${before}${pems.authorities.etcd}` };
    return Object.fromEntries(ackLayout.map((row) => [row.id, fileOf(row, disk[row.id] ?? "")]));
  };
  const keeping = (world: World, before = "") => ({
    masters: foundIn(world).masters.map((master) => ({
      ...master,
      saved: savedOf(original, master.name, before),
    })),
  });
  const question = {
    rows: ackLayout,
    kubernetes: [],
    rollout: 3,
    owner: receipt.owner,
    renewBefore: 60 * 86_400,
    rolloutSeconds: 5400,
    now: Date.now(),
  };

  test("has what has been added since behind the backup's bytes, and retires this program's own", () => {
    const found = keeping(joined(current));
    const plan = planRollout(found, ackLayout, [], 0);
    const { wanted, refusals } = planRestore(found, { ...question, kept: plan.kept });
    expect(refusals).toEqual([]);
    const [own, foreigner] = [original.authorities.etcd, foreign].map(
      (pem) => certificatesIn(pem)[0]?.fingerprint,
    );
    expect(names.map((name) => wanted.files[name]?.["etcd-ca"])).toEqual([
      `${own}+${foreigner}`,
      `${own}+${foreigner}`,
      own,
    ]);
    const written = (phase: "trust" | "retire", name: string) =>
      restoredContents(phase, name, ackLayout, plan, savedOf(original, name));
    expect(written("trust", "master-1")["etcd-ca"]).toBe(
      `${original.authorities.etcd}${foreign}${current.authorities.etcd}`,
    );
    expect([written("retire", "master-1"), written("retire", "master-3")]).toEqual([
      { "etcd-ca": foreign },
      {},
    ]);
  });

  test("is not refused for the end of somebody else's, which is not taken for the cluster's own", () => {
    const found = keeping(joined(current), foreign);
    const plan = planRollout(found, ackLayout, [], 0);
    const { wanted, refusals } = planRestore(found, { ...question, kept: plan.kept });
    expect(refusals).toEqual([]);
    expect(wanted.authorities.etcd).toBe(certificatesIn(original.authorities.etcd)[0]?.fingerprint);
    expect(
      restoredContents("retire", "master-1", ackLayout, plan, savedOf(original, "master-1", foreign)),
    ).toEqual({});
  });
});

describe("in words", () => {
  const say = (world: World, policy?: "keep" | "drop", clock?: number) => {
    const { masters } = foundIn(world);
    const found = {
      masters: clock === undefined ? masters : masters.map((master) => ({ ...master, operatorClock: clock })),
    };
    return trustNotices(found, ackLayout, [], policy);
  };
  const named = `trusts "O=Elsewhere, CN=backup-ca" (until ${end}), which`;
  const own = (pems: WantedPems) =>
    new Date(certificatesIn(pems.authorities.etcd)[0]?.notAfter ?? 0).toISOString().slice(0, 10);

  test("nothing of authorities in use", () => {
    expect(say(settled(current))).toEqual([]);
  });

  test("kept until the stack file decides, by its word, or dropped", () => {
    expect(say(joined(current))).toEqual([
      `etcd-ca of master-1, master-2 ${named} has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted; set foreignAuthorities: keep if that is meant, else drop`,
    ]);
    expect(say(joined(current), "keep")).toEqual([
      `etcd-ca of master-1, master-2 ${named} has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted (foreignAuthorities: keep)`,
    ]);
    expect(say(withTrust(joined(current), "master-1", "etcd-peer-ca", foreign), "drop")).toEqual([
      `etcd-ca of master-1, master-2 and etcd-peer-ca of master-1 ${named} has issued nothing that this cluster uses: it goes in retire, and whoever has a certificate of it is refused from then on (foreignAuthorities: drop)`,
    ]);
  });

  test("a place for each master and file", () => {
    const everywhere = ["master-1", "master-2"].reduce(
      (world, name) => withTrust(world, name, "apiserver-etcd-ca", foreign),
      joined(current),
    );
    expect(say(everywhere, "keep")).toEqual([
      `etcd-ca, apiserver-etcd-ca of master-1, master-2 ${named} has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted (foreignAuthorities: keep)`,
    ]);
  });

  test("expired, from its last second on, by the clock of any look at a master", () => {
    const expired = [`etcd-ca of master-1, master-2 ${named} has expired: it goes with the next retire`];
    const lastSecond = late - 86_400;
    expect(say(joined(current), "keep", late)).toEqual(expired);
    expect(say(joined(current), "keep", lastSecond)).toEqual(expired);
    expect(say(joined(current), "keep", lastSecond - 1)).not.toEqual(expired);
    const found = changed(foundIn(joined(current)), "master-3", () => ({ operatorClock: late }));
    expect(trustNotices(found, ackLayout, [], "keep")).toEqual(expired);
  });

  test("an earlier one of the cluster, but not the wanted one whose leaves are still to come", () => {
    const world = withTrust(settled(current), "master-3", "etcd-ca", abandoned.authorities.etcd);
    const [earlier] = certificatesIn(abandoned.authorities.etcd);
    expect(say(world)).toEqual([
      `etcd-ca of master-3 trusts "${earlier?.subject.join(", ")}" (until ${own(abandoned)}), an earlier authority of this cluster: it goes in retire`,
    ]);
    expect(trustNotices(foundIn(world), ackLayout, [earlier?.fingerprint ?? ""], undefined)).toEqual([]);
  });
});

test("the wanted authorities of an earlier run are those that any receipt names", () => {
  const found = changed(foundAs(current, { receipt: undefined }), "master-2", () => ({
    receipt: { ...receipt, authorities: "ab12,cd34" },
  }));
  expect(recordedAuthorities(found)).toEqual(["ab12", "cd34"]);
});

describe("what a leaf is accepted by", () => {
  const [earlier, next] = [makePems("signer"), makePems("signed")];
  const [old = never(), young = never()] = [earlier, next].map(
    ({ authorities: { etcd } }) => certificatesIn(etcd)[0],
  );
  const [leaf = never()] = certificatesIn(next.leaves["master-1"]?.["etcd-server"].certPem ?? "");
  const [cross = never()] = certificatesIn(signedBy(earlier, next).texts.etcd);
  const [peerCross = never()] = certificatesIn(signedBy(earlier, next).texts["etcd-peer"]);

  test("is its issuer, or who has signed that one's certificate behind it", () => {
    expect(isIssuedUnder([leaf], [young])).toBe(true);
    expect(isIssuedUnder([leaf, cross], [young])).toBe(true);
    expect(isIssuedUnder([leaf, cross], [old])).toBe(true);
    expect(isIssuedUnder([leaf], [old])).toBe(false);
  });

  test("is not who has issued anything else behind it; and of nothing nobody", () => {
    const [peer = never()] = certificatesIn(earlier.authorities["etcd-peer"]);
    expect(isIssuedUnder([leaf, peerCross], [peer])).toBe(false);
    expect(isIssuedUnder([leaf, old], [old])).toBe(false);
    expect(isIssuedUnder([], [old, young])).toBe(false);
  });
});

function never(): never {
  throw new Error("Cannot read a certificate");
}
