import { messageOf } from "../components/model/text.ts";

/** Works on items side by side, at most `limit` at a time; results are in the items' order. */
export async function inParallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) {
      results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

/** The results of work done side by side, in its order, and why some of it failed. */
export async function settled<T>(
  work: readonly Promise<T>[],
): Promise<{ readonly values: T[]; readonly failures: string[] }> {
  const all = await Promise.allSettled(work);
  return {
    values: all.flatMap((each) => (each.status === "fulfilled" ? [each.value] : [])),
    failures: all.flatMap((each) => (each.status === "rejected" ? [messageOf(each.reason)] : [])),
  };
}
