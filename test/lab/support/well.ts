import { expect } from "vitest";
import { readAllFacts } from "../facts.ts";
import type { LabStack } from "../stack.ts";
import type { Lab, LabMaster } from "../topology.ts";
import { inside, insideAll } from "./inside.ts";

/** What a cluster was like before the first rotation: what no rotation may change. */
export interface Baseline {
  /** by master, then path: owner and mode */
  readonly owners: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** keys and values in etcd */
  readonly data: string;
}

const client = `
export ETCDCTL_API=3
e() {
  timeout 30 etcdctl --dial-timeout=5s --command-timeout=20s --cacert=/etc/kubernetes/pki/etcd/ca.pem \\
    --cert=/etc/kubernetes/pki/etcd/etcd-client.pem --key=/etc/kubernetes/pki/etcd/etcd-client-key.pem "$@"
}
`;

/** Writes some data into etcd and notes what must stay. */
export async function takeBaseline(lab: Lab): Promise<Baseline> {
  const master = firstOf(lab);
  await inside(
    master,
    `${client}for n in $(seq 1 30); do e --endpoints=https://${master.address}:2379 put "/kept/$n" "value $n $RANDOM" >/dev/null || exit 1; done`,
  );
  return { owners: await ownersIn(lab), data: await dataThrough(master) };
}

/** What a healthy master says of itself, by commands that know nothing of the program. */
export async function readHealth(lab: Lab): Promise<Record<string, Record<string, string>>> {
  const answers = await insideAll(lab, (master) => `${client}${healthQuestion(master)}`);
  return Object.fromEntries(Object.entries(answers).map(([name, text]) => [name, pairsIn(text)]));
}

/** Members that commit a proposal and API servers that are ready. */
export async function assertServing(lab: Lab, names: readonly string[]): Promise<void> {
  const health = await readHealth(lab);
  for (const name of names) {
    expect({ name, etcd: health[name]?.["etcd"], api: health[name]?.["api"] }).toEqual({
      name,
      etcd: "healthy",
      api: "ok",
    });
  }
}

/** Whether every member and every API server serves. */
export async function isServing(lab: Lab): Promise<boolean> {
  return Object.values(await readHealth(lab)).every(
    (health) => health["etcd"] === "healthy" && health["api"] === "ok",
  );
}

/** Every leaf on these masters lies there with its own key, also in the middle of a rollout. */
export async function assertPaired(lab: Lab, masters = lab.masters): Promise<void> {
  const health = await readHealth({ ...lab, masters });
  for (const { name } of masters) {
    expect({ name, pairs: health[name]?.["pairs"] }).toEqual({ name, pairs: "4 of 4" });
  }
}

/** Everything that a finished rotation promises: whatever happened on the way, nothing of it is left. */
export async function assertWell(lab: Lab, stack: LabStack, baseline: Baseline): Promise<void> {
  const outputs = await outputsOf(stack);
  const health = await readHealth(lab);
  for (const master of lab.masters) {
    expect({ name: master.name, ...health[master.name] }).toEqual({
      name: master.name,
      etcd: "healthy",
      members: `${lab.masters.length} started`,
      alarms: "none",
      api: "ok",
      pairs: "4 of 4",
      leftovers: "none",
      "etcd-ca": outputs.authorities["etcd"],
      "api-ca": outputs.authorities["etcd"],
      "peer-ca": outputs.authorities["etcd-peer"],
      "issued-2379": "by ca.pem",
      "issued-2380": "by peer-ca.pem",
      "served-2379": outputs.served[`${master.name} etcd-server`],
      "served-2380": outputs.served[`${master.name} etcd-peer`],
      "used-client": outputs.served[`${master.name} etcd-client`],
      receipt: health[firstOf(lab).name]?.["receipt"],
      complete: "1",
      rollout: String(outputs.rollout),
      rotation: stack.settings["rotation"],
    });
    expect(await dataThrough(master)).toBe(baseline.data);
  }
  expect(await ownersIn(lab)).toEqual(baseline.owners);
  const { code, output } = await stack.preview("--expect-no-changes");
  expect(code, output).toBe(0);
  expect(output).toContain("Nothing to do: every master serves the wanted certificates.");
}

export interface StackOutputs {
  readonly rollout: number;
  readonly authorities: Readonly<Record<string, string>>;
  /** by `<master> <role>`: fingerprint */
  readonly served: Readonly<Record<string, string>>;
}

