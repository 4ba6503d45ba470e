/**
 * One project's settings out of a stack file's config, as Pulumi hands it over: every value as text, objects and lists as JSON.
 * Every reader of stack files goes this way, so that no command takes a value for something else than `up` does.
 */
export function projectSettings(
  config: Readonly<Record<string, string>>,
  project: string,
): Record<string, unknown> {
  const prefix = `${project}:`;
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, text]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), parse(text)]] : [],
    ),
  );
}

function parse(text: string): unknown {
  if (!/^([[{].*|true|false)$/s.test(text)) {
    return text;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
