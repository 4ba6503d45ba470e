import { describe, expect, test } from "vitest";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import type { Found } from "../../components/model/found.ts";
import type { Handover, Signer } from "../../components/model/handover.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { planRollout } from "../../components/model/plan.ts";
import { planRenewals } from "../../components/model/renewals.ts";
import { noRenewals } from "../../components/model/restore.ts";
import type { Wanted } from "../../components/model/wanted.ts";
import { describePlan, type WordsInput } from "../../components/model/words.ts";
import { changed, foundAs, makePems, receipt, specs, wantedOf, withOldKey } from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

const current = makePems("current");
const next = makePems("next");
const end = Date.UTC(2027, 0, 22);

/** The same survey with ends that a test can write down: etcd-server a day before all the others. */
function dated(of: Found): Found {
  const at = (certificate: Certificate, id: string) => ({
    ...certificate,
    notAfter: id === "etcd-server" ? end : end + 86_400_000,
  });
  return {
    masters: of.masters.map((master) => ({
      ...master,
      files: Object.fromEntries(
        Object.entries(master.files).map(([id, file]) => [
          id,
          { ...file, certificates: file.certificates.map((each) => at(each, id)) },
        ]),
      ),
    })),
  };
}

function words(
  of: Found,
  wanted: Wanted | undefined,
  lastRotation?: string,
  shut?: string,
  diskSnapshotDays?: number,
  change: Partial<WordsInput> = {},
): string[] {
  const plan = planRollout(of, ackLayout, [], 0);
  return describePlan({
    found: of,
    wanted,
    rows: ackLayout,
    kubernetes: [],
    plan,
    renewals: planRenewals(
      of,
      [],
      { renew: "auto", rotation: undefined, keepKeys: false, validity: 0, renewBefore: 0 },
      undefined,
      [],
      0,
    ),
    rollout: 5,
    rotation: "2026-12",
    lastRotation,
    restore: undefined,
    foreignAuthorities: undefined,
    shut,
    pauseSeconds: 10,
    diskSnapshotDays,
    heldBefore: wanted?.heldBefore,
    handover: { kind: "union", reason: "trusted" },
    clients: [],
    addresses: specs.map(({ address }) => address),
    ...change,
  });
}

const ends = [1, 2, 3].map((number) => `  master-${number}: first to expire is etcd-server, on 2027-01-22`);
const found = dated(foundAs(current));

describe("how often etcd and kube-apiserver restart", () => {
  const [etcd, peer] = Object.values(current.authorities).flatMap(certificatesIn);
  if (etcd === undefined || peer === undefined) {
    throw new Error("Cannot read the authorities");
  }
  const said = (handover: Handover) =>
    words(found, undefined, undefined, undefined, undefined, { handover }).filter((line) =>
      line.startsWith("  restarts: "),
    );
  const cross = (etcdKey: Signer["key"], peerKey: Signer["key"], other = peer): Handover => ({
    kind: "cross",
    signers: {
      etcd: { certificate: etcd, key: etcdKey },
      "etcd-peer": { certificate: other, key: peerKey },
    },
  });

  test("once, and who signs", () => {
    expect(said(cross("state", "state"))).toEqual([
      '  restarts: once on each master, since "etcd-ca current" and "etcd-peer-ca current" sign the new ones',
    ]);
    const onMaster = { master: "master-1", path: "/var/lib/etcd/cert/ca-key.pem" };
    expect(said(cross(onMaster, onMaster, etcd))).toEqual([
      '  restarts: once on each master, since "etcd-ca current" (its key is /var/lib/etcd/cert/ca-key.pem on master-1) signs the new ones',
    ]);
  });

  test("what each phase does then", () => {
    const all = words(found, undefined, undefined, undefined, undefined, {
      handover: cross("state", "state"),
    });
    expect(all).toEqual(
      expect.arrayContaining([
        "  trust:  master-1, then master-2, then master-3: checks; restarts only where a process is stale",
        "  issue:  master-1, then side by side master-2, master-3: new leaves and keys, with the cross-certificate behind each leaf; no restart",
        "  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart",
        "  verify: master-1, master-2, master-3: leaves without the cross-certificate, what is served and accepted; no restart",
      ]),
    );
  });

  test.each([
    ["never", "crossCertificates is never"],
    ["restore", "a backup's files come back as they were"],
    ["held", "old and new authorities are trusted while the rollout is held"],
    ["incomplete", "not every master takes part"],
    ["no-key", 'no key of "etcd-ca current" is at hand to sign with'],
    [
      "constrained",
      '"etcd-ca current" may not sign any authority (pathlen:0, name constraints, or an issuer above it)',
    ],
    ["ends", '"etcd-ca current" ends within a week of the rollout'],
    ["mixed", "not every master is well and accepts the certificates of all others"],
  ] as const)("twice (%s), and why", (reason, why) => {
    expect(said({ kind: "union", reason, authority: etcd })).toEqual([
      `  restarts: twice on each master, since ${why}`,
    ]);
  });

  test("twice, since no key is at hand for what nobody can name", () => {
    expect(said({ kind: "union", reason: "no-key" })).toEqual([
      "  restarts: twice on each master, since no key of the authority in use is at hand to sign with",
    ]);
  });

  test.each(["trusted", "recovery"] as const)("is not said where it is %s", (reason) => {
    expect(said({ kind: "union", reason })).toEqual([]);
  });
});

