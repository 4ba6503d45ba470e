import { expect, test } from "vitest";
import { jsonOf } from "../../cli/status/formats.ts";
import { drifted, now } from "./made-up.ts";

test("for programs: what is not known is null, times are ISO 8601", () => {
  const progress = {
    state: "rotating",
    rollout: undefined,
    phase: "backup",
    masters: ["master-2"],
    since: now,
    by: undefined,
  } as const;
  const of = (status: Partial<ReturnType<typeof drifted>>) =>
    JSON.parse(jsonOf([{ stack: "prod-a", status: { ...drifted(), certificates: [], ...status } }], now));
  expect(of({})).toMatchObject({
    time: "2026-11-25T12:00:00.000Z",
    exitCode: 2,
    clusters: [
      {
        state: "drifted",
        members: 3,
        progress: null,
        masters: [
          { name: "master-1", etcdVersion: "3.5.21", kubernetesVersion: "v1.30.14", databaseBytes: 20_480 },
          { name: "master-2" },
          { name: "master-3", etcdVersion: null, kubernetesVersion: null, databaseBytes: null },
        ],
      },
    ],
  });
  expect(of({ state: "rotating", members: undefined, progress })).toMatchObject({
    exitCode: 1,
    clusters: [
      {
        members: null,
        progress: {
          state: "rotating",
          rollout: null,
          phase: "backup",
          masters: ["master-2"],
          since: "2026-11-25T12:00:00.000Z",
          by: null,
        },
      },
    ],
  });
});
