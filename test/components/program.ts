import * as pulumi from "@pulumi/pulumi";
import { type MockCallArgs, MockMonitor, type MockResourceArgs } from "@pulumi/pulumi/runtime/mocks.js";
import { vi } from "vitest";
import type { Cluster } from "../../components/cluster.ts";
import type { Found } from "../../components/model/found.ts";
import type { Handover } from "../../components/model/handover.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { holdOf } from "../../components/model/missing.ts";
import { planRollout } from "../../components/model/plan.ts";
import { planRenewals } from "../../components/model/renewals.ts";
import type { ClusterArgs } from "../../components/model/settings.ts";
import { foundAs, makePems, receipt, shortSettings, signedBy, specs } from "../model/cluster.ts";
import { unpacked } from "../support/unpacked.ts";

/** What the engine is asked to register. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  /** the parent's name; empty at the top */
  readonly parent: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** by resource name, sorted */
  readonly dependsOn: readonly string[];
  readonly ignoreChanges: readonly string[];
  readonly replacementTrigger: unknown;
  readonly secrets: readonly string[];
  readonly retainOnDelete: boolean;
  readonly replaceOnChanges: readonly string[];
  /** its resource's name; empty for the default one */
  readonly provider: string;
}

/** Key material as the mocked provider makes it: real, since the program computes with it. */
export const pems = makePems("mocked");
export const current = makePems("current");
/** The mocked authorities, as those of the surveyed cluster sign them. */
export const { inState, texts: crossTexts } = signedBy(current, pems);

/** A request to register, as the SDK sends it to the engine. */
function read(request: Parameters<MockMonitor["registerResource"]>[0]): Registered {
  const name = (urn: string) => urn.split("::").at(-1) ?? "";
  const object: unknown = request.getObject()?.toJavaScript();
  const inputs =
    typeof object === "object" && object !== null ? Object.fromEntries(Object.entries(object)) : {};
  return {
    type: request.getType(),
    name: request.getName(),
    parent: name(request.getParent()),
    inputs: Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, plain(value)])),
    dependsOn: request.getDependenciesList().map(name).sort(),
    ignoreChanges: request.getIgnorechangesList(),
    replacementTrigger: request.getReplacementTrigger()?.toJavaScript(),
    secrets: Object.keys(inputs).filter((key) => isSecret(inputs[key])),
    retainOnDelete: request.getRetainondelete() === true,
    replaceOnChanges: request.getReplaceonchangesList(),
    provider: request.getProvider().split("::").at(-2) ?? "",
  };
}

// the SDK's mark of a secret on the wire (pulumi sdk, runtime/rpc.ts)
const signature = "4dabf18193072939515e22adb298388d";

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && signature in value;
}

/** Without the marks of a secret, and with what is packed in plain text. */
function plain(value: unknown): unknown {
  const own: unknown =
    typeof value === "object" && value !== null && isSecret(value) ? Reflect.get(value, "value") : value;
  return typeof own === "string" ? unpacked(own) : own;
}

export const args: ClusterArgs = {
  ...shortSettings,
  ssh: { user: "root", port: 22, privateKey: "the operator's key", agent: false },
};

export interface Ran {
  readonly registered: readonly Registered[];
  readonly attempt: string;
  readonly report: unknown;
  readonly authorityKeys: pulumi.Output<unknown>;
}

/** How trust passes to the new authorities, and what the state has for that. */
export interface Handed {
  readonly handover?: Handover;
  readonly keys?: Cluster["last"]["keys"];
}

/** A cluster that was surveyed as `current`, without SSH. */
export function clusterAs(
  name: string,
  change: Partial<ClusterArgs> = {},
  see: (whole: Found) => Found = (whole) => whole,
  handed: Handed = {},
): Cluster {
  const settings = { ...args, ...change };
  const found = see(foundAs(current));
  const renewals = planRenewals(
    found,
    [],
    { ...settings.certificates, ...settings.kubernetes, rotation: undefined },
    undefined,
    [],
    0,
  );
  return {
    name,
    args: settings,
    found,
    rows: ackLayout,
    kubernetes: [],
    given: () => ({
      ...{ clients: [], renewals, heldBefore: holdOf(found, settings.holdBefore, []) },
      handover: handed.handover ?? { kind: "union", reason: "no-key" },
    }),
    plan: planRollout(found, ackLayout, [], 0),
    refusals: [],
    restore: undefined,
    shut: undefined,
    ...{ authorities: [], inState: undefined, now: 0, end: 0 },
    claim: "",
    cloud: undefined,
    last: {
      cluster: undefined,
      rotation: undefined,
      authorities: [],
      hasDiskSnapshots: false,
      keys: handed.keys ?? { current: undefined, previous: undefined },
    },
    clusterId: receipt.cluster,
    owner: name === "" ? "etcd-rotation/test" : `etcd-rotation/test/${name}`,
  };
}

