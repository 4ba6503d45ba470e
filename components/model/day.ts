/** `2026-11-23` of a time in milliseconds since 1970, UTC. */
export function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
