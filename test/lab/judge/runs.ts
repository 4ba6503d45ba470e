interface Run<Item> {
  readonly first: Item;
  readonly last: Item;
  readonly count: number;
}

/** The unbroken runs of items that match. */
export function runsOf<Item>(items: readonly Item[], matches: (item: Item) => boolean): Run<Item>[] {
  const runs: Run<Item>[] = [];
  let open = false;
  for (const item of items) {
    const previous = runs.at(-1);
    const matching = matches(item);
    if (matching && open && previous !== undefined) {
      runs[runs.length - 1] = { ...previous, last: item, count: previous.count + 1 };
    }
    if (matching && !open) {
      runs.push({ first: item, last: item, count: 1 });
    }
    open = matching;
  }
  return runs;
}
