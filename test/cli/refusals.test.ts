import { describe, expect, test } from "vitest";
import { type CertificateSet, conditionOf } from "../../cli/state/certificate-set.ts";
import type { ReadState } from "../../cli/state/history.ts";
import { type ListedState, listStates } from "../../cli/state/list.ts";
import { type RefusalInput, refusalsOf } from "../../cli/state/refusals.ts";
import { certificatesIn } from "../../components/model/certificate.ts";
import { authority, peerAuthority } from "./states.ts";

const day = 86_400;
const end = Date.UTC(2027, 0, 31);

function set(name: "a" | "b", changes: Partial<CertificateSet> = {}): CertificateSet {
  return {
    rotation: name,
    certificates: Object.fromEntries(
      certificatesIn((name === "a" ? authority : peerAuthority).certPem).map((own) => ["etcd-ca", own]),
    ),
    authority: name,
    validityHours: 8760,
    algorithm: "ECDSA-P256",
    rollout: 1,
    cluster: "4242",
    end: { name: "etcd-ca", notAfter: end },
    faults: [],
    ...changes,
  };
}

describe("conditionOf", () => {
  test.each([
    ["valid", 60, end - 60 * day * 1000 - 1],
    ["due", 60, end - 60 * day * 1000],
    ["due", 60, end - 1],
    ["valid", 0, end - 1],
    ["expired", 60, end],
  ] as const)("%s, with %d days before the end, at %d", (condition, days, now) => {
    expect(conditionOf(set("a"), now, days * day)).toBe(condition);
  });

  test("a set with a fault is incomplete, whenever it ends", () => {
    expect(conditionOf(set("a", { faults: ["etcd-peer-ca is missing"] }), end, day)).toBe("incomplete");
  });
});

describe("listStates", () => {
  const state = (number: number, own: CertificateSet, result = "succeeded"): ReadState => ({
    number,
    file: `${number}.json`,
    time: number * 1000,
    result,
    set: own,
  });

  test("lists the newest first; one stands for neighbours with the same set, preferably one that ended well", () => {
    const states = [
      state(1, set("a")),
      state(2, set("b")),
      state(3, set("b"), "failed"),
      { number: 4, file: "4.json", time: 4000, result: "unknown", problem: "it was cut" },
      state(5, set("b", { faults: ["x is missing"] }), "failed"),
      state(6, set("a")),
    ];
    expect(
      listStates(states, set("a"), end - 90 * day * 1000, 60 * day).map(
        ({ number, rotation, condition, isPresent, faults }) => [
          number,
          rotation,
          condition,
          isPresent,
          faults,
        ],
      ),
    ).toEqual([
      [6, "a", "valid", true, []],
      [5, "b", "incomplete", false, ["x is missing"]],
      [4, undefined, "unreadable", false, ["it was cut"]],
      [2, "b", "valid", false, []],
      [1, "a", "valid", true, []],
    ]);
  });

  test("tells time, end and authority as they are", () => {
    expect(listStates([state(1, set("a"))], undefined, 0, 0)).toEqual([
      {
        number: 1,
        file: "1.json",
        time: "1970-01-01T00:00:01.000Z",
        result: "succeeded",
        rollout: 1,
        rotation: "a",
        authority: "a",
        notAfter: "2027-01-31T00:00:00.000Z",
        firstToEnd: "etcd-ca",
        condition: "valid",
        isPresent: false,
        faults: [],
      },
    ]);
  });
});

describe("refusalsOf", () => {
  const own = { project: "etcd-rotation", stack: "prod", secretsProvider: "passphrase" };
  const listed = (number: number, condition: ListedState["condition"], isPresent = false): ListedState => ({
    number,
    file: "",
    time: "",
    result: "succeeded",
    rollout: 1,
    rotation: "r",
    authority: "f",
    notAfter: "2050-01-01T00:00:00.000Z",
    firstToEnd: "etcd-ca",
    condition,
    isPresent,
    faults: [],
  });
  const refusals = (changes: Partial<RefusalInput>) =>
    refusalsOf({
      name: "3",
      chosen: { deployment: own, set: set("a") },
      present: { deployment: own, set: set("b") },
      project: "etcd-rotation",
      stack: "prod",
      now: end - 90 * day * 1000,
      renewBeforeSeconds: 60 * day,
      isReSigning: false,
      others: [
        listed(5, "valid", true),
        listed(4, "valid"),
        listed(3, "due"),
        listed(2, "expired"),
        listed(1, "valid"),
      ],
      ...changes,
    });

  test("nothing speaks against a whole, other set of the same cluster", () => {
    expect(refusals({})).toEqual([]);
    expect(refusals({ present: undefined })).toEqual([]);
    expect(refusals({ chosen: { deployment: own, set: set("a", { cluster: undefined }) } })).toEqual([]);
  });

  test("says at once all that makes a state strange, and no more of it", () => {
    const deployment = { project: "other", stack: "dev", secretsProvider: "service" };
    expect(refusals({ chosen: { deployment, set: set("a", { cluster: "17", faults: ["x"] }) } })).toEqual([
      'it is of project "other"; expected "etcd-rotation"',
      'it is of stack "dev"; expected "prod"',
      'it is of etcd cluster "17"; expected "4242"',
      "its keys are encrypted by Pulumi Cloud, so it cannot be tried out here; expected a passphrase or a key service",
    ]);
  });

  test("a set that is not whole, and the one that the stack has", () => {
    expect(
      refusals({ chosen: { deployment: own, set: set("a", { faults: ["etcd-ca is missing"] }) } }),
    ).toEqual([
      "its set is not whole (etcd-ca is missing), as after an update that failed; expected one that is: npx etcd-rotation rollback prod --list",
    ]);
    expect(refusals({ chosen: { deployment: own, set: set("b") } })).toEqual([
      "it has the certificates that the stack has now; expected others. If masters do not serve them: npx etcd-rotation pulumi up --stack prod",
    ]);
  });

  test("a set that is due, with the date and every way out", () => {
    expect(refusals({ now: end - 10 * day * 1000 })).toEqual([
      [
        "its etcd-ca ends on 2027-01-31, which is within renewBefore, so that Pulumi would replace it; expected a set that lasts longer. Instead:",
        "  another state: --to 4 (until 2050-01-01), --to 1 (until 2050-01-01)",
        "  exactly these certificates: a shorter certificates.renewBefore in the stack file, then --to 3",
        "  the keys of that state, re-signed: --to 3 --re-sign",
        "  or new ones: npx etcd-rotation pulumi config set --stack prod rotation <a new string>",
      ].join("\n"),
    ]);
  });

  test("a set that has ended cannot come back as it was", () => {
    expect(refusals({ now: end, others: [] })).toEqual([
      [
        "its etcd-ca ended on 2027-01-31; expected a set that lasts longer. Instead:",
        "  no other state of the list can be used as it is",
        "  the keys of that state, re-signed: --to 3 --re-sign",
        "  or new ones: npx etcd-rotation pulumi config set --stack prod rotation <a new string>",
      ].join("\n"),
    ]);
    expect(refusals({ now: end, isReSigning: true })).toEqual([]);
  });
});
