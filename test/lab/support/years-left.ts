const year = 365.25 * 86_400_000;

/** How many years from now each `notAfter=` that OpenSSL has printed is, rounded. */
export function yearsLeft(text: string): number[] {
  return [...text.matchAll(/notAfter=(.+)/g)].map(([, end = ""]) =>
    Math.round((Date.parse(end) - Date.now()) / year),
  );
}
