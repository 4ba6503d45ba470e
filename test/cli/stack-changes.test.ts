import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { changesTo, durationOf } from "../../cli/rollback/to-state.ts";
import { secretsProviderIn, settingsIn, withChanges } from "../../cli/stack-file.ts";
import { durationSeconds } from "../../components/model/duration.ts";

const text = `# the production cluster
encryptionsalt: v1:abc:v1:def:ghi==
config:
  # change it to rotate
  etcd-rotation:rotation:   "2026-12"   # was 2026-11

  etcd-rotation:masters:
    - { name: master-1, address:   10.0.0.1, etcdName: n1, hostKey: unchecked }
  etcd-rotation:certificates: { validity: 20y,   renewBefore: 60d } # see the wiki
  aws:region: eu-1
`;
const program = {
  folder: "/p",
  project: "etcd-rotation",
  stack: "prod",
  stackFile: "/p/stacks/Pulumi.prod.yaml",
};
const to = (path: string[], value: string) => ({ path, from: undefined, to: value });

describe("withChanges", () => {
  test("replaces values and leaves every other byte as it is", () => {
    expect(
      withChanges(text, [
        to(["etcd-rotation:rotation"], "2026-11"),
        to(["etcd-rotation:certificates", "validity"], "50y"),
      ]),
    ).toBe(text.replace('"2026-12"', '"2026-11"').replace("validity: 20y", 'validity: "50y"'));
  });

  test.each([
    ["plain", "a: old", "a: new"],
    ["'single'", "a: 'old'", "a: 'new'"],
    ['"double"', 'a: "old"', 'a: "new"'],
  ])("keeps %s quotes", (_, before, after) => {
    expect(withChanges(`config:\n  ${before} # why\n`, [to(["a"], "new")])).toBe(
      `config:\n  ${after} # why\n`,
    );
  });

  test.each(["2026", "1.10", "1e3", "true", "null", "no", "2026-11-25", "0x1f"])(
    "%s stays a string",
    (value) => {
      const changed = withChanges("config:\n  etcd-rotation:rotation: old\n", [
        to(["etcd-rotation:rotation"], value),
      ]);
      expect(parse(changed)).toEqual({ config: { "etcd-rotation:rotation": value } });
    },
  );

  test("adds a key, and a map for it, and keeps comments", () => {
    const changed = withChanges(text, [
      to(["etcd-rotation:certificates", "algorithm"], "RSA-2048"),
      to(["etcd-rotation:new", "key"], "x"),
    ]);
    expect(settingsIn(changed, program)).toMatchObject({
      certificates: { validity: "20y", renewBefore: "60d", algorithm: "RSA-2048" },
      new: { key: "x" },
    });
    expect(changed.match(/#.*/g)).toEqual([
      "# the production cluster",
      "# change it to rotate",
      "# was 2026-11",
      "# see the wiki",
    ]);
  });

  test("takes a stack file that is JSON", () => {
    expect(
      withChanges('{\n  "config": {\n    "etcd-rotation:rotation": "b"\n  }\n}\n', [
        to(["etcd-rotation:rotation"], "a"),
      ]),
    ).toBe('{\n  "config": {\n    "etcd-rotation:rotation": "a"\n  }\n}\n');
  });
});

describe("settingsIn", () => {
  test("has this project's keys only", () => {
    expect(Object.keys(settingsIn(text, program))).toEqual(["rotation", "masters", "certificates"]);
  });

  test("is empty where there is no config yet", () => {
    expect(settingsIn("encryptionsalt: x", program)).toEqual({});
  });

  test.each([
    [
      "config: [",
      "Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 10:",
    ],
    ["config: x", "its config holds no keys"],
  ])("refuses %s", (broken, seen) => {
    expect(() => settingsIn(broken, program)).toThrow(
      `Cannot read /p/stacks/Pulumi.prod.yaml: ${seen}; expected the settings of a stack`,
    );
  });
});

test.each([
  ["encryptionsalt: v1:abc", "passphrase"],
  ["secretsprovider: passphrase\nencryptionsalt: v1:abc", "passphrase"],
  ["secretsprovider: default\nencryptionsalt: v1:abc", "passphrase"],
  ["secretsprovider: awskms://alias/x?region=eu-1\nencryptedkey: abc", "awskms://alias/x?region=eu-1"],
  ["config: {}", undefined],
])("what encrypts the secrets of %j is %s", (text, provider) => {
  expect(secretsProviderIn(text)).toBe(provider);
});

describe("changesTo", () => {
  const present = {
    rotation: "2026-12",
    certificates: { validity: durationSeconds("50y"), algorithm: "ECDSA-P256" },
  };
  const set = { rotation: "2026-12", validityHours: 438_000, algorithm: "ECDSA-P256" };
  const changes = (changed: Partial<typeof set>, isReSigning = false) =>
    changesTo(
      {
        certificates: {},
        authority: undefined,
        rollout: 1,
        cluster: undefined,
        end: undefined,
        faults: [],
        ...set,
        ...changed,
      },
      present,
      "etcd-rotation",
      isReSigning,
    );

  test("is empty when the stack file asks for that very set", () => {
    expect(changes({})).toEqual([]);
  });

  test("names what differs", () => {
    expect(changes({ rotation: "2026-11", validityHours: 8760, algorithm: "RSA-4096" })).toEqual([
      { path: ["etcd-rotation:rotation"], from: "2026-12", to: "2026-11" },
      { path: ["etcd-rotation:certificates", "validity"], from: "50y", to: "1y" },
      { path: ["etcd-rotation:certificates", "algorithm"], from: "ECDSA-P256", to: "RSA-4096" },
    ]);
  });

  test("leaves the validity alone when only the keys are to come back", () => {
    expect(changes({ rotation: "2026-11", validityHours: 8760 }, true)).toEqual([
      { path: ["etcd-rotation:rotation"], from: "2026-12", to: "2026-11" },
    ]);
  });

  test.each([
    [438_000, "50y"],
    [8784, "366d"],
    [25, "25h"],
  ])("%d hours are %s", (hours, duration) => {
    expect(durationOf(hours)).toBe(duration);
    expect(durationSeconds(duration)).toBe(hours * 3600);
  });
});
