import { describe, expect, test } from "vitest";
import { type KeptBackup, type MasterBackups, purgeRefusals } from "../../cli/backups/kept-backup.ts";
import { originalIn } from "../../cli/rollback/to-original.ts";
import { changesTo } from "../../cli/rollback/to-state.ts";
import { settingsIn, withChanges } from "../../cli/stack-file.ts";

const backup = (rollout: number, kind: KeptBackup["kind"], damaged: string[] = []): KeptBackup => ({
  rollout,
  taken: "2026-11-25T00:00:00.000Z",
  files: 11,
  rotation: kind === "original" ? undefined : "a",
  kind,
  damaged,
  snapshot: undefined,
  dataKib: undefined,
});
const master = (name: string, ...backups: KeptBackup[]): MasterBackups => ({
  name,
  present: undefined,
  backups,
  leftovers: [],
});

describe("the original set", () => {
  test("is named by the rollout before which every master kept it", () => {
    expect(
      originalIn(
        [
          master("master-1", backup(3, "complete"), backup(1, "original")),
          master("master-2", backup(1, "original")),
        ],
        "prod",
      ),
    ).toBe(1);
  });

  test.each<[string, MasterBackups[], string]>([
    [
      "a master without it",
      [master("master-1", backup(1, "original")), master("master-2", backup(3, "complete"))],
      "master-2 keeps none; expected one on every master",
    ],
    [
      "of different rollouts",
      [master("master-1", backup(1, "original")), master("master-2", backup(2, "original"))],
      "it is from before different rollouts (master-1 1, master-2 2)",
    ],
    [
      "damaged",
      [master("master-1", backup(1, "original", ["/a.pem"]))],
      "not as its manifest says: master-1 /a.pem",
    ],
  ])("is refused: %s", (_, masters, reason) => {
    expect(() => originalIn(masters, "prod")).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(
          /^Cannot go back to the original set: .*Nothing was changed\. Look: npx etcd-rotation backups prod$/,
        ),
      }),
    );
    expect(() => originalIn(masters, "prod")).toThrow(reason);
  });

  test("stays while restore names it, whatever else is asked", () => {
    expect(
      purgeRefusals([master("master-1", backup(3, "complete"), backup(1, "original"))], 1, {
        isOriginalMeant: true,
        restored: 1,
      }),
    ).toEqual([
      "Cannot remove backup 1: restore in the stack file names it, so that it is the wanted set; expected another one, or no restore",
    ]);
  });

  test("is left by going to a state: restore goes from the stack file, and comments stay", () => {
    const set = {
      rotation: "a",
      rollout: 1,
      authority: "ff",
      end: undefined,
      validityHours: undefined,
      algorithm: undefined,
      certificates: {},
      cluster: undefined,
      faults: [],
    };
    const present = { rotation: "a", certificates: { validity: 1, algorithm: "ECDSA-P256" }, restore: 1 };
    const changes = changesTo(set, present, "etcd-rotation", false);
    expect(changes).toEqual([{ path: ["etcd-rotation:restore"], from: "1", to: undefined }]);
    const text = "# production\nconfig:\n  etcd-rotation:restore: 1\n  etcd-rotation:rotation: a # why\n";
    const program = {
      folder: "/p",
      project: "etcd-rotation",
      stack: "prod",
      stackFile: "/p/stacks/Pulumi.prod.yaml",
    };
    const changed = withChanges(text, changes);
    expect(settingsIn(changed, program)).toEqual({ rotation: "a" });
    expect([changed.includes("# production"), changed.includes("# why")]).toEqual([true, true]);
  });
});
