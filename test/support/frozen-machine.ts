import { createServer, type Socket } from "node:net";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2 from "ssh2";
import { makeSshKey } from "./ssh-key.ts";

/** What an SSH server is asked for, in this order; `forward` is what a bastion is asked for. */
export type Stage = "connection" | "login" | "session" | "command" | "forward";

export interface FrozenMachine {
  readonly port: number;
  stop(): void;
}

/** A machine that does all before the stage, and then neither reads nor says anything; its connections stay as they are. */
export async function startFrozenMachine(stage: Stage): Promise<FrozenMachine> {
  const hostKeys = [makeSshKey()];
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    const reach = (reached: Stage, goOn: () => void) => (reached === stage ? socket.pause() : goOn());
    reach("connection", () =>
      new ssh2.Server({ hostKeys }, (client) => {
        client.on("authentication", (context) =>
          reach("login", () =>
            context.method === "publickey" ? context.accept() : context.reject(["publickey"]),
          ),
        );
        client.on("session", (accept) =>
          reach("session", () => accept().on("exec", (run) => reach("command", run))),
        );
        client.on("tcpip", () => reach("forward", () => undefined));
        // stopped, or left by a client that has waited long enough
        client.on("error", () => undefined);
      }).injectSocket(socket),
    );
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    stop: () => {
      listener.close();
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}
