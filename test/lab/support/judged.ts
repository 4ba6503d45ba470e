import { join } from "node:path";
import { judge } from "../judge/judge.ts";
import { rolling, type Violation } from "../judge/verdict.ts";
import type { Lab } from "../topology.ts";
import { readRecord, startTraffic } from "../traffic/record.ts";

/**
 * Does something under recorded traffic; what it broke: quorum, etcd writes, watch events, two members or two API servers down at once.
 * Single API requests, of which none may fail twice in a row, are judged on demand: where masters are killed or cut off on a busy
 * machine, beside an API server that is starting, a retry times out too.
 * The record stays in the lab's folder.
 */
export async function underTraffic(
  lab: Lab,
  name: string,
  act: () => Promise<void>,
  judged?: "every request",
): Promise<readonly Violation[]> {
  const file = join(lab.folder, `${name}.jsonl`);
  const traffic = await startTraffic(lab, file);
  try {
    await act();
  } finally {
    await traffic.stop();
  }
  return judge(await readRecord(file), rolling).violations.filter(
    ({ rule }) => judged !== undefined || rule !== "api-request",
  );
}
