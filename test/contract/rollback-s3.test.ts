import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bucketFolder, copyOf } from "../../cli/state/backend.ts";
import { RollbackStack } from "./rollback-stack.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";

// Teams keep their states in a bucket. The real engine with a real S3-compatible server: every request is signed and checked.

const folder = mkdtempSync(join(tmpdir(), "rollback-s3-"));
let server: S3Server;

beforeAll(async () => {
  server = await startS3Server(join(folder, "server"));
});

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each([
  ["plain states in the bucket itself", "states", {}],
  ["packed states in a folder of the bucket", "states/team/packed", { PULUMI_DIY_BACKEND_GZIP: "true" }],
])("%s", (name, place, env) => {
  let stack: RollbackStack;
  const material: string[][] = [];

  beforeAll(async () => {
    stack = new RollbackStack(join(folder, name), {
      ...server.credentials,
      ...env,
      PULUMI_BACKEND_URL: server.url(place),
    });
    stack.configure("one");
    await stack.pulumi(["stack", "init", "prod"]);
    for (const [index, rotation] of ["one", "two", "three"].entries()) {
      stack.configure(rotation);
      await stack.up(index + 1);
      material.push(await stack.material());
    }
  });

  test("are listed, and no copy of them stays", async () => {
    const { code, stdout, stderr } = await stack.rollback(["--list", "--json"]);
    expect(code, stderr).toBe(0);
    const listed: { number: number; rotation: string; isPresent: boolean }[] = JSON.parse(stdout);
    // the other test adds those that it goes back and forward to
    expect(listed.slice(-3)).toMatchObject([
      { number: 3, rotation: "three", isPresent: true },
      { number: 2, rotation: "two", isPresent: false },
      { number: 1, rotation: "one", isPresent: false },
    ]);
    expect(readdirSync(join(stack.folder, "tmp")).filter((own) => own.startsWith("etcd-rotation"))).toEqual(
      [],
    );
  });

  test("are gone back to, and forward again", async () => {
    const back = await stack.rollback(["--to", "1", "--yes", "--json"]);
    expect(back.code, back.stderr).toBe(0);
    expect(await stack.material()).toEqual(material[0]);
    const { saved }: { saved: string } = JSON.parse(back.stdout);
    const forward = await stack.rollback(["--to", saved, "--yes"]);
    expect(forward.code, forward.stderr).toBe(0);
    expect(await stack.material()).toEqual(material[2]);
  });
});

test("a store that refuses the copy, although the CLI was let in", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", server.credentials.AWS_ACCESS_KEY_ID);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "wrong");
  await expect(copyOf(bucketFolder(server.url("states"), ["history"]))).rejects.toThrow(
    /^Cannot read s3:\/\/states\/history\/: SignatureDoesNotMatch: /,
  );
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", server.credentials.AWS_SECRET_ACCESS_KEY);
  await expect(copyOf(bucketFolder(server.url("elsewhere"), ["history"]))).rejects.toThrow(
    /^Cannot read s3:\/\/elsewhere\/history\/: NoSuchBucket: /,
  );
  vi.unstubAllEnvs();
});

test.each([
  ["another secret", "states", { AWS_SECRET_ACCESS_KEY: "wrong" }, "SignatureDoesNotMatch"],
  ["no such bucket", "elsewhere", {}, "NoSuchBucket"],
])("%s: an error that says so", async (name, place, env, reason) => {
  const stack = new RollbackStack(join(folder, name), {
    ...server.credentials,
    ...env,
    PULUMI_BACKEND_URL: server.url(place),
  });
  stack.configure("one");
  const { code, stdout, stderr } = await stack.rollback(["--list"]);
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringContaining(reason) });
  expect(stderr).not.toContain("contract-secret");
});
