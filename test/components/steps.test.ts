import { describe, expect, test } from "vitest";
import type { Found } from "../../components/model/found.ts";
import type { ClusterArgs } from "../../components/model/settings.ts";
import { args, pems, type Registered, run } from "./program.ts";

const { registered, attempt } = await run();
const steps = registered.filter(({ type }) => type === "command:remote:Command");

function step(name: string): Registered {
  const found = steps.find((each) => each.name === name);
  if (found === undefined) {
    throw new Error(`Cannot find step ${name}`);
  }
  return found;
}

describe("every step", () => {
  test.each(steps.map(({ name }) => name))(
    "%s runs a script from its standard input, once per attempt",
    (name) => {
      const { inputs, ignoreChanges, secrets, replacementTrigger } = step(name);
      expect(Object.keys(inputs).sort()).toEqual([
        "addPreviousOutputInEnv",
        "connection",
        "create",
        "logging",
        "stdin",
        "triggers",
      ]);
      expect(inputs["create"]).toBe("bash -s");
      expect(inputs["triggers"]).toEqual([attempt]);
      expect(inputs["logging"]).toBe("stderr");
      expect(inputs["addPreviousOutputInEnv"]).toBe(false);
      expect([...ignoreChanges].sort()).toEqual(["connection", "create", "logging", "stdin"]);
      expect([...secrets].sort()).toEqual(["connection", "stdin"]);
      expect(replacementTrigger).toBeUndefined();
    },
  );

  test("connects to its own master, with the pinned host key", () => {
    const connections = ["backup-master-1", "trust-master-2", "verify-master-3"].map(
      (name) => step(name).inputs["connection"],
    );
    const common = {
      port: 22,
      user: "root",
      privateKey: "the operator's key",
      hostKey: "ssh-ed25519 AAAA",
      dialErrorLimit: 5,
      perDialTimeout: 15,
    };
    expect(connections).toEqual(
      ["10.77.0.11", "10.77.0.12", "10.77.0.13"].map((host) => ({ host, ...common })),
    );
  });

  test("is told its phase, master, attempt and rotation, and ends with the line that runs it", () => {
    for (const { name, inputs } of steps) {
      const lines = String(inputs["stdin"]).split("\n");
      expect(lines).toContain(`PHASE='${name.slice(0, name.indexOf("-"))}'`);
      expect(lines).toContain(`MASTER='${name.slice(name.indexOf("-") + 1)}'`);
      expect(lines).toContain(`ATTEMPT='${attempt}'`);
      expect(lines).toContain("ROLLOUT='5'");
      expect(lines).toContain("ROTATION='2026-12'");
      expect(lines.slice(-3)).toEqual(["main </dev/null", "}", ""]);
    }
  });

  test("holds only the keys that it writes or compares", () => {
    const keys = Object.entries(pems.leaves).flatMap(([master, own]) =>
      Object.values(own).map(({ keyPem }) => ({ master, keyPem })),
    );
    for (const { name, inputs } of steps) {
      const [phase, master] = [name.slice(0, name.indexOf("-")), name.slice(name.indexOf("-") + 1)];
      const held = keys
        .filter(({ keyPem }) => String(inputs["stdin"]).includes(keyPem))
        .map((key) => key.master);
      expect(held).toEqual(phase === "issue" || phase === "verify" ? [master, master, master] : []);
      expect(inputs["stdin"]).not.toContain("key of etcd");
    }
  });

  test("shows no key outside its secrets", () => {
    for (const { inputs } of steps) {
      const { stdin, connection, ...shown } = inputs;
      expect(JSON.stringify(shown)).not.toMatch(/PRIVATE|operator/);
      expect([typeof stdin, typeof connection]).toEqual(["string", "object"]);
    }
  });
});

test("the steps wait for each other: phases for the whole one before, masters that restart for each other, new leaves for the first master", () => {
  const all = (phase: string, ...numbers: readonly number[]) =>
    numbers.map((number) => `${phase}-master-${number}`);
  const expected = {
    "backup-master-1": [],
    "backup-master-2": [],
    "backup-master-3": [],
    "trust-master-1": all("backup", 1, 2, 3),
    "trust-master-2": [...all("backup", 1, 2, 3), ...all("trust", 1)],
    "trust-master-3": [...all("backup", 1, 2, 3), ...all("trust", 1, 2)],
    "issue-master-1": all("trust", 1, 2, 3),
    "issue-master-2": [...all("issue", 1), ...all("trust", 1, 2, 3)],
    "issue-master-3": [...all("issue", 1), ...all("trust", 1, 2, 3)],
    "settle-master-1": all("issue", 1, 2, 3),
    "settle-master-2": all("issue", 1, 2, 3),
    "settle-master-3": all("issue", 1, 2, 3),
    "retire-master-2": all("settle", 1, 2, 3),
    "retire-master-3": [...all("retire", 2), ...all("settle", 1, 2, 3)],
    "retire-master-1": [...all("retire", 2, 3), ...all("settle", 1, 2, 3)],
    "verify-master-1": all("retire", 1, 2, 3),
    "verify-master-2": all("retire", 1, 2, 3),
    "verify-master-3": all("retire", 1, 2, 3),
  };
  const onSteps = Object.fromEntries(
    steps.map(({ name, dependsOn }) => [
      name,
      dependsOn.filter((each) => each.includes("-master-") && !each.startsWith("master-")),
    ]),
  );
  expect(onSteps).toEqual(expected);
});

