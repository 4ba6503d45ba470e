import type { Accepts } from "../../components/model/exploration/refused.ts";
import { apply, type Masters, type Operation, type World } from "../../components/model/exploration/world.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import type { Phase } from "../../components/model/plan.ts";
import { remembered, rememberedForPairs } from "../../components/model/remembered.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { diskOf, masterWith, names } from "./cluster.ts";

const trustRows = ackLayout.filter((row) => row.kind === "trust");
/** Nothing has expired. */
const masters: Masters = { names, rows: ackLayout, masterWith, now: 0 };

/** Masters that have run with these files for long. */
export function settled(pems: WantedPems): World {
  const disks = Object.fromEntries(names.map((name) => [name, diskOf(pems, name)]));
  const loaded = Object.fromEntries(
    names.flatMap((name) => trustRows.map((row) => [`${name} ${row.id}`, [disks[name]?.[row.id] ?? ""]])),
  );
  const backups = Object.values(pems.leaves).flatMap((own) =>
    Object.values(own).map(({ certPem }) => certPem),
  );
  return { masters, disks, loaded, backups: backups.join(""), out: [] };
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

/** By leaf or cross-certificate: the authority that issued it, as the test made it. */
type Issuers = ReadonlyMap<string, string>;

/** Who accepts whom, by how the test made them. */
export function issuersOf(
  all: readonly WantedPems[],
  cross: readonly (readonly [string, string])[] = [],
): Accepts {
  const issuers: Issuers = new Map([
    ...cross,
    ...all.flatMap((pems) =>
      Object.values(pems.leaves).flatMap((own): [string, string][] => [
        [own["etcd-server"].certPem, pems.authorities.etcd],
        [own["etcd-peer"].certPem, pems.authorities["etcd-peer"]],
        [own["etcd-client"].certPem, pems.authorities.etcd],
      ]),
    ),
  ]);
  const above = remembered(
    (leaf: string) => issuersAbove(leaf, issuers),
    (leaf) => leaf,
  );
  // a walk asks millions of times about the same few files
  return rememberedForPairs(
    (trust, leaf) => above(leaf).some((issuer) => trust.includes(issuer)),
    (text: string) => text,
  );
}

/** The authorities that a file hangs on: its leaf's own, and the one that signed what stands behind it. */
function issuersAbove(text: string, issuers: Issuers): readonly string[] {
  const [leaf = "", ...behind] = text.split(/(?<=-----END CERTIFICATE-----\n)/);
  return [leaf, ...behind].flatMap((each) => issuers.get(each) ?? []);
}

/** Every state in which each master has come to any of its writes of that phase. */
export function sideBySide(start: World, operations: readonly Operation[], phase: Phase): readonly World[] {
  const first = operations.findIndex((operation) => operation.phase === phase);
  return names.reduce<readonly World[]>(
    (worlds, name) => {
      const writes = operations.filter((each) => each.phase === phase && each.master === name);
      const prefixes = [...writes.keys(), writes.length].map((count) => writes.slice(0, count));
      return worlds.flatMap((world) => prefixes.map((prefix) => prefix.reduce(apply, world)));
    },
    [operations.slice(0, first).reduce(apply, start)],
  );
}

/** The same operations; those that masters do side by side (new leaves after the first's, and verify) as the draws mix them. */
export function mixed(operations: readonly Operation[], draws: readonly number[]): Operation[] {
  const first = operations.find(({ phase }) => phase === "issue")?.master;
  const isBeside = ({ phase, master }: Operation) =>
    phase === "verify" || (phase === "issue" && master !== first);
  const clocks = new Map<string, number>();
  const placed = operations.map((operation, index) => {
    if (!isBeside(operation)) {
      return { operation, place: index, time: 0 };
    }
    const { phase, master } = operation;
    const time = (clocks.get(phase + master) ?? 0) + (draws[index] ?? 0) + 1;
    clocks.set(phase + master, time);
    return { operation, place: operations.findIndex((each) => each.phase === phase && isBeside(each)), time };
  });
  return placed
    .toSorted((one, other) => one.place - other.place || one.time - other.time)
    .map(({ operation }) => operation);
}
