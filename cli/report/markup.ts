/** A part of a page; only `html` makes one. */
export interface Html {
  readonly markup: string;
}
export type Part = string | number | Html | readonly Html[];

const signs: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Markup with values in it: whatever is no markup itself is text, and cannot become any. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const texts = parts.map((part) => {
    if (typeof part === "string" || typeof part === "number") {
      return String(part).replaceAll(/[&<>"']/g, (sign) => signs[sign] ?? "");
    }
    return "markup" in part ? part.markup : part.map(({ markup }) => markup).join("");
  });
  return { markup: String.raw({ raw: strings }, ...texts) };
}
