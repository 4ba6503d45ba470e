import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";

/** The browser that this machine has; undefined without one. */
export const [chromium] = ["chromium", "chromium-browser", "google-chrome"].filter(
  (name) => spawnSync("which", [name]).status === 0,
);

/**
 * Opens a page in it without a display.
 * @param profile a folder for what it writes down
 */
export function openPage(file: string, profile: string, ...options: readonly string[]) {
  const common = ["--headless=new", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`];
  const words = [...common, ...options, pathToFileURL(file).href];
  return spawnSync(chromium ?? "chromium", words, { encoding: "utf8", timeout: 60_000 });
}