test("each master waits for the load balancer before its restarts, but for the first one of all", () => {
  const pauses = steps
    .filter(({ inputs }) => String(inputs["stdin"]).includes("\nPAUSE_SECONDS='0'\n"))
    .map(({ name }) => name);
  expect(args.pauseBetweenMasters).toBeGreaterThan(0);
  expect(pauses).toEqual(["trust-master-1"]);
});

test("a user who is not root runs the script through sudo, and goes through the bastion", async () => {
  const bastion = {
    host: "bastion.example",
    hostKey: "ssh-ed25519 BBBB",
    user: "jump",
    port: 2222,
    privateKey: "the bastion's key",
    agent: false,
  };
  const ran = await run({ ssh: { ...args.ssh, user: "ops", bastion } });
  const commands = ran.registered.filter(({ type }) => type === "command:remote:Command");
  expect(commands).toHaveLength(18);
  for (const { inputs } of commands) {
    expect(inputs["create"]).toBe("sudo -n bash -s");
    expect(inputs["connection"]).toMatchObject({
      user: "ops",
      proxy: {
        host: "bastion.example",
        port: 2222,
        user: "jump",
        hostKey: "ssh-ed25519 BBBB",
        privateKey: "the bastion's key",
      },
    });
  }
});

test("a step that was not run in this attempt fails the rollout", async () => {
  const { report } = await run();
  expect(report).toMatchObject({ rollout: 5, attempt });
  const spoilt = run({}, (name, stdout) =>
    name === "retire-master-2" ? stdout.replace(attempt, "an-older-one") : stdout,
  );
  await expect(spoilt).rejects.toThrow(
    `Cannot finish rollout 5: retire-master-2 ended with "done an-older-one retire master-2", expected "done ${attempt} retire master-2"; the step did not run in this attempt. Run pulumi up again`,
  );
});

describe("a master that is no part of the cluster for now", () => {
  const others = ["master-1", "master-2"];
  /** By step: what its script is told. */
  async function told(see: (found: Found) => Found, change: Partial<ClusterArgs> = {}) {
    const ran = await run(change, undefined, see);
    const own = ran.registered.filter(({ type }) => type === "command:remote:Command");
    const line = (script: unknown, name: string) =>
      String(script)
        .split("\n")
        .find((each) => each.startsWith(`${name}=`));
    return Object.fromEntries(
      own.map(({ name, inputs }) => [
        name,
        ["HELD", "JOINING", "MEMBER_ADDRESSES"]
          .map((each) => line(inputs["stdin"], each)?.split("=")[1])
          .join(" "),
      ]),
    );
  }
  const withSteps = (phases: readonly string[], text: string) =>
    phases.flatMap((phase) => others.map((master): [string, string] => [`${phase}-${master}`, text]));
  const missing = (isAlive: boolean) => (found: Found) => ({
    masters: found.masters.slice(0, 2),
    missing: [{ name: "master-3", isAlive }],
  });

  test("has no step when it cannot be reached; with its member alive, issue and what follows are held", async () => {
    const members = "('10.77.0.11' '10.77.0.12' '10.77.0.13')";
    expect(await told(missing(true))).toEqual(
      Object.fromEntries([
        ...withSteps(["backup", "trust"], `'0' '0' ${members}`),
        ...withSteps(["issue", "settle", "retire", "verify"], `'1' '0' ${members}`),
      ]),
    );
  });

  test("with its member dead no gate waits for it, and retire is held", async () => {
    const members = "('10.77.0.11' '10.77.0.12')";
    expect(await told(missing(false))).toEqual(
      Object.fromEntries([
        ...withSteps(["backup", "trust", "issue", "settle"], `'0' '0' ${members}`),
        ...withSteps(["retire", "verify"], `'1' '0' ${members}`),
      ]),
    );
  });

  test("has one step that writes its files while it is joining", async () => {
    const masters = args.masters.map((master) => ({ ...master, joining: master.name === "master-3" }));
    const steps = await told(
      (found) => ({ masters: found.masters.slice(0, 2), joining: found.masters.slice(2) }),
      { masters },
    );
    expect(Object.entries(steps).filter(([name]) => name.endsWith("master-3"))).toEqual([
      ["issue-master-3", "'0' '1' ('10.77.0.11' '10.77.0.12')"],
    ]);
    expect(Object.keys(steps)).toHaveLength(13);
  });
});
