import { isAddress } from "../../components/model/checks.ts";

/** What a master is listed by. */
export interface Listed {
  readonly address: string;
  readonly etcdName: string;
  readonly hostname: string;
}

/** In the order of the numbers that etcd's names end in, else of the addresses. */
export function inOrder<T extends Listed>(masters: readonly T[]): T[] {
  const numbers = new Map(masters.map(({ etcdName }) => [etcdName, /(\d+)$/.exec(etcdName)?.[1]]));
  const isNumbered =
    new Set(numbers.values()).size === masters.length && masters.every(({ etcdName }) => numbers.get(etcdName) !== undefined && !isAddress(etcdName));
  const byAddress = new Intl.Collator("en", { numeric: true });
  return masters.toSorted((a, b) => (isNumbered ? Number(numbers.get(a.etcdName)) - Number(numbers.get(b.etcdName)) : byAddress.compare(a.address, b.address)));
}

/** The machines' own names where each has one of its own that a stack file may hold, else `master-1` and so on. */
export function namesOf(masters: readonly Listed[]): string[] {
  const names = masters.map(({ hostname }) => hostname);
  const isGood = (name: string) => /^[a-z]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name) && !name.startsWith("localhost");
  return names.every(isGood) && new Set(names).size === names.length ? names : masters.map((_, index) => `master-${index + 1}`);
}
