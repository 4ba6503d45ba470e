#!/usr/bin/env node
import { existsSync } from "node:fs";

// a checkout runs from its sources, a package from what was compiled of them
const sources = new URL("main.ts", import.meta.url);
if (existsSync(sources) && !process.features.typescript) {
  process.stderr.write(
    `Cannot run from sources with Node.js ${process.version}; expected 22.18 or newer, which npm ci puts into node_modules. Run: npx etcd-rotation\n`,
  );
  process.exitCode = 3;
} else {
  await import(existsSync(sources) ? sources.href : new URL("../dist/cli/main.js", import.meta.url).href);
}
