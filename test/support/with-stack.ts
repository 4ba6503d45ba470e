/** A command line with the stack as the last of its arguments, before its options. */
export function withStack(command: string, args: readonly string[], stack: string): string[] {
  const words = [command, ...args];
  const options = words.findIndex((word) => word.startsWith("--"));
  return options < 0 ? [...words, stack] : [...words.slice(0, options), stack, ...words.slice(options)];
}
