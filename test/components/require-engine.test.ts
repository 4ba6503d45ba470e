import { createServer, type Http2Server } from "node:http2";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, expect, test } from "vitest";
import { surveyCluster } from "../../components/cluster.ts";
import { args } from "./program.ts";

// The SDK's real question to a stand-in for the engine, which speaks gRPC. Nobody listens where the masters are said to be.

const running: Http2Server[] = [];
const nobody = {
  ...args,
  masters: args.masters.map((master) => ({ ...master, host: "127.0.0.1", port: 1 })),
};

afterEach(() => {
  pulumi.runtime.disconnectSync();
  for (const server of running.splice(0)) {
    server.close();
  }
});

/** What a survey ends with where the engine answers the question for its version so. */
async function surveyUnder(code: number, message: string): Promise<string> {
  const server = createServer();
  running.push(server);
  server.on("stream", (stream, { ":path": path }) => {
    const head = { ":status": 200, "content-type": "application/grpc" };
    let question = "";
    stream.setEncoding("utf8").on("data", (text: string) => {
      question += text;
    });
    stream.on("end", () => {
      const isKnown = path === "/pulumirpc.Engine/RequirePulumiVersion" && question.includes(">=3.211.0");
      if (code !== 0 || !isKnown) {
        stream.respond(
          { ...head, "grpc-status": String(code), "grpc-message": message },
          { endStream: true },
        );
        return;
      }
      stream.respond(head, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      // an empty message: not compressed, of no length
      stream.end(Buffer.alloc(5));
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  pulumi.runtime.resetOptions("etcd-rotation", "test", -1, `127.0.0.1:${port}`, "", true, "organization");
  return surveyCluster(nobody).then(
    () => "surveyed",
    (error: unknown) => String(error),
  );
}

test.each([
  [12, "unknown method", "does not support the `RequirePulumiVersion` RPC"],
  [2, "Pulumi CLI version 3.210.0 does not satisfy it", "Pulumi CLI version 3.210.0 does not satisfy it"],
])(
  "an engine that answers with code %d, %s, would keep every private key: refused before masters are looked at",
  async (code, message, seen) => {
    const said = await surveyUnder(code, message);
    expect(said).toContain("Cannot rotate with this Pulumi CLI: ");
    expect(said).toContain(seen);
    expect(said).toContain("expected 3.211.0 or later, since an older one keeps every private key");
  },
);

test("an engine that is new enough goes on", async () => {
  expect(await surveyUnder(0, "")).toContain("Cannot connect to 127.0.0.1:1 as root");
});
