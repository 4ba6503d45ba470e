#!/usr/bin/env node
import { existsSync } from "node:fs";

// a checkout runs from its sources, a package from what was compiled of them
const sources = new URL("main.ts", import.meta.url);
const isCheckout = existsSync(sources);
const [major, minor] = process.versions.node.split(".").map(Number);
const isOld = major < 22 || (major === 22 && minor < 18);
if (isOld || (isCheckout && !process.features.typescript)) {
  const way = isCheckout ? ", which npm ci puts into node_modules. Run: npx etcd-rotation" : "";
  process.stderr.write(
    `Cannot run ${isCheckout ? "from sources " : ""}with Node.js ${process.version}; expected 22.18 or newer${way}\n`,
  );
  process.exitCode = 3;
} else {
  await import(isCheckout ? sources.href : new URL("../dist/cli/main.js", import.meta.url).href);
}
