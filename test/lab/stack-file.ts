import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { extraSansIn, labLayouts } from "./layouts.ts";
import type { Lab } from "./topology.ts";

/** What a test changes in the stack file; merged over the lab's own settings. */
export type Overrides = Readonly<Record<string, unknown>>;

const folder = join(import.meta.dirname, "..", "..", "stacks");

/** Where Pulumi looks for a stack's settings. */
export function stackFile(stack: string): string {
  return join(folder, `Pulumi.${stack}.yaml`);
}

/** The settings with which this program takes over a lab; etcd's certificates only, which is faster: kubernetes.test.ts has all. */
export function labSettings(lab: Lab, rotation: string): Record<string, unknown> {
  const { kind, paths = {} } = labLayouts[lab.options.layout];
  return {
    rotation,
    masters: lab.masters.map((master) => ({
      name: master.name,
      address: master.address,
      etcdName: master.etcdName,
      hostKey: master.hostKey,
      extraSans: extraSansIn(lab, master),
    })),
    ssh: { privateKeyPath: lab.sshKeyPath },
    pauseBetweenMasters: "2s",
    gate: "60s",
    kubernetes: { renew: "never" },
    layout: { kind, paths },
    ...(scrapers(lab).length > 0 ? { clients: { ignore: scrapers(lab) } } : {}),
    ...(lab.masters.length < 3 ? { allowOutage: true } : {}),
  };
}

/** The lab's other clients of etcd, as `clients.ignore` names them: in clients.test.ts a rollout waits for them. */
export function scrapers({ options }: Pick<Lab, "options">): string[] {
  return labLayouts[options.layout].isScraped ? ["monitoring/etcd-certs", "etcd-scraper.service"] : [];
}

/** Writes a stack file; JSON is YAML. The encryption salt of an existing stack stays. */
export function writeStackFile(stack: string, settings: Overrides, salt?: string): void {
  const config = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`etcd-rotation:${key}`, value]),
  );
  writeFileSync(
    stackFile(stack),
    `${JSON.stringify({ ...(salt === undefined ? {} : { encryptionsalt: salt }), config }, null, 2)}\n`,
    { mode: 0o600 },
  );
}
