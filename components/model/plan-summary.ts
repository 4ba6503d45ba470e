import type { Check } from "./exploration/check.ts";
import type { UnionReason } from "./handover.ts";
import type { Component } from "./layout/rows.ts";
import { type Hold, obstaclesOf } from "./missing.ts";
import type { Mode, RolloutPlan } from "./plan.ts";
import { firstToExpire, isNothingToDo, reasonsFor, type WordsInput } from "./words.ts";

/** Where a preview writes its plan: the path of a file that gets a line of JSON, a `PlanSummary`, for each cluster of the stack. */
export const planFileVariable = "ETCD_ROTATION_PLAN_FILE";

/** A plan for programs. `words` is all that preview says of it; the other fields are what a program may ask for. */
export interface PlanSummary {
  /** of several clusters in one stack; empty for the only one */
  readonly cluster: string;
  readonly rotation: string;
  readonly rollout: number;
  /** no master will be changed */
  readonly isNothingToDo: boolean;
  readonly mode: Mode;
  readonly because: readonly string[];
  /** by master: what does not work there and is started; nothing in rolling mode */
  readonly out: Readonly<Record<string, readonly Component[]>>;
  /** master names, as they are restarted in each of these phases */
  readonly order: RolloutPlan["order"];
  /** `cross`: etcd and kube-apiserver restart once on each master; otherwise why not: `trusted` means not for the authorities */
  readonly handover: "cross" | UnionReason;
  /** the rollout will stop before this phase, until the obstacles are gone */
  readonly heldBefore: Hold | null;
  readonly obstacles: readonly string[];
  /** why an update may not begin now */
  readonly windowRefusal: string | null;
  readonly expires: readonly {
    readonly master: string;
    readonly certificate: string;
    /** ISO 8601, UTC */
    readonly notAfter: string;
  }[];
  readonly words: readonly string[];
  /** whether any connection is refused on the way, where that was asked for */
  readonly check?: Check;
}

/** What a preview plans for one cluster. @param words what `describePlan` has made of the same input */
export function summarizePlan(cluster: string, input: WordsInput, words: readonly string[]): PlanSummary {
  const { plan, heldBefore } = input;
  return {
    cluster,
    rotation: input.rotation,
    rollout: input.rollout,
    isNothingToDo: isNothingToDo(input),
    mode: plan.mode,
    because: reasonsFor(input),
    out: plan.out,
    order: plan.order,
    handover: input.handover.kind === "cross" ? "cross" : input.handover.reason,
    heldBefore: heldBefore ?? null,
    obstacles: heldBefore === undefined ? [] : obstaclesOf(input.found, heldBefore, input.clients),
    windowRefusal: input.shut ?? null,
    expires: firstToExpire(input).flatMap(({ master, first }) =>
      first === undefined
        ? []
        : [{ master, certificate: first.certificate, notAfter: new Date(first.notAfter).toISOString() }],
    ),
    words,
  };
}
