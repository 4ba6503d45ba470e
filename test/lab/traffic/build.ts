import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "../topology.ts";

const run = promisify(execFile);
const source = import.meta.dirname;

/**
 * Path of the traffic program, which is built unless the cache has it for exactly these sources.
 * The folder appears by a rename, so one that is there is complete.
 */
export async function buildTraffic(): Promise<string> {
  const cache = join(cacheFolder(), "lab");
  const folder = join(cache, `traffic-${await inputHash()}`);
  const program = join(folder, "traffic");
  if (await exists(program)) {
    return program;
  }
  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, ".traffic-"));
  try {
    const options = { cwd: source, env: { ...process.env, CGO_ENABLED: "0", GOWORK: "off" } };
    await run(
      "nice",
      ["go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", join(staging, "traffic"), "."],
      options,
    );
    await rename(staging, folder).catch(async (error: unknown) => {
      // Somebody else was faster with the same inputs.
      if (!(await exists(program))) {
        throw error;
      }
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return program;
}

async function inputHash(): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(source)).filter(
    (name) => name.endsWith(".go") || name === "go.mod" || name === "go.sum",
  );
  for (const name of names.sort()) {
    hash
      .update(`${name}\0`)
      .update(await readFile(join(source, name)))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
