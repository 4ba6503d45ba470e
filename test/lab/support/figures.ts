/** Figures by what they are of. */
export type Figures = Readonly<Record<string, number>>;

export interface Result {
  readonly seconds: Figures;
  /** most restarts of one component on one master */
  readonly restarts: Figures;
  readonly milliseconds: Figures;
  readonly failures: Figures;
}

/** Median, least and most of each figure over several runs. */
interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The same figures of several runs, by median. */
export function inAll(
  runs: readonly Result[],
): Readonly<Record<keyof Result, Readonly<Record<string, Spread>>>> {
  const spread = (kind: keyof Result) =>
    Object.fromEntries(
      Object.keys(runs[0]?.[kind] ?? {}).map((what) => {
        const sorted = runs.map((run) => run[kind][what] ?? Number.NaN).toSorted((a, b) => a - b);
        const [least = Number.NaN, most = Number.NaN, median = Number.NaN] = [
          sorted[0],
          sorted.at(-1),
          sorted[(sorted.length - 1) >> 1],
        ];
        return [what, { median, least, most }];
      }),
    );
  return {
    seconds: spread("seconds"),
    restarts: spread("restarts"),
    milliseconds: spread("milliseconds"),
    failures: spread("failures"),
  };
}

export function printResult(result: ReturnType<typeof inAll>): void {
  const rows = (kind: keyof Result, unit: string, digits: number, prefix = "") =>
    Object.entries(result[kind]).map(([what, { median, least, most }]): [string, string] => [
      `${prefix}${what}`,
      `${median.toFixed(digits)}${unit}${least === most ? "" : ` (${least.toFixed(digits)} to ${most.toFixed(digits)})`}`,
    ]);
  process.stdout.write(
    rowsOf([
      ...rows("seconds", " s", 1),
      ...rows("restarts", "", 0, "most restarts on one master: "),
      ...rows("milliseconds", " ms", 0),
      ...rows("failures", "", 0),
    ]),
  );
}

export function rowsOf(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([what, value]) => `${what.padEnd(48)} ${value}\n`).join("");
}