/** The stack's outputs. @throws when there are none */
export async function outputsOf(stack: LabStack): Promise<StackOutputs> {
  const run = await stack.run("stack", "output", "--stack", stack.name, "--json");
  const start = run.output.indexOf("{");
  if (run.code !== 0 || start < 0) {
    throw new Error(`Cannot read the outputs: ${run.output}`);
  }
  const {
    rollout,
    authorities,
    served,
  }: { rollout: number; authorities: Record<string, string>; served: Record<string, string> } = JSON.parse(
    run.output.slice(start),
  );
  return {
    rollout,
    authorities,
    served: Object.fromEntries(
      Object.entries(served).map(([what, text]) => [what, text.split(" ")[0] ?? ""]),
    ),
  };
}

/** Owner and mode of every file that a rotation may write. */
export async function ownersIn(lab: Lab): Promise<Baseline["owners"]> {
  const facts = await readAllFacts(lab);
  return Object.fromEntries(
    Object.entries(facts).map(([name, { files }]) => [
      name,
      Object.fromEntries(Object.entries(files).map(([path, { owner }]) => [path, owner])),
    ]),
  );
}

function dataThrough(master: LabMaster): Promise<string> {
  return inside(master, `${client}e --endpoints=https://${master.address}:2379 get /kept/ --prefix`);
}

/** Prints `key value` lines. */
function healthQuestion({ address, etcdName }: LabMaster): string {
  return `
cert=/var/lib/etcd/cert pki=/etc/kubernetes/pki/etcd state=/var/lib/etcd-rotation
only() { # the fingerprint of the only certificate in FILE
  [ "$(grep -c 'BEGIN CERTIFICATE' "$1")" = 1 ] && openssl x509 -in "$1" -outform DER | sha256sum | cut -d ' ' -f 1 || printf '%s certificates\\n' "$(grep -c 'BEGIN CERTIFICATE' "$1")"
}
served() { : | timeout 10 openssl s_client -connect ${address}:$1 2>/dev/null | openssl x509 2>/dev/null; }
matches() { [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout)" ]; }
if e --endpoints=https://${address}:2379 endpoint health >/dev/null 2>&1; then echo 'etcd healthy'; else echo 'etcd unhealthy'; fi
echo "members $(e --endpoints=https://${address}:2379 member list 2>/dev/null | awk -F', ' '$2 == "started" && $6 != "true"' | wc -l) started"
echo "alarms $(e --endpoints=https://${address}:2379 alarm list 2>/dev/null | grep . || echo none)"
echo "api $(curl --silent --insecure --max-time 10 https://${address}:6443/readyz)"
pairs=0
for leaf in $cert/etcd-server $cert/${etcdName} $cert/etcd-client $pki/etcd-client; do matches $leaf.pem $leaf-key.pem && pairs=$((pairs + 1)); done
echo "pairs $pairs of 4"
echo "leftovers $({ ls -d $state/journal* $state/staged* $state/*.new $state/backups/*.new; ls -d $cert/.etcd-rotation* $pki/.etcd-rotation*; } 2>/dev/null | grep . | tr '\\n' ' ' | grep . || echo none)"
echo "etcd-ca $(only $cert/ca.pem)"
echo "api-ca $(only $pki/ca.pem)"
echo "peer-ca $(only $cert/peer-ca.pem)"
echo "issued-2379 $(served 2379 | openssl verify -CAfile $cert/ca.pem >/dev/null 2>&1 && echo by ca.pem || echo by another)"
echo "issued-2380 $(served 2380 | openssl verify -CAfile $cert/peer-ca.pem >/dev/null 2>&1 && echo by peer-ca.pem || echo by another)"
echo "served-2379 $(served 2379 | openssl x509 -outform DER 2>/dev/null | sha256sum | cut -d ' ' -f 1)"
echo "served-2380 $(served 2380 | openssl x509 -outform DER 2>/dev/null | sha256sum | cut -d ' ' -f 1)"
echo "used-client $(openssl x509 -in $pki/etcd-client.pem -outform DER | sha256sum | cut -d ' ' -f 1)"
echo "receipt $(grep -v '^component\\.' $state/receipt 2>/dev/null | sha256sum | cut -d ' ' -f 1)"
echo "complete $(sed -n 's/^complete=//p' $state/receipt 2>/dev/null)"
echo "rollout $(sed -n 's/^rollout=//p' $state/receipt 2>/dev/null)"
echo "rotation $(sed -n 's/^rotation=//p' $state/receipt 2>/dev/null)"
`;
}

function pairsIn(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line.includes(" "));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  );
}

function firstOf(lab: Lab): LabMaster {
  const [first] = lab.masters;
  if (first === undefined) {
    throw new Error("Cannot use a lab without a master");
  }
  return first;
}
