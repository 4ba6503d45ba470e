import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor } from "../../components/model/contents.ts";
import type { Found, Missing } from "../../components/model/found.ts";
import { ackLayout, type Component, components } from "../../components/model/layout.ts";
import { holdOf, isHeldAt, missingRefusals } from "../../components/model/missing.ts";
import { type Phase, planRollout, type RolloutPlan, stepsOf } from "../../components/model/plan.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { type Disk, diskOf, masterWith, names } from "./cluster.ts";

/**
 * Three simulated masters. A process reads its trust file at its start and its leaf at each handshake.
 * `loaded` holds every text that a process may have read, since any process may have been restarted at any moment.
 */
export interface World {
  readonly disks: Readonly<Record<string, Disk>>;
  /** by `<master> <trust row>` */
  readonly loaded: Readonly<Record<string, readonly string[]>>;
}

/** The smallest change: one group of files renamed into place, or one process restarted. */
export type Operation =
  | { readonly kind: "write"; readonly phase: Phase; readonly master: string; readonly texts: Disk }
  | { readonly kind: "restart"; readonly phase: Phase; readonly master: string; readonly component: Component };

/** How a rollout runs, so that a test can show what goes wrong otherwise. */
export interface Ways {
  readonly order?: readonly Phase[];
  readonly contents?: typeof contentsFor;
  readonly restarts?: readonly Phase[];
  /** a plan from an earlier survey */
  readonly plan?: RolloutPlan;
  /** a master whose member is out when the run begins: it comes first */
  readonly ill?: string | undefined;
  /** a master that cannot be reached: nothing is done there */
  readonly missing?: Missing | undefined;
  /** a new machine that is still to join */
  readonly joining?: string | undefined;
  /** goes on where a rollout would stop for it */
  readonly ignoresHold?: boolean;
}

const trustRows = ackLayout.filter((row) => row.kind === "trust");
/** Kubernetes' other components read no file of these. */
const restarted = components.filter((component) => component === "etcd" || component === "kube-apiserver");
/** Milliseconds since 1970 when nothing has expired. */
const now = 0;

/** Masters that have run with these files for long. */
export function settled(pems: WantedPems): World {
  const disks = Object.fromEntries(names.map((name) => [name, diskOf(pems, name)]));
  return { disks, loaded: Object.fromEntries(names.flatMap((name) => trustRows.map((row) => [`${name} ${row.id}`, [disks[name]?.[row.id] ?? ""]]))) };
}

export function foundIn(world: World, ill?: string, missing?: Missing, joining?: string): Found {
  const masters = names.map((name) => {
    const found = masterWith(name, world.disks[name] ?? {}, name === ill ? { etcd: "its member does not answer", doesAnswer: false } : {});
    const isStale = trustRows.some((row) => row.reader === "etcd" && (world.loaded[`${name} ${row.id}`] ?? []).length > 1);
    const { etcd } = found.processes;
    return etcd === undefined ? found : { ...found, processes: { ...found.processes, etcd: { ...etcd, isStale } } };
  });
  if (joining !== undefined) {
    const present = masters.filter(({ name }) => name !== joining).map((master) => ({ ...master, members: master.members.slice(0, 2) }));
    return { masters: present, joining: masters.filter(({ name }) => name === joining) };
  }
  return missing === undefined ? { masters } : { masters: masters.filter(({ name }) => name !== missing.name), missing: [missing] };
}

/** Everything that a rollout towards `pems` does to these masters, in its order. */
export function operationsOf(world: World, pems: WantedPems, ways: Ways = {}): Operation[] {
  const found = foundIn(world, ways.ill, ways.missing, ways.joining);
  const plan = ways.plan ?? planRollout(found, ackLayout, [], now);
  const authorities = Object.values(pems.authorities).map((pem) => certificatesIn(pem)[0]?.fingerprint ?? "");
  if (missingRefusals(found, ackLayout, plan, authorities).length > 0) {
    return [];
  }
  const hold = ways.ignoresHold === true ? undefined : holdOf(found, undefined);
  const steps = stepsOf(
    plan,
    found.masters.map(({ name }) => name),
    found.joining?.map(({ name }) => name),
  ).filter(({ phase }) => !isHeldAt(phase, hold));
  const ordered = ways.order === undefined ? steps : ways.order.flatMap((phase) => steps.filter((step) => step.phase === phase));
  const restarts = ways.restarts ?? ["trust", "retire"];
  return ordered
    .filter((step) => step.phase !== "verify")
    .flatMap(({ phase, master }): Operation[] => {
      const contents = (ways.contents ?? contentsFor)(master === ways.joining ? "verify" : phase, master, ackLayout, plan, pems);
      const groups = [...new Set(ackLayout.filter((row) => contents[row.id] !== undefined).map((row) => row.group))];
      const writes = groups.map((group): Operation => {
        const rows = ackLayout.filter((row) => row.group === group && contents[row.id] !== undefined);
        return { kind: "write", phase, master, texts: Object.fromEntries(rows.map((row) => [row.id, contents[row.id] ?? ""])) };
      });
      return [...writes, ...(restarts.includes(phase) ? restarted.map((component): Operation => ({ kind: "restart", phase, master, component })) : [])];
    });
}

