import type { Service } from "../traffic/entry.ts";

/** What a run has to keep. `record` is about the evidence itself: when it is broken, nothing else is judged. */
export type Rule =
  | "record"
  | "etcd-write"
  | "etcd-gap"
  | "api-request"
  | "api-gap"
  | "watch-lost"
  | "watch-duplicate"
  | "watch-order"
  | "etcd-members"
  | "api-servers"
  | "quorum";

export interface Violation {
  readonly rule: Rule;
  /** Milliseconds since the start of the record. */
  readonly at: number;
  /** The same moment on the wall clock of the machine that recorded; empty when the record has no start. */
  readonly wall: string;
  readonly what: string;
  readonly evidence: string;
}

/** A violation before its wall time is known. */
export type Finding = Omit<Violation, "wall">;

export interface Outages {
  readonly count: number;
  readonly longestMilliseconds: number;
}

export interface Measures {
  readonly durationMilliseconds: number;
  readonly writeRounds: number;
  readonly failedWriteRounds: number;
  readonly failovers: number;
  /** From one acknowledged write to the next, the start and the end of the traffic included. */
  readonly longestWriteGapMilliseconds: number;
  readonly apiRequests: number;
  readonly apiFirstTryFailures: number;
  readonly apiDoubleFailures: number;
  /** The longer of the two, for reads and for writes, each from one answer to the next. */
  readonly longestApiGapMilliseconds: number;
  readonly watchEvents: number;
  readonly watchErrors: number;
  /** Time with fewer healthy etcd members than a quorum: elections, and worse. */
  readonly leaderlessMilliseconds: number;
  /** By address, what the observer saw going down; one that is back within 200 ms may be missed. */
  readonly outages: Readonly<Record<Service, Readonly<Record<string, Outages>>>>;
}

export interface Verdict {
  /** In order of time; empty means that the run kept every rule. */
  readonly violations: readonly Violation[];
  readonly measures: Measures;
}

export interface Expectations {
  /** Fewer rounds of the writer, the API reader or the API writer prove nothing. */
  readonly minimumRounds: number;
  /** A longer silence of the observer hides too much. */
  readonly maximumSilenceMilliseconds: number;
  /** Below a quorum of healthy members for longer than an election takes is a lost quorum. */
  readonly electionMilliseconds: number;
  /** An outage is wanted: only watch events, the gaps and the state at the end are judged. */
  readonly outageAllowed: boolean;
  readonly maximumWriteGapMilliseconds?: number;
  readonly maximumApiGapMilliseconds?: number;
}

/** Certificates change and no client notices more than a retry. */
export const rolling: Expectations = {
  minimumRounds: 50,
  maximumSilenceMilliseconds: 3000,
  // ACK's etcd has --election-timeout=3000, which each member stretches at random to less than twice that; and a vote.
  electionMilliseconds: 7000,
  outageAllowed: false,
};

/** The cluster may be away for so long, and is back at the end. */
export function recovery(maximumOutageMilliseconds: number): Expectations {
  return {
    ...rolling,
    outageAllowed: true,
    maximumWriteGapMilliseconds: maximumOutageMilliseconds,
    maximumApiGapMilliseconds: maximumOutageMilliseconds,
  };
}
