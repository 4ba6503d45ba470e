import { certificatesIn } from "../certificate.ts";
import type { Found, FoundMaster, Missing } from "../found.ts";
import { type Component, components, type Row } from "../layout/rows.ts";
import type { Phase } from "../plan.ts";

/** By row id: what lies on a master's disk. */
export type Disk = Readonly<Record<string, string>>;

/** What no operation changes. */
export interface Masters {
  readonly names: readonly string[];
  readonly rows: readonly Row[];
  /** what a survey says of a master with these files */
  readonly masterWith: (name: string, disk: Disk, change: Partial<FoundMaster>) => FoundMaster;
  /** milliseconds since 1970 */
  readonly now: number;
}

/**
 * Simulated masters. A process reads its trust file at its start and its leaf at each handshake.
 * `loaded` holds every text that a process may have read, since any process may have been restarted at any moment.
 */
export interface World {
  readonly masters: Masters;
  readonly disks: Readonly<Record<string, Disk>>;
  /** by `<master> <trust row>` */
  readonly loaded: Readonly<Record<string, readonly string[]>>;
  /** leaves of the set that the first backups are of */
  readonly backups: string;
  /** `<component>@<master>`: processes that nobody counts on until they are started again */
  readonly out: readonly string[];
}

/** The smallest change: one group of files renamed into place, or one process restarted. */
export type Operation =
  | { readonly kind: "write"; readonly phase: Phase; readonly master: string; readonly texts: Disk }
  | {
      readonly kind: "restart";
      readonly phase: Phase;
      readonly master: string;
      readonly component: Component;
    };

/** Kubernetes' other components read no file of these. */
export const restarted = components.filter(
  (component) => component === "etcd" || component === "kube-apiserver",
);

function trustRowsIn({ masters }: Pick<World, "masters">, reader: Component): readonly Row[] {
  return masters.rows.filter((row) => row.kind === "trust" && row.reader === reader);
}

export function foundIn(world: World, ill?: string, missing?: Missing, joining?: string): Found {
  const { names, masterWith } = world.masters;
  const masters = names.map((name) => {
    const isStale = (component: Component) =>
      trustRowsIn(world, component).some((row) => (world.loaded[`${name} ${row.id}`] ?? []).length > 1);
    return masterWith(name, world.disks[name] ?? {}, {
      earlier: certificatesIn(world.backups),
      ...(name === ill || world.out.includes(`etcd@${name}`)
        ? { etcd: "silent" as const, doesAnswer: false }
        : {}),
      isApiReady: !world.out.includes(`kube-apiserver@${name}`),
      processes: Object.fromEntries(
        restarted.map((component) => [
          component,
          { identity: component, isStale: isStale(component), flags: [] },
        ]),
      ),
    });
  });
  if (joining !== undefined) {
    const present = masters
      .filter(({ name }) => name !== joining)
      .map((master) => ({ ...master, members: master.members.slice(0, names.length - 1) }));
    return { masters: present, joining: masters.filter(({ name }) => name === joining) };
  }
  return missing === undefined
    ? { masters }
    : { masters: masters.filter(({ name }) => name !== missing.name), missing: [missing] };
}

export function apply(world: World, operation: Operation): World {
  const { master } = operation;
  const disk = world.disks[master] ?? {};
  const held = (id: string) => world.loaded[`${master} ${id}`] ?? [];
  switch (operation.kind) {
    case "write": {
      const after = diskWith(disk, operation.texts);
      if (after === disk) {
        return world;
      }
      // of trust files alone it is known what has been read
      const read = Object.entries(operation.texts).filter(
        ([id, text]) =>
          disk[id] !== text && world.loaded[`${master} ${id}`] !== undefined && !held(id).includes(text),
      );
      const loaded = read.map(([id, text]): [string, string[]] => [
        `${master} ${id}`,
        [...held(id), text].sort(),
      ]);
      return {
        ...world,
        disks: { ...world.disks, [master]: after },
        loaded: loaded.length === 0 ? world.loaded : { ...world.loaded, ...Object.fromEntries(loaded) },
      };
    }
    case "restart": {
      const stale = trustRowsIn(world, operation.component).filter((row) => held(row.id).length > 1);
      const own = `${operation.component}@${master}`;
      return stale.length === 0 && !world.out.includes(own)
        ? world
        : {
            ...world,
            loaded: {
              ...world.loaded,
              ...Object.fromEntries(stale.map((row) => [`${master} ${row.id}`, [disk[row.id] ?? ""]])),
            },
            out: world.out.filter((each) => each !== own),
          };
    }
    default:
      return operation satisfies never;
  }
}

const byContent = new Map<string, Disk>();
const afterWrites = new Map<Disk, Map<Disk, Disk>>();

/** Of equal texts always the same object: a walk comes to few of them often, and works out once what is known of one. */
export function sameTexts(written: Disk): Disk {
  const content = Object.entries(written)
    .map(([id, text]) => `${id} ${numberOf(text)}`)
    .join();
  const known = byContent.get(content) ?? written;
  byContent.set(content, known);
  return known;
}

/** The disk with these texts; itself when it has them. */
function diskWith(disk: Disk, more: Disk): Disk {
  const known = afterWrites.get(disk) ?? new Map<Disk, Disk>();
  afterWrites.set(disk, known);
  const isThere = () => Object.entries(more).every(([id, text]) => disk[id] === text);
  const after = known.get(more) ?? (isThere() ? disk : sameTexts({ ...disk, ...more }));
  known.set(more, after);
  return after;
}

/** The step that `operations[at]` belongs to, undone as the journal does it, when its gate fails there. */
export function putBack(before: World, operations: readonly Operation[], at: number): Operation[] {
  const { phase, master } = operations[at] ?? { phase: "backup", master: "" };
  const written = operations
    .slice(0, at + 1)
    .filter((each) => each.phase === phase && each.master === master && each.kind === "write");
  const undone = written.toReversed().map(
    (each): Operation => ({
      kind: "write",
      phase,
      master,
      texts: texts(before, master, each.kind === "write" ? each.texts : {}),
    }),
  );
  const running = restarted.filter((component) => !before.out.includes(`${component}@${master}`));
  return [
    ...undone,
    ...running.map((component): Operation => ({ kind: "restart", phase, master, component })),
  ];
}

function texts(world: World, master: string, of: Disk): Disk {
  return sameTexts(Object.fromEntries(Object.keys(of).map((id) => [id, world.disks[master]?.[id] ?? ""])));
}

const numbers = new Map<string, number>();
const shortNames = new WeakMap<object, string>();

/** The same for equal worlds, and short. */
export function nameOf(world: World): string {
  return `${diskNameOf(world)}#${Object.values(world.loaded).map(shortName).join(";")}`;
}

/** The same for worlds with equal disks and processes, which is all that a survey sees. */
export function diskNameOf(world: World): string {
  return `${Object.values(world.disks).map(shortName).join(";")} ${world.out.join()}`;
}

export function numberOf(text: string): number {
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
