import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildModule, builtFolder, installedGo, isBuilt } from "../../tools/engine/build-module.ts";
import type { EngineModule } from "../../tools/engine/engine-modules.ts";
import { freePort } from "./ssh-server.ts";

// Versity's gateway: kept by a storage company, checks signatures, and keeps objects as plain files. It is built once.
const module: EngineModule = {
  parent: import.meta.dirname,
  folder: "s3-server",
  binary: "versitygw",
  target: "github.com/versity/versitygw/cmd/versitygw",
  flags: ["-ldflags=-s -w"],
};

/** A server with one bucket, `states`. */
export interface S3Server {
  /** of a bucket and a folder in it, as Pulumi takes it */
  url(place: string): string;
  readonly credentials: Readonly<Record<"AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY", string>>;
  stop(): Promise<void>;
}

/** Starts a server on the loopback that keeps its objects in `folder`. */
export async function startS3Server(folder: string): Promise<S3Server> {
  const go = await installedGo();
  if (!isBuilt(module, go)) {
    await buildModule(module, go);
  }
  const [objects, attributes] = [join(folder, "objects"), join(folder, "attributes")];
  mkdirSync(join(objects, "states"), { recursive: true });
  mkdirSync(attributes);
  const port = await freePort("127.0.0.1");
  const credentials = { AWS_ACCESS_KEY_ID: "contract", AWS_SECRET_ACCESS_KEY: "contract-secret" };
  const env = {
    ...process.env,
    ROOT_ACCESS_KEY: credentials.AWS_ACCESS_KEY_ID,
    ROOT_SECRET_KEY: credentials.AWS_SECRET_ACCESS_KEY,
  };
  // a file system for temporary files may keep no attributes
  const args = [
    "--port",
    `127.0.0.1:${port}`,
    "--region",
    "cn-test",
    "posix",
    "--sidecar",
    attributes,
    objects,
  ];
  const child = spawn(join(builtFolder(module, go), module.binary), args, {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await untilListening(child, port);
  return {
    url: (place) =>
      `s3://${place}?region=cn-test&endpoint=127.0.0.1:${port}&disableSSL=true&s3ForcePathStyle=true`,
    credentials,
    stop: () => {
      child.kill();
      return ended;
    },
  };
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  while (child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer !== undefined) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Cannot start the S3 server: ${said}`);
}
