import { certificatesIn } from "../../components/model/certificate.ts";
import { contentsFor } from "../../components/model/contents.ts";
import type { Found, Missing } from "../../components/model/found.ts";
import {
  type CrossCertificates,
  crossCertificates,
  decideHandover,
} from "../../components/model/handover.ts";
import { type Component, components } from "../../components/model/layout/rows.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { holdOf, isHeldAt, missingRefusals } from "../../components/model/missing.ts";
import {
  isTogether,
  type Phase,
  planRollout,
  type RolloutPlan,
  stepsOf,
} from "../../components/model/plan.ts";
import type { ForeignPolicy } from "../../components/model/trust.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { type Disk, diskOf, masterWith, names, type Signed } from "./cluster.ts";
import { rememberedForPairs } from "./remembered.ts";

/**
 * Three simulated masters. A process reads its trust file at its start and its leaf at each handshake.
 * `loaded` holds every text that a process may have read, since any process may have been restarted at any moment.
 */
export interface World {
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

/** How a rollout runs, so that a test can show what goes wrong otherwise. */
export interface Ways {
  readonly order?: readonly Phase[];
  readonly contents?: typeof contentsFor;
  readonly restarts?: readonly Phase[];
  /** of what is out */
  readonly startsIn?: Phase;
  /** a plan from an earlier survey */
  readonly plan?: RolloutPlan;
  readonly foreignAuthorities?: ForeignPolicy;
  /** a master whose member is out when the run begins: it comes first */
  readonly ill?: string | undefined;
  /** a master that cannot be reached: nothing is done there */
  readonly missing?: Missing | undefined;
  /** a new machine that is still to join */
  readonly joining?: string | undefined;
  /** goes on where a rollout would stop for it */
  readonly ignoresHold?: boolean;
  /** the authorities whose keys are at hand, and the wanted ones as they have signed them */
  readonly signed?: Signed;
}

const trustRows = ackLayout.filter((row) => row.kind === "trust");
/** Kubernetes' other components read no file of these. */
export const restarted = components.filter(
  (component) => component === "etcd" || component === "kube-apiserver",
);
/** Milliseconds since 1970 when nothing has expired. */
const now = 0;

/** Masters that have run with these files for long. */
export function settled(pems: WantedPems): World {
  const disks = Object.fromEntries(names.map((name) => [name, diskOf(pems, name)]));
  const loaded = Object.fromEntries(
    names.flatMap((name) => trustRows.map((row) => [`${name} ${row.id}`, [disks[name]?.[row.id] ?? ""]])),
  );
  const backups = Object.values(pems.leaves).flatMap((own) =>
    Object.values(own).map(({ certPem }) => certPem),
  );
  return { disks, loaded, backups: backups.join(""), out: [] };
}

/** The same with more at the end of a trust file, which its reader has read. */
export function withTrust(world: World, name: string, id: string, more: string): World {
  const disk = world.disks[name] ?? {};
  const text = `${disk[id]}${more}`;
  return {
    ...world,
    disks: { ...world.disks, [name]: { ...disk, [id]: text } },
    loaded: { ...world.loaded, [`${name} ${id}`]: [text] },
  };
}

export function foundIn(world: World, ill?: string, missing?: Missing, joining?: string): Found {
  const masters = names.map((name) => {
    const isStale = (component: Component) =>
      trustRows.some(
        (row) => row.reader === component && (world.loaded[`${name} ${row.id}`] ?? []).length > 1,
      );
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
      .map((master) => ({ ...master, members: master.members.slice(0, 2) }));
    return { masters: present, joining: masters.filter(({ name }) => name === joining) };
  }
  return missing === undefined
    ? { masters }
    : { masters: masters.filter(({ name }) => name !== missing.name), missing: [missing] };
}

/**
 * The masters as a run finds them: one that was out works again when it accepts all the others and they accept it,
 * and without quorum nothing works anywhere.
 */
export function surveyed(world: World, issuers: Issuers, ill?: string): World {
  const refused = allRefusedIn(world, issuers);
  const isOut = (each: string) =>
    world.out.includes(each) && refused.some(({ between }) => between.includes(each));
  const all = names.flatMap((name) => restarted.map((component) => `${component}@${name}`));
  // an API server may have no other member than its own
  const out = all.filter((each) => isOut(each) || isOut(each.replace("kube-apiserver@", "etcd@")));
  const planned = ill === undefined ? [] : (planOf({ ...world, out }, { ill }).out[ill] ?? []);
  const known = all.filter(
    (each) => out.includes(each) || planned.some((component) => each === `${component}@${ill}`),
  );
  return { ...world, out: known.filter((each) => each.startsWith("etcd@")).length > 1 ? all : known };
}

const plans = new Map<string, RolloutPlan>();

/** The plan of a run that begins here, computed once for all worlds in which a survey sees the same. */
function planOf(world: World, { ill, missing, joining, foreignAuthorities }: Ways): RolloutPlan {
  const stale = Object.values(world.loaded).map((texts) => (texts.length > 1 ? 1 : 0));
  const seen = [
    diskNameOf(world),
    stale.join(""),
    numberOf(world.backups),
    ill,
    missing?.name,
    missing?.isAlive,
    joining,
    JSON.stringify(foreignAuthorities),
  ];
  const key = seen.join(" ");
  const plan =
    plans.get(key) ??
    planRollout(foundIn(world, ill, missing, joining), ackLayout, [], now, foreignAuthorities);
  plans.set(key, plan);
  return plan;
}

/** The masters when whatever was out has been started by something else; whether it works then is another matter. */
export function withOutStarted(world: World): World {
  const started = names
    .flatMap((master) =>
      restarted.map((component) => ({ kind: "restart", phase: "settle", master, component }) as const),
    )
    .filter(({ master, component }) => world.out.includes(`${component}@${master}`))
    .reduce(apply, world);
  return { ...started, out: world.out };
}

const leafRows = new Set(ackLayout.flatMap(({ id, kind }) => (kind === "cert" ? [id] : [])));

function crossOf(
  found: Found,
  { mode }: RolloutPlan,
  pems: WantedPems,
  [etcd = "", peer = ""]: readonly string[],
  { signed, ignoresHold }: Ways,
): CrossCertificates | undefined {
  if (signed === undefined) {
    return undefined;
  }
  const handover = decideHandover(found, {
    rows: ackLayout,
    mode,
    inState: signed.inState,
    wanted: { etcd, "etcd-peer": peer },
    policy: undefined,
    isRestoring: false,
    isHeld: ignoresHold !== true && holdOf(found, undefined, []) !== undefined,
    now,
    end: now,
  });
  return crossCertificates(handover, pems.authorities, signed.texts, {});
}

/** Everything that a rollout towards `pems` does to these masters, in its order. */
export function operationsOf(world: World, pems: WantedPems, ways: Ways = {}): Operation[] {
  const found = foundIn(world, ways.ill, ways.missing, ways.joining);
  const plan = ways.plan ?? planOf(world, ways);
  const authorities = Object.values(pems.authorities).map((pem) => certificatesIn(pem)[0]?.fingerprint ?? "");
  const isPlannedOut = (each: string) =>
    names.some((name) => plan.out[name]?.some((component) => each === `${component}@${name}`));
  // what is out for another reason ends it in backup
  if (missingRefusals(found, ackLayout, plan, authorities).length > 0 || !world.out.every(isPlannedOut)) {
    return [];
  }
  const hold = ways.ignoresHold === true ? undefined : holdOf(found, undefined, []);
  const steps = stepsOf(
    plan,
    found.masters.map(({ name }) => name),
    found.joining?.map(({ name }) => name),
  ).filter(({ phase }) => !isHeldAt(phase, hold));
  const ordered =
    ways.order === undefined
      ? steps
      : ways.order.flatMap((phase) => steps.filter((step) => step.phase === phase));
  const restarting = ways.restarts ?? ["trust", "retire"];
  const cross = crossOf(found, plan, pems, authorities, ways);
  return ordered
    .filter((step) => step.phase !== "verify" || cross !== undefined)
    .flatMap(({ phase, master }): Operation[] => {
      const contents = Object.fromEntries(
        Object.entries(
          (ways.contents ?? contentsFor)(
            master === ways.joining ? "verify" : phase,
            master,
            ackLayout,
            plan,
            pems,
            cross,
          ),
          // verify only takes away what stands behind a leaf
        ).filter(([id]) => phase !== "verify" || leafRows.has(id)),
      );
      const groups = [
        ...new Set(ackLayout.filter((row) => contents[row.id] !== undefined).map((row) => row.group)),
      ];
      const writes = groups.map((group): Operation => {
        const rows = ackLayout.filter((row) => row.group === group && contents[row.id] !== undefined);
        return {
          kind: "write",
          phase,
          master,
          texts: Object.fromEntries(rows.map((row) => [row.id, contents[row.id] ?? ""])),
        };
      });
      const isOut = (component: Component) => plan.out[master]?.includes(component) === true;
      const restarts = restarted.filter(
        (component) => restarting.includes(phase) && (phase === "retire" || !isOut(component)),
      );
      const starts = restarted.filter(
        (component) =>
          phase === (ways.startsIn ?? (isTogether(plan) ? "settle" : "issue")) && isOut(component),
      );
      return [
        ...writes,
        ...restarts.map((component): Operation => ({ kind: "restart", phase, master, component })),
        // a step that has written its files for good
        ...starts.map((component): Operation => ({ kind: "restart", phase: "settle", master, component })),
      ];
    });
}

export function apply(world: World, operation: Operation): World {
  const { master } = operation;
  const disk = world.disks[master] ?? {};
  const held = (id: string) => world.loaded[`${master} ${id}`] ?? [];
  switch (operation.kind) {
    case "write": {
      const changed = Object.entries(operation.texts).filter(([id, text]) => disk[id] !== text);
      const read = changed.filter(
        ([id, text]) => trustRows.some((row) => row.id === id) && !held(id).includes(text),
      );
      const loaded = read.map(([id, text]): [string, string[]] => [
        `${master} ${id}`,
        [...held(id), text].sort(),
      ]);
      return changed.length === 0
        ? world
        : {
            ...world,
            disks: { ...world.disks, [master]: { ...disk, ...operation.texts } },
            loaded: { ...world.loaded, ...Object.fromEntries(loaded) },
          };
    }
    case "restart": {
      const stale = trustRows.filter((row) => row.reader === operation.component && held(row.id).length > 1);
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
  return Object.fromEntries(Object.keys(of).map((id) => [id, world.disks[master]?.[id] ?? ""]));
}

/** By leaf or cross-certificate: the authority that issued it, as the test made it. */
export type Issuers = ReadonlyMap<string, string>;

export function issuersOf(
  all: readonly WantedPems[],
  cross: readonly (readonly [string, string])[] = [],
): Issuers {
  return new Map([
    ...cross,
    ...all.flatMap((pems) =>
      Object.values(pems.leaves).flatMap((own): [string, string][] => [
        [own["etcd-server"].certPem, pems.authorities.etcd],
        [own["etcd-peer"].certPem, pems.authorities["etcd-peer"]],
        [own["etcd-client"].certPem, pems.authorities.etcd],
      ]),
    ),
  ]);
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
  {
    trust: "etcd-ca",
    reader: "etcd",
    leaf: "apiserver-etcd-client",
    holder: "kube-apiserver",
    of: "every master",
  },
  { trust: "etcd-ca", reader: "etcd", leaf: "etcd-client", holder: "a person", of: "every master" },
  // etcd's gateway is a client of its own server
  { trust: "etcd-ca", reader: "etcd", leaf: "etcd-server", holder: "etcd", of: "itself" },
  { trust: "etcd-peer-ca", reader: "etcd", leaf: "etcd-peer", holder: "etcd", of: "every master" },
  {
    trust: "apiserver-etcd-ca",
    reader: "kube-apiserver",
    leaf: "etcd-server",
    holder: "etcd",
    of: "every master",
  },
] as const;

/**
 * Every connection that would be refused now, whichever process has restarted when, between any two that are not out.
 * Where a quorum answers, a member that was out counts as soon as it has a link to another one: it would stand for election.
 */
export function refusedIn(world: World, issuers: Issuers): string[] {
  const all = allRefusedIn(world, issuers);
  const isQuorumLeft = names.some((name) => !world.out.includes(`etcd@${name}`));
  const isAway = (each: string) =>
    world.out.includes(each) && !(isQuorumLeft && each.startsWith("etcd@") && isLinked(each, all));
  // what is out on a master has nobody there to refuse
  const isAlone = ([one, other]: Refused["between"]) =>
    world.out.includes(one) && one.split("@")[1] === other.split("@")[1];
  return all.flatMap(({ what, between }) => (between.some(isAway) || isAlone(between) ? [] : [what]));
}

/** Whether it and another member accept each other. */
function isLinked(member: string, refused: readonly Refused[]): boolean {
  return names.some(
    (name) =>
      `etcd@${name}` !== member &&
      !refused.some(({ between }) => between.includes(member) && between.includes(`etcd@${name}`)),
  );
}

interface Refused {
  readonly what: string;
  readonly between: readonly [string, string];
}

/** The authorities that a file hangs on: its leaf's own, and the one that signed what stands behind it. */
function issuersAbove(text: string, issuers: Issuers): readonly string[] {
  const [leaf = "", ...behind] = text.split(/(?<=-----END CERTIFICATE-----\n)/);
  return [leaf, ...behind].flatMap((each) => issuers.get(each) ?? []);
}

const isIssuerIn = rememberedForPairs(
  (issuer, text) => text.includes(issuer),
  (pem: string) => pem,
);

function allRefusedIn(world: World, issuers: Issuers): Refused[] {
  return names.flatMap((master) =>
    mustAccept.flatMap(({ trust, reader, leaf, holder, of }) => {
      const held = [...(world.loaded[`${master} ${trust}`] ?? []), world.disks[master]?.[trust] ?? ""];
      return names.flatMap((other) => {
        const above = issuersAbove(world.disks[other]?.[leaf] ?? "", issuers);
        const isAccepted =
          (of === "itself" && other !== master) ||
          held.every((text) => above.some((issuer) => isIssuerIn(issuer, text)));
        return isAccepted
          ? []
          : [
              {
                what: `${trust} on ${master} refuses ${leaf} of ${other}`,
                between: [`${reader}@${master}`, `${holder}@${other}`],
              },
            ];
      });
    }),
  );
}
