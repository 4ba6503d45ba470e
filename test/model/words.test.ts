import { describe, expect, test } from "vitest";
import type { Certificate } from "../../components/model/certificate.ts";
import type { Found } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout.ts";
import { planRollout } from "../../components/model/plan.ts";
import { planRenewals } from "../../components/model/renewals.ts";
import type { Wanted } from "../../components/model/wanted.ts";
import { describePlan } from "../../components/model/words.ts";
import { changed, foundAs, makePems, receipt, specs, wantedOf } from "./cluster.ts";

const current = makePems("current");
const next = makePems("next");
const end = Date.UTC(2027, 0, 22);

/** The same survey with ends that a test can write down: etcd-server a day before all the others. */
function dated(of: Found): Found {
  const at = (certificate: Certificate, id: string) => ({ ...certificate, notAfter: id === "etcd-server" ? end : end + 86_400_000 });
  return {
    masters: of.masters.map((master) => ({
      ...master,
      files: Object.fromEntries(
        Object.entries(master.files).map(([id, file]) => [id, { ...file, certificates: file.certificates.map((each) => at(each, id)) }]),
      ),
    })),
  };
}

function words(of: Found, wanted: Wanted | undefined, lastRotation?: string, shut?: string, diskSnapshotDays?: number): string[] {
  const plan = planRollout(of, ackLayout, [], 0);
  return describePlan({
    found: of,
    wanted,
    rows: ackLayout,
    kubernetes: [],
    plan,
    renewals: planRenewals(of, [], { renew: "auto", rotation: undefined, keepKeys: false, validity: 0, renewBefore: 0 }, undefined, [], 0),
    rollout: 5,
    rotation: "2026-12",
    lastRotation,
    restore: undefined,
    shut,
    pauseSeconds: 10,
    diskSnapshotDays,
    heldBefore: wanted?.heldBefore,
    addresses: specs.map(({ address }) => address),
  });
}

const ends = [1, 2, 3].map((number) => `  master-${number}: first to expire is etcd-server, on 2027-01-22`);
const found = dated(foundAs(current));

describe("the plan in words", () => {
  test("when there is nothing to do", () => {
    expect(words(found, wantedOf(current))).toEqual(["Nothing to do: every master serves the wanted certificates.", ...ends]);
  });

  test("with snapshots of system disks, which come first", () => {
    expect(words(found, undefined, undefined, undefined, 30)[2]).toBe(
      "  first:  a snapshot of the system disk of master-1, master-2, master-3, kept for 30 days",
    );
    expect(words(found, wantedOf(current), undefined, undefined, 30).join("\n")).not.toContain("snapshot of the system disk");
  });

  test("while a rotation is previewed", () => {
    expect(words(found, undefined)).toEqual([
      'Rollout 5 (rotation "2026-12", rolling):',
      "  because new certificates will be issued",
      "  backup: master-1, master-2, master-3: files of each, etcd snapshot from master-1; no restart",
      "  trust:  master-1, then master-2, then master-3: old and new authorities; etcd, then kube-apiserver restart on each, one master at a time, 10 s apart",
      "  issue:  master-1, then master-2, then master-3: new leaves and keys; no restart",
      "  settle: master-1, master-2, master-3: checks; no restart",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd, then kube-apiserver restart on each, one master at a time, 10 s apart",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
      ...ends,
    ]);
  });

  test("when one thing differs and everything is trusted already", () => {
    const stale = changed(found, "master-2", (master) => ({ processes: { ...master.processes, etcd: { identity: "x", isStale: true, flags: [] } } }));
    expect(words(stale, wantedOf(current)).slice(0, 8)).toEqual([
      'Rollout 5 (rotation "2026-12", rolling):',
      "  because master-2: etcd runs with files that have changed since its start",
      "  backup: master-1, master-2, master-3: files of each, etcd snapshot from master-1; no restart",
      "  trust:  master-1, then master-2, then master-3: already trusted; restarts only where a process is stale",
      "  issue:  master-1, then master-2, then master-3: new leaves and keys; no restart",
      "  settle: master-1, master-2, master-3: checks; no restart",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; restarts only where a trust file changes",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
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
    const down = dated(foundAs(current, { etcd: "does not answer", doesAnswer: false }));
    expect(words(down, undefined).slice(0, 9)).toEqual([
      'Rollout 5 (rotation "2026-12", recovery):',
      "  because etcd has no quorum that answers: 0 of 3 members do",
      "  because new certificates will be issued",
      "  This is a recovery: etcd and the API servers are started on all masters together, and are down until then; containers keep running.",
      "  backup: master-1, master-2, master-3, side by side: files of each, no etcd snapshot, since no member is healthy: a copy of the data of each that is stopped",
      "  trust, issue: master-1, master-2, master-3, side by side: files only",
      "  settle: master-1, master-2, master-3, together: etcd where it does not answer or has new files, then kube-apiserver",
      "  retire: master-2, then master-3, then master-1: only the wanted authorities; etcd, then kube-apiserver restart on each, one master at a time",
      "  verify: master-1, master-2, master-3: what is served and accepted; no restart",
    ]);
  });

  test("when retire is held: planned, and once it is held with whom to look for", () => {
    const wanted = { ...wantedOf(current), heldBefore: "retire" as const };
    expect(words(found, { ...wantedOf(next), heldBefore: "retire" as const }).filter((line) => line.includes("retire"))).toEqual([
      "  retire, verify: held until holdBefore is removed; until then old and new authorities are trusted",
    ]);
    const held = dated(foundAs(current, { receipt: { ...receipt, isComplete: false, phase: "settle" } }));
    const withJob = changed(held, "master-1", () => ({ clients: ["10.0.0.9"] }));
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
    expect(words(found, wantedOf(current), undefined, "Cannot begin now").join()).not.toContain("Cannot begin");
  });

  test("when the state was put back and the stack file was not", () => {
    const newer = dated(foundAs(current, { receipt: { ...receipt, rotation: "2026-12" } }));
    expect(words(newer, undefined, "2026-11").slice(1, 3)).toEqual([
      '  CAUTION: the masters have rotation "2026-12" already, and this state is an older one, of rotation "2026-11": up makes a third set of authorities.',
      "  To go back to the certificates of this state: pulumi config set rotation 2026-11",
    ]);
    const failed = dated(foundAs(current, { receipt: { ...receipt, rotation: "2026-12", isComplete: false } }));
    const others = [words(newer, undefined, "2026-12"), words(newer, undefined), words(found, undefined, "2026-10"), words(failed, undefined, "2026-11")];
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

  test("when no certificate can be read", () => {
    const bare = changed(found, "master-1", () => ({ files: {} }));
    expect(words(bare, undefined)).toContain("  master-1: no certificate could be read");
  });
});