/** What a program registers, with the mocked providers. */
export async function registeredBy<T>(
  program: () => Promise<T>,
  spoil: Spoil = (_, stdout) => stdout,
  call: Call = () => ({}),
): Promise<T & { readonly registered: Registered[] }> {
  const spy = vi.spyOn(MockMonitor.prototype, "registerResource");
  const newResource = (resource: MockResourceArgs) => ({
    id: resource.name,
    state: { ...resource.inputs, ...madeBy(resource, spoil) },
  });
  await pulumi.runtime.setMocks({ newResource, call }, "etcd-rotation", "test");
  const result = await program();
  const registered = spy.mock.calls.map(([request]) => read(request));
  spy.mockRestore();
  return { ...result, registered };
}

/** How a provider's function answers. */
export type Call = (call: MockCallArgs) => Record<string, unknown>;

type Spoil = (name: string, stdout: string) => string;

/** Runs the program of index.ts on such a cluster. */
export function run(
  change: Partial<ClusterArgs> = {},
  spoil?: Spoil,
  see?: (whole: Found) => Found,
  handed?: Handed,
): Promise<Ran> {
  const program = async () => {
    const { makeAuthorities, makeLeaves } = await import("../../components/certificates.ts");
    const { Rollout } = await import("../../components/rollout.ts");
    const cluster = clusterAs("", change, see, handed);
    const authorities = makeAuthorities(cluster);
    const rollout = new Rollout("rollout", {
      cluster,
      authorities,
      leaves: makeLeaves(cluster, authorities),
    });
    const { id: attempt } = await valueIn(rollout.attempt);
    return { attempt, report: await valueIn(rollout.report), authorityKeys: rollout.authorityKeys };
  };
  return registeredBy(program, spoil);
}

/** The value of an output, or its error. */
export function valueIn<T>(output: pulumi.Output<T>): Promise<T> {
  // an output that fails fails in each of these promises; the first one is what is looked at
  const [promise, ...others] = ["promise", "isKnown", "isSecret", "allResources"].map((key): unknown =>
    Reflect.get(output, key),
  );
  others.forEach((other) => {
    if (other instanceof Promise) {
      other.catch(() => undefined);
    }
  });
  return typeof promise === "function"
    ? promise.call(output, true)
    : Promise.reject(new Error("Cannot await this output"));
}

/** What a provider would add: keys, certificates, and the last line of a step. */
function madeBy({ type, name, inputs }: MockResourceArgs, spoil: Spoil): Record<string, unknown> {
  const master = specs.find((spec) => name.includes(`${spec.name}-`))?.name;
  const role = (["etcd-server", "etcd-peer", "etcd-client"] as const).find((each) =>
    name.includes(`-${each}`),
  );
  const own = master === undefined || role === undefined ? undefined : pems.leaves[master]?.[role];
  switch (type) {
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyPem: own?.keyPem ?? `key of ${name}`, publicKeyPem: `public key of ${name}` };
    case "tls:index/certRequest:CertRequest":
      return { certRequestPem: `request of ${name}` };
    case "tls:index/selfSignedCert:SelfSignedCert":
      return { certPem: pems.authorities[name.endsWith("etcd-ca") ? "etcd" : "etcd-peer"] };
    case "tls:index/locallySignedCert:LocallySignedCert":
      return { certPem: own?.certPem ?? crossTexts[name === "etcd-ca-cross" ? "etcd" : "etcd-peer"] };
    case "command:remote:Command":
      return {
        stdout: spoil(
          name,
          `done ${inputs.triggers[0]} ${assigned(inputs.stdin, "PHASE")} ${assigned(inputs.stdin, "MASTER")}\n`,
        ),
      };
    default:
      return {};
  }
}

/** The value that a step's script is given for a variable. */
function assigned(script: unknown, variable: string): string {
  return new RegExp(`^${variable}='(.*)'$`, "m").exec(String(plain(script)))?.[1] ?? "";
}
