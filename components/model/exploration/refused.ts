import type { World } from "./world.ts";

/** Whether who has read this trust file accepts what stands in this leaf's file. */
export type Accepts = (trust: string, leaf: string) => boolean;

/**
 * Who must be accepted by what a process on a master has read; written out here, not taken from the layout.
 * Not every cluster has all of these leaves.
 */
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
export function refusedIn(world: World, accepts: Accepts): string[] {
  const all = allRefusedIn(world, accepts);
  const { names } = world.masters;
  const isQuorumLeft = names.some((name) => !world.out.includes(`etcd@${name}`));
  const isAway = (each: string) =>
    world.out.includes(each) && !(isQuorumLeft && each.startsWith("etcd@") && isLinked(each, all, names));
  // what is out on a master has nobody there to refuse
  const isAlone = ([one, other]: Refused["between"]) =>
    world.out.includes(one) && one.split("@")[1] === other.split("@")[1];
  return all.flatMap(({ what, between }) => (between.some(isAway) || isAlone(between) ? [] : [what]));
}

/** Whether it and another member accept each other. */
function isLinked(member: string, refused: readonly Refused[], names: readonly string[]): boolean {
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

export function allRefusedIn(world: World, accepts: Accepts): Refused[] {
  const { names, rows } = world.masters;
  const present = mustAccept.filter(({ leaf }) => rows.some(({ id }) => id === leaf));
  return names.flatMap((master) =>
    present.flatMap(({ trust, reader, leaf, holder, of }) => {
      const held = [...(world.loaded[`${master} ${trust}`] ?? []), world.disks[master]?.[trust] ?? ""];
      return names.flatMap((other) => {
        const shown = world.disks[other]?.[leaf] ?? "";
        const isAccepted =
          (of === "itself" && other !== master) || held.every((text) => accepts(text, shown));
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
