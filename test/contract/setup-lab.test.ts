import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runProgram } from "../lab/machine.ts";

// Kubernetes' releases are played by a server on loopback, Go by a script: the choice and the checksums, not that the official binaries run.

const build = join(import.meta.dirname, "..", "lab", "image", "build");
const names = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"];
const root = mkdtempSync(join(tmpdir(), "setup lab "));
let releases: Server;
let origin = "";
let altered = "";
let folder = "";

/** Makes the binaries' part of the image. */
async function buildBinaries(
  from: string,
): Promise<{ readonly files: readonly string[]; readonly kubelet: string }> {
  const { code, stdout, stderr } = await runProgram("bash", [build, "part", "build_binaries", folder], {
    environment: {
      ...process.env,
      PATH: `${join(root, "bin")}${delimiter}${process.env["PATH"]}`,
      ETCD_ROTATION_KUBERNETES_ORIGIN: from,
    },
  });
  expect(code, stdout + stderr).toBe(0);
  return { files: readdirSync(folder).toSorted(), kubelet: readFileSync(join(folder, "kubelet"), "utf8") };
}

beforeAll(async () => {
  mkdirSync(join(root, "bin"));
  writeFileSync(
    join(root, "bin", "go"),
    '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf built >"$2"\n',
    { mode: 0o755 },
  );
  releases = createServer((request, response) => {
    const name = /^\/v1\.30\.14\/bin\/linux\/\w+\/([\w-]+)(\.sha256)?$/.exec(request.url ?? "");
    const sum = createHash("sha256").update(`official ${name?.[1]}`).digest("hex");
    response.end(name?.[2] === undefined ? `official ${name?.[1]}${name?.[1] === altered ? "!" : ""}` : sum);
  });
  await new Promise<void>((resolve) => releases.listen(0, "127.0.0.1", resolve));
  const address = releases.address();
  origin = typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
});

beforeEach(() => {
  folder = mkdtempSync(join(root, "binaries "));
  altered = "";
});

afterAll(() => {
  releases.close();
  rmSync(root, { recursive: true, force: true });
});

describe.skipIf(process.getuid?.() !== 0)("Kubernetes for the lab", () => {
  test("is the official release where it can be had", async () => {
    expect(await buildBinaries(origin)).toEqual({ files: names, kubelet: "official kubelet" });
  });

  test("is built when one binary is not that of its checksum", async () => {
    altered = "kube-scheduler";
    expect(await buildBinaries(origin)).toEqual({ files: names, kubelet: "built" });
  });

  test("is built where no release can be reached", async () => {
    expect(await buildBinaries("http://127.0.0.1:9")).toEqual({ files: names, kubelet: "built" });
  });
});