describe("the plan in words", () => {
  test("when there is nothing to do", () => {
    expect(words(found, wantedOf(current))).toEqual([
      "Nothing to do: every master serves the wanted certificates.",
      ...ends,
    ]);
  });

  test("when an installer has left keys", () => {
    for (const wanted of [wantedOf(current), undefined]) {
      expect(words(withOldKey(found), wanted)).toContainEqual(
        expect.stringMatching(
          /^ {2}notice: master-1 has private keys .*: \/cert\/two-key\.pem \(of the member on master-2\)/,
        ),
      );
    }
  });

  test("when a trust file holds somebody else's authority, which counts for nothing", () => {
    const other = makeAuthority("/CN=backup-ca", 1).certPem;
    const [held] = certificatesIn(other).map((each) => ({ ...each, notAfter: Date.UTC(2027, 0, 2) }));
    const joined = changed(found, "master-1", ({ files }) => {
      const trust = files["etcd-ca"];
      return trust === undefined || held === undefined
        ? {}
        : { files: { ...files, "etcd-ca": { ...trust, certificates: [...trust.certificates, held] } } };
    });
    const { kept } = planRollout(joined, ackLayout, [], 0);
    expect(words(joined, wantedOf(current, kept))).toEqual([
      "Nothing to do: every master serves the wanted certificates.",
      ...ends,
      '  notice: etcd-ca of master-1 trusts "CN=backup-ca" (until 2027-01-02), which has issued nothing that this cluster uses: it is kept, so whoever has a certificate of it is still accepted; set foreignAuthorities: keep if that is meant, else drop',
    ]);
  });

  test("with snapshots of system disks, which come first", () => {
    expect(words(found, undefined, undefined, undefined, 30)[2]).toBe(
      "  first:  a snapshot of the system disk of master-1, master-2, master-3, kept for 30 days",
    );
    expect(words(found, wantedOf(current), undefined, undefined, 30).join("\n")).not.toContain(
      "snapshot of the system disk",
    );
  });

  test("while a rotation is previewed", () => {
    expect(words(found, undefined)).toEqual([
      'Rollout 5 (rotation "2026-12", rolling):',
      "  because new certificates will be issued",
      "  backup: master-1, master-2, master-3: files of each, etcd snapshot from master-1; no restart",
      "  trust:  master-1, then master-2, then master-3: old and new authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart",
      "  issue:  master-1, then side by side master-2, master-3: new leaves and keys; no restart",
      "  settle: master-1, master-2, master-3: checks; no restart",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
      ...ends,
    ]);
  });

  test("when one thing differs and everything is trusted already", () => {
    const stale = changed(found, "master-2", (master) => ({
      processes: { ...master.processes, etcd: { identity: "x", isStale: true, flags: [] } },
    }));
    expect(words(stale, wantedOf(current)).slice(0, 8)).toEqual([
      'Rollout 5 (rotation "2026-12", rolling):',
      "  because master-2: etcd runs with files that have changed since its start",
      "  backup: master-1, master-2, master-3: files of each, etcd snapshot from master-1; no restart",
      "  trust:  master-1, then master-2, then master-3: already trusted; restarts only where a process is stale",
      "  issue:  master-1, then side by side master-2, master-3: new leaves and keys; no restart",
      "  settle: master-1, master-2, master-3: checks; no restart",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; restarts only where a trust file changes",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
    ]);
  });

  test("when a single trust file of one master lacks the wanted authority: every master restarts", () => {
    const behind = changed(found, "master-3", ({ files }) => {
      const [trust, other] = [files["etcd-ca"], files["etcd-peer-ca"]];
      return trust === undefined || other === undefined
        ? {}
        : { files: { ...files, "etcd-ca": { ...trust, certificates: other.certificates } } };
    });
    const restarts = words(behind, wantedOf(current)).filter((line) => /^ {2}(trust|retire):/.test(line));
    expect(restarts).toEqual([
      expect.stringContaining(": old and new authorities; etcd and kube-apiserver restart on each"),
      expect.stringContaining(": only the wanted authorities; etcd and kube-apiserver restart on each"),
    ]);
  });

  test("with other wanted certificates names each file that differs", () => {
    const reasons = words(found, wantedOf(next)).filter((line) => line.startsWith("  because master-1"));
    expect(reasons).toEqual([
      ...ackLayout.map((row) => `  because master-1: ${row.id} is not the wanted one`),
      "  because master-1: 2379 serves another certificate than the wanted one",
      "  because master-1: 2380 serves another certificate than the wanted one",
    ]);
  });

  test("when it is a recovery", () => {
    const down = dated(foundAs(current, { etcd: "silent", doesAnswer: false }));
    expect(words(down, undefined).slice(0, 9)).toEqual([
      'Rollout 5 (rotation "2026-12", recovery):',
      "  because etcd has no quorum that answers: 0 of 3 members do",
      "  because new certificates will be issued",
      "  This is a recovery: etcd and the API servers are started on all masters together, and are down until then; containers keep running.",
      "  backup: master-1, master-2, master-3, side by side: files of each, no etcd snapshot, since no member is healthy: a copy of the data of each that is stopped",
      "  trust, issue: master-1, master-2, master-3, side by side: files only",
      "  settle: master-1, master-2, master-3, together: etcd where it does not answer or has new files, then kube-apiserver",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
    ]);
  });

  test("when it is a recovery of one member, which the others cannot spare", () => {
    const stale = { identity: "x", isStale: true, flags: [] };
    const out = dated(
      changed(foundAs(current), "master-3", ({ processes }) => ({
        etcd: "silent",
        doesAnswer: false,
        processes: { ...processes, etcd: stale },
      })),
    );
    expect(words(out, undefined).slice(1, 11)).toEqual([
      "  because master-3: etcd does not answer, and runs with files that have changed since its start",
      "  because new certificates will be issued",
      "  because master-3: etcd runs with files that have changed since its start",
      "  This is a recovery of master-3 (etcd, kube-apiserver): it is started in issue, when the others trust both authorities; everything else keeps serving, and is restarted one master at a time.",
      "  CAUTION: 2 of 3 members answer, so each restart of etcd in trust interrupts reads and writes for a second or two; one that does not come back is an outage",
      "  backup: master-1, master-2, master-3: files of each, etcd snapshot from master-1; no restart",
      "  trust:  master-3, then master-1, then master-2: old and new authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart, but for what is out",
      "  issue:  master-3, then master-1, then master-2: new leaves and keys; master-3 (etcd, kube-apiserver) started; no other restart",
      "  settle: master-1, master-2, master-3: checks; no restart",
      "  retire: master-1, then master-2, then master-3: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart",
    ]);
  });

  test("when retire is held: planned, and once it is held with whom to look for", () => {
    const wanted = { ...wantedOf(current), heldBefore: "retire" as const };
    expect(
      words(found, { ...wantedOf(next), heldBefore: "retire" as const }).filter((line) =>
        line.includes("retire"),
      ),
    ).toEqual([
      "  retire, verify: held until holdBefore is removed; until then old and new authorities are trusted",
    ]);
    const held = dated(foundAs(current, { receipt: { ...receipt, isComplete: false, phase: "settle" } }));
    const withJob = changed(held, "master-1", () => ({ clients: ["10.0.0.9"], receipt }));
    expect(words(found, wanted)[0]).toBe("Nothing to do: every master serves the wanted certificates.");
    expect(words(withJob, wanted)).toEqual([
      "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too. To go on, remove holdBefore and run pulumi up.",
      "  notice: other clients of etcd, which must trust the new authority before retire: 10.0.0.9",
    ]);
  });

  test("when the window is shut: what up would say, and nothing of it where there is nothing to do", () => {
    expect(words(found, undefined, undefined, "Cannot begin now").slice(0, 2)).toEqual([
      'Rollout 5 (rotation "2026-12", rolling):',
      "  CAUTION: Cannot begin now",
    ]);
    expect(words(found, wantedOf(current), undefined, "Cannot begin now").join()).not.toContain(
      "Cannot begin",
    );
  });

  test("when the state was put back and the stack file was not", () => {
    const rotated = { receipt: { ...receipt, rotation: "2026-12" } };
    const newer = dated(foundAs(current, rotated));
    // one that has it is enough
    for (const each of [newer, changed(dated(foundAs(current)), "master-2", () => rotated)]) {
      expect(words(each, undefined, "2026-11").slice(1, 3)).toEqual([
        '  CAUTION: the masters have rotation "2026-12" already, and this state is an older one, of rotation "2026-11": up makes a third set of authorities.',
        "  To go back to the certificates of this state: pulumi config set rotation 2026-11",
      ]);
    }
    const failed = dated(
      foundAs(current, { receipt: { ...receipt, rotation: "2026-12", isComplete: false } }),
    );
    const others = [
      words(newer, undefined, "2026-12"),
      words(newer, undefined),
      words(found, undefined, "2026-10"),
      words(failed, undefined, "2026-11"),
    ];
    for (const lines of others) {
      expect(lines.filter((line) => line.includes("CAUTION"))).toEqual([]);
    }
  });

  test("with notices of foreign clients and held locks", () => {
    const noticed = changed(found, "master-3", () => ({
      clients: ["10.77.0.11", "127.0.0.1", "::1", "10.0.0.9", "10.0.0.8"],
      lock: "etcd-rotation/prod",
      claim: "etcd-rotation/prod me@here pid 7",
    }));
    expect(words(noticed, undefined).slice(-3)).toEqual([
      "  notice: other clients of etcd, which must trust the new authority before retire: 10.0.0.9, 10.0.0.8",
      "  notice: master-3 is being worked on by etcd-rotation/prod me@here pid 7",
      "  notice: master-3 is locked by etcd-rotation/prod",
    ]);
  });

  test("when the version of Kubernetes is not known, in a rollout only", () => {
    const unknown = changed(found, "master-3", () => ({ kubernetes: "" }));
    expect(words(unknown, undefined).at(-1)).toBe(
      "  notice: the version of Kubernetes on master-3 is not known, neither from the image in /etc/kubernetes/manifests/kube-apiserver.yaml nor from /version: kube-apiserver is assumed to read its new certificates without a restart, as it does since 1.19",
    );
    expect(words(unknown, wantedOf(current))).toEqual(words(found, wantedOf(current)));
    expect(words(found, undefined).join("\n")).not.toContain("version of Kubernetes");
  });

  describe("with Kubernetes' certificates", () => {
    const on = (...masters: readonly string[]) => ({
      renewals: {
        ...noRenewals({ notices: [], kept: [] }),
        leaves: Object.fromEntries(
          specs.map(({ name }) => [
            name,
            masters.includes(name) ? [{ group: "apiserver", reason: "it ends" }] : [],
          ]),
        ),
      },
    });
    const step = (name: string, lines: readonly string[]) =>
      lines.filter((line) => line.trimStart().startsWith(name));
    const restarts = "the kubelet, controller manager and scheduler restart (containers keep running)";

    test("retire says what restarts besides", () => {
      const [retire] = step(
        "retire",
        words(found, undefined, undefined, undefined, undefined, on("master-1")),
      );
      expect(retire).toBe(
        `  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd and kube-apiserver restart on each, one master at a time, 10 s apart; Kubernetes certificates are renewed, and ${restarts}`,
      );
      expect(
        step("issue", words(found, undefined, undefined, undefined, undefined, on("master-1")))[0],
      ).toMatch(/new leaves and keys; no restart$/);
    });

    test("kube-apiserver is among it where it is too old to read them by itself, and does not restart anyway", () => {
      const old = { ...on("master-1"), kubernetes: ackKubernetes };
      const aged = (version: string) => ({
        masters: found.masters.map((master) => ({ ...master, kubernetes: version })),
      });
      const retire = (version: string, wanted: Wanted | undefined) =>
        step("retire", words(aged(version), wanted, undefined, undefined, undefined, old))[0];
      expect(retire("v1.16.9", wantedOf(current))).toContain(
        `renewed, and kube-apiserver (which is older than 1.19), ${restarts}`,
      );
      expect(retire("v1.20.4", wantedOf(current))).toContain(`renewed, and ${restarts}`);
      expect(retire("v1.16.9", undefined)).toContain(`renewed, and ${restarts}`);
    });

    test("a recovery renews them when it starts what is out", () => {
      const stale = { identity: "x", isStale: true, flags: [] };
      const one = changed(found, "master-3", ({ processes }) => ({
        etcd: "silent",
        doesAnswer: false,
        processes: { ...processes, etcd: stale },
      }));
      const renewed = on("master-1", "master-3");
      expect(step("issue", words(one, undefined, undefined, undefined, undefined, renewed))[0]).toMatch(
        /started; no other restart; Kubernetes certificates are renewed on master-3$/,
      );
      const all = {
        masters: found.masters.map((master) => ({ ...master, etcd: "silent" as const, doesAnswer: false })),
      };
      const lines = words(all, undefined, undefined, undefined, undefined, renewed);
      expect(step("trust, issue", lines)[0]).toMatch(/files only; Kubernetes certificates are renewed$/);
      expect(step("settle", lines)[0]).toMatch(
        /then kube-apiserver, the kubelet, controller manager and scheduler$/,
      );
    });

    test("what cannot be renewed is a notice", () => {
      expect(
        words(found, wantedOf(current), undefined, undefined, undefined, {
          renewals: noRenewals({ notices: ["master-1: apiserver stays"], kept: [] }),
        }).at(-1),
      ).toBe("  notice: master-1: apiserver stays");
    });
  });

  test("with a backup that is restored", () => {
    const line =
      "  restore: the files that the masters kept from before rollout 3, Kubernetes' own among them, byte for byte; to go forward to the certificates of this stack, remove restore";
    expect(words(found, wantedOf(next), undefined, undefined, undefined, { restore: 3 })[1]).toBe(line);
    expect(words(found, wantedOf(current), undefined, undefined, undefined, { restore: 3 })[1]).toBe(line);
  });

  test("with masters that are left out, or still to join", () => {
    const { masters } = found;
    const without: Found = {
      masters: masters.slice(0, 2),
      missing: [{ name: "master-3", isAlive: true }],
      joining: masters.slice(2),
    };
    const notices = [
      "  notice: master-3 cannot be reached over SSH and is left out (skipUnreachable); its etcd serves. Its steps leave the state, which runs nothing there",
      "  notice: master-3 is joining: it gets its files in issue, and nothing is started there",
    ];
    const wanted = { ...wantedOf(next), heldBefore: "issue" as const };
    const lines = words(without, wanted);
    expect(lines.slice(-2)).toEqual(notices);
    expect(
      lines
        .filter((line) => /^ {2}(backup|trust|issue|settle|retire|verify)/.test(line))
        .map((line) => line.split(":")[0]),
    ).toEqual(["  backup", "  trust", "  issue, settle, retire, verify"]);
    const dead: Found = { masters: masters.slice(0, 2), missing: [{ name: "master-3", isAlive: false }] };
    expect(words(dead, wantedOf(current)).at(-1)).toContain("its etcd does not answer. Its steps");
  });

  test("when one of five members is out, which the others can spare: without a caution", () => {
    const [first] = found.masters;
    const five = ["a", "b", "c", "d", "e"].flatMap((name) =>
      first === undefined ? [] : [{ ...first, name }],
    );
    const stale = { identity: "x", isStale: true, flags: [] };
    const cut = {
      masters: five.map((each) =>
        each.name === "e"
          ? { ...each, etcd: "silent" as const, doesAnswer: false, processes: { etcd: stale } }
          : each,
      ),
    };
    const lines = words(cut, undefined).filter(
      (line) => line.startsWith("  This") || line.includes("CAUTION"),
    );
    expect(lines).toEqual([expect.stringMatching(/^ {2}This is a recovery of e \(etcd, kube-apiserver\)/)]);
  });

  test("with a snapshot of a system disk for a single day", () => {
    expect(words(found, undefined, undefined, undefined, 1)[2]).toMatch(/, kept for 1 day$/);
  });

  test("with the first to expire, which behind a leaf of etcd counts for nothing, and behind an authority or in a file of Kubernetes does", () => {
    const soon = Date.UTC(2027, 0, 2);
    const behind = (id: string, kubernetes: WordsInput["kubernetes"]) => {
      const bundle = changed(found, "master-1", ({ files }) => {
        const file = files[id] ?? files["etcd-peer"];
        const certificates = file?.certificates.flatMap((each) => [each, { ...each, notAfter: soon }]) ?? [];
        return file === undefined ? {} : { files: { ...files, [id]: { ...file, certificates } } };
      });
      return words(bundle, undefined, undefined, undefined, undefined, { kubernetes }).find((line) =>
        line.startsWith("  master-1: first"),
      );
    };
    expect(behind("etcd-peer", [])).toBe(ends[0]);
    expect(behind("etcd-ca", [])).toBe("  master-1: first to expire is etcd-ca, on 2027-01-02");
    expect(behind("apiserver", ackKubernetes)).toBe(
      "  master-1: first to expire is apiserver, on 2027-01-02",
    );
  });

  test("when no certificate can be read", () => {
    const bare = changed(found, "master-1", () => ({ files: {} }));
    expect(words(bare, undefined)).toContain("  master-1: no certificate could be read");
  });
});