export function apply(world: World, operation: Operation): World {
  const { master } = operation;
  const disk = world.disks[master] ?? {};
  const held = (id: string) => world.loaded[`${master} ${id}`] ?? [];
  switch (operation.kind) {
    case "write": {
      const changed = Object.entries(operation.texts).filter(([id, text]) => disk[id] !== text);
      const read = changed.filter(([id, text]) => trustRows.some((row) => row.id === id) && !held(id).includes(text));
      const loaded = read.map(([id, text]): [string, string[]] => [`${master} ${id}`, [...held(id), text].sort()]);
      return changed.length === 0
        ? world
        : { disks: { ...world.disks, [master]: { ...disk, ...operation.texts } }, loaded: { ...world.loaded, ...Object.fromEntries(loaded) } };
    }
    case "restart": {
      const stale = trustRows.filter((row) => row.reader === operation.component && held(row.id).length > 1);
      return stale.length === 0
        ? world
        : { ...world, loaded: { ...world.loaded, ...Object.fromEntries(stale.map((row) => [`${master} ${row.id}`, [disk[row.id] ?? ""]])) } };
    }
    default:
      return operation satisfies never;
  }
}

/** The step that `operations[at]` belongs to, undone as the journal does it, when its gate fails there. */
export function putBack(before: World, operations: readonly Operation[], at: number): Operation[] {
  const { phase, master } = operations[at] ?? { phase: "backup", master: "" };
  const written = operations.slice(0, at + 1).filter((each) => each.phase === phase && each.master === master && each.kind === "write");
  const undone = written
    .toReversed()
    .map((each): Operation => ({ kind: "write", phase, master, texts: texts(before, master, each.kind === "write" ? each.texts : {}) }));
  return [...undone, ...restarted.map((component): Operation => ({ kind: "restart", phase, master, component }))];
}

function texts(world: World, master: string, of: Disk): Disk {
  return Object.fromEntries(Object.keys(of).map((id) => [id, world.disks[master]?.[id] ?? ""]));
}

/** By leaf: the authority that issued it, as the test made it. */
export type Issuers = ReadonlyMap<string, string>;

export function issuersOf(all: readonly WantedPems[]): Issuers {
  return new Map(
    all.flatMap((pems) =>
      Object.values(pems.leaves).flatMap((own): [string, string][] => [
        [own["etcd-server"].certPem, pems.authorities.etcd],
        [own["etcd-peer"].certPem, pems.authorities["etcd-peer"]],
        [own["etcd-client"].certPem, pems.authorities.etcd],
      ]),
    ),
  );
}

const numbers = new Map<string, number>();
const shortNames = new WeakMap<object, string>();

/** The same for equal worlds, and short. */
export function nameOf(world: World): string {
  return `${diskNameOf(world)}#${Object.values(world.loaded).map(shortName).join(";")}`;
}

/** The same for worlds with equal disks, which is all that a survey sees. */
export function diskNameOf(world: World): string {
  return Object.values(world.disks).map(shortName).join(";");
}

function numberOf(text: string): number {
  const number = numbers.get(text) ?? numbers.size;
  numbers.set(text, number);
  return number;
}

function shortName(value: Disk | readonly string[]): string {
  const known = shortNames.get(value);
  if (known !== undefined) {
    return known;
  }
  const name = Object.values(value).map(numberOf).join();
  shortNames.set(value, name);
  return name;
}

/** Who must be accepted by what a process on a master has read; written out here, not taken from the layout. */
const mustAccept = [
  { trust: "etcd-ca", leaf: "apiserver-etcd-client", of: "every master" },
  { trust: "etcd-ca", leaf: "etcd-client", of: "every master" },
  // etcd's gateway is a client of its own server
  { trust: "etcd-ca", leaf: "etcd-server", of: "itself" },
  { trust: "etcd-peer-ca", leaf: "etcd-peer", of: "every master" },
  { trust: "apiserver-etcd-ca", leaf: "etcd-server", of: "every master" },
] as const;

/** Every connection that would be refused now, whichever process has restarted when. */
export function refusedIn(world: World, issuers: Issuers): string[] {
  return names.flatMap((master) =>
    mustAccept.flatMap(({ trust, leaf, of }) => {
      const held = [...(world.loaded[`${master} ${trust}`] ?? []), world.disks[master]?.[trust] ?? ""];
      return names.flatMap((other) => {
        const issuer = issuers.get(world.disks[other]?.[leaf] ?? "");
        const isAccepted = (of === "itself" && other !== master) || (issuer !== undefined && held.every((text) => text.includes(issuer)));
        return isAccepted ? [] : [`${trust} on ${master} refuses ${leaf} of ${other}`];
      });
    }),
  );
}
