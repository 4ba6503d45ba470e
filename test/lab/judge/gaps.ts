import type { ApiRole, History } from "./history.ts";

export interface Gap {
  readonly from: number;
  readonly milliseconds: number;
}

/** The longest time without an acknowledged write. */
export function longestWriteGap(history: History): Gap {
  return longest(
    history.writes.filter(({ ok }) => ok).map(({ t }) => t),
    history,
  );
}

/** The longest time without an answer to a request of this role. */
export function longestApiGap(history: History, role: ApiRole): Gap {
  return longest(
    history.api[role].filter(({ ok }) => ok).map(({ t }) => t),
    history,
  );
}

// The start and the end count: a service that is away at either is away.
function longest(successes: readonly number[], { stopped }: History): Gap {
  const moments = [0, ...successes, stopped].sort((a, b) => a - b);
  let found: Gap = { from: 0, milliseconds: 0 };
  for (const [index, from] of moments.entries()) {
    const milliseconds = (moments[index + 1] ?? from) - from;
    if (milliseconds > found.milliseconds) {
      found = { from, milliseconds };
    }
  }
  return found;
}
