/** The same function, computing each answer once. */
export function remembered<Argument, Result>(
  of: (argument: Argument) => Result,
  key: (argument: Argument) => string,
): (argument: Argument) => Result {
  const answers = new Map<string, Result>();
  return (argument) => {
    const name = key(argument);
    const known = answers.get(name);
    if (known !== undefined) {
      return known;
    }
    const answer = of(argument);
    answers.set(name, answer);
    return answer;
  };
}

/** The same for a function of two; `key` tells what of either its answers hang on. */
export function rememberedForPairs<Argument, Result>(
  of: (one: Argument, other: Argument) => Result,
  key: (argument: Argument) => string,
): (one: Argument, other: Argument) => Result {
  const forFirst = remembered((one: Argument) => remembered((other: Argument) => of(one, other), key), key);
  return (one, other) => forFirst(one)(other);
}
