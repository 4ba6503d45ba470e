import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

/** A stand-in for the one key service that can be had on the loopback: Vault's transit engine, as far as Pulumi asks it. */
export interface KeyService {
  readonly env: Readonly<Record<"VAULT_SERVER_URL" | "VAULT_SERVER_TOKEN", string>>;
  stop(): void;
}

/** Starts one with any key that is asked for. What it encrypts it keeps, and a ciphertext is the number of it. */
export async function startKeyService(): Promise<KeyService> {
  const kept: string[] = [];
  const server = createServer(async (request, response) => {
    const body: { plaintext?: string; ciphertext?: string } = JSON.parse(await text(request));
    const { plaintext, ciphertext = "" } = body;
    const isAllowed = request.headers["x-vault-token"] === "contract";
    const data =
      plaintext === undefined
        ? { plaintext: kept[Number(/^vault:v1:(\d+)$/.exec(ciphertext)?.[1])] }
        : { ciphertext: `vault:v1:${kept.push(plaintext) - 1}` };
    response
      .writeHead(isAllowed ? 200 : 403, { "content-type": "application/json" })
      .end(JSON.stringify(isAllowed ? { data } : { errors: ["permission denied"] }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    env: { VAULT_SERVER_URL: `http://127.0.0.1:${port}`, VAULT_SERVER_TOKEN: "contract" },
    stop: () => server.close(),
  };
}
