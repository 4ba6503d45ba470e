import { expect, test } from "vitest";
import { type ListedState, stateBeforeFailure } from "../../cli/state/list.ts";

function state(number: number, change: Partial<ListedState> = {}): ListedState {
  return {
    number,
    file: `/history/${number}`,
    time: "2026-11-25T01:00:00.000Z",
    result: "succeeded",
    rollout: number,
    rotation: `r-${number}`,
    authority: "ab",
    notAfter: "2076-11-12T00:00:00.000Z",
    firstToEnd: "etcd-ca",
    condition: "valid",
    isPresent: false,
    faults: [],
    ...change,
  };
}

test("an update that was killed leaves no state in the history: back to the newest", () => {
  expect(stateBeforeFailure([state(3), state(2)], "prod").number).toBe(3);
});

test("an update that has failed leaves one: back to the one before it", () => {
  expect(stateBeforeFailure([state(3, { result: "failed", isPresent: true }), state(2)], "prod").number).toBe(
    2,
  );
});

test("of several failed ones and broken ones the first good one, also when it is due", () => {
  const states = [
    state(6, { result: "failed", isPresent: true }),
    state(5, { result: "failed" }),
    state(4, { condition: "unreadable", faults: ["it was cut"] }),
    state(3, { condition: "incomplete", faults: ["no etcd-ca"] }),
    state(2, { condition: "due" }),
    state(1),
  ];
  expect(stateBeforeFailure(states, "prod").number).toBe(2);
});

test("nothing has failed", () => {
  expect(() => stateBeforeFailure([state(3, { isPresent: true }), state(2)], "prod")).toThrow(
    "Cannot abort: the last update that changed certificates has ended well, or none were changed since; expected one that has failed. To finish what is left of it: npx etcd-rotation pulumi up --stack prod. To go further back: npx etcd-rotation rollback prod --list",
  );
});

test("the first update has failed", () => {
  expect(() => stateBeforeFailure([state(1, { result: "failed", isPresent: true })], "prod")).toThrow(
    "Cannot abort: no earlier state of stack \"prod\" is whole; expected one in the backend's history. The files from before the first rollout are in the masters' backups: npx etcd-rotation backups prod",
  );
});
