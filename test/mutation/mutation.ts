/** One deliberate fault: a change that would hurt a user, and the test that has to see it. */
export interface Mutation {
  readonly file: string;
  /** stands in the file exactly once */
  readonly from: string;
  readonly to: string;
  /** of `test`: a bats file, or one of vitest */
  readonly tests: string;
  /** part of one test's name: the others of that file are not run */
  readonly test: string;
}

/**
 * The text with the fault in it.
 * @throws RangeError when `from` does not stand in the text exactly once: the file was changed, and the table was not
 */
export function mutate(text: string, { file, from, to }: Mutation): string {
  const count = text.split(from).length - 1;
  if (count !== 1) {
    throw new RangeError(
      `Cannot change ${file}: ${JSON.stringify(from)} stands there ${count} times; expected once. Bring its entry in test/mutation up to date`,
    );
  }
  return text.replace(from, () => to);
}

/**
 * The name of the test that has to see the fault.
 * @throws RangeError when no test of the text has it, or several have
 */
export function testNamed(text: string, { tests, test }: Mutation): string {
  const names = [...text.matchAll(/(?:^@test |\btest\()"((?:[^"\\]|\\.)*)"/gm)].flatMap(([, name = ""]) =>
    name.includes(test) ? [name] : [],
  );
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new RangeError(
      `Cannot find the test ${JSON.stringify(test)} in test/${tests}: ${names.length} have it in their names; expected one`,
    );
  }
  return name;
}
