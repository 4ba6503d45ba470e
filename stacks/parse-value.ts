/** Pulumi keeps objects, lists, numbers and booleans as JSON, and strings as they are. Gives back the value of such a text. */
export function parseValue(text: string): unknown {
  if (!/^([[{].*|true|false|)$/s.test(text)) {
    return text;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
