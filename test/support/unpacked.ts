import { gunzipSync } from "node:zlib";

/** A script with what bash unpacks in plain text in its place. */
export function unpacked(script: string): string {
  return script.replace(/^eval "\$\(printf '%s' '([^']*)' \| base64 -d \| gunzip\)"$/gm, (_, text: string) =>
    gunzipSync(Buffer.from(text, "base64")).toString("utf8"),
  );
}
