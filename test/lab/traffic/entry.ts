import { z } from "zod";

const common = { t: z.number(), wall: z.string() };

const attempt = z.object({
  number: z.number(),
  endpoint: z.string(),
  ms: z.number(),
  ok: z.boolean(),
  revision: z.number().optional(),
  error: z.string().optional(),
});

const apiTry = z.object({
  ok: z.boolean(),
  ms: z.number(),
  status: z.number().optional(),
  error: z.string().optional(),
});

const service = z.enum(["etcd", "api"]);
const state = z.enum(["up", "unhealthy", "down", "unknown"]);

const entry = z.discriminatedUnion("kind", [
  z.object({ ...common, kind: z.literal("start"), masters: z.array(z.string()), api: z.string() }),
  z.object({
    ...common,
    kind: z.literal("write"),
    round: z.number(),
    ok: z.boolean(),
    endpoint: z.string(),
    failovers: z.number(),
    ms: z.number(),
    attempts: z.array(attempt),
  }),
  z.object({ ...common, kind: z.literal("watch"), revision: z.number(), number: z.number() }),
  z.object({ ...common, kind: z.literal("watch-error"), error: z.string() }),
  z.object({
    ...common,
    kind: z.literal("api"),
    role: z.enum(["read", "write"]),
    round: z.number(),
    ok: z.boolean(),
    first: apiTry,
    retry: apiTry.optional(),
  }),
  z.object({
    ...common,
    kind: z.literal("state"),
    service,
    master: z.string(),
    from: state,
    state,
    begin: z.number(),
    lastBegin: z.number(),
    reason: z.string(),
  }),
  z.object({
    ...common,
    kind: z.literal("beat"),
    etcd: z.record(z.string(), state),
    api: z.record(z.string(), state),
  }),
  z.object({ ...common, kind: z.literal("end"), stopped: z.number() }),
]);

/** One line of the record; `t` is milliseconds since the program's start, from a monotonic clock. */
export type Entry = z.infer<typeof entry>;
export type EntryOf<Kind extends Entry["kind"]> = Extract<Entry, { kind: Kind }>;
export type Service = z.infer<typeof service>;
/** `unhealthy`: answers, and says that it is not well; `down`: does not answer; `unknown`: was not asked. */
export type ServiceState = z.infer<typeof state>;

export interface TrafficRecord {
  readonly entries: readonly Entry[];
}

/**
 * Reads a record; a last line without its line break that does not parse is left out, as a kill leaves one.
 *
 * @throws when any other line is not an entry
 */
export function parseRecord(text: string): TrafficRecord {
  const lines = text.split("\n");
  const partial = lines.pop() ?? "";
  const entries = lines.map((line, index) => {
    const parsed = parseEntry(line);
    if (parsed === undefined) {
      throw new Error(
        `Cannot read the record: line ${index + 1} is ${JSON.stringify(line.slice(0, 200))}; expected an entry`,
      );
    }
    return parsed;
  });
  const last = parseEntry(partial);
  return { entries: last === undefined ? entries : [...entries, last] };
}

function parseEntry(line: string): Entry | undefined {
  try {
    return entry.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
