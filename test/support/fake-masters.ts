import { createConnection } from "node:net";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2, { type AuthContext } from "ssh2";
import { makeSshKey } from "./ssh-key.ts";
import { unpacked } from "./unpacked.ts";

/** What a master answers to a script: that it fails is bytes on standard error; undefined cuts the connection. */
export type Answer = (script: string) => string | Uint8Array | Said | undefined;

/** An answer with words for people beside it. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** SSH servers that answer like masters, in this process. */
export interface FakeMasters {
  /** by the order of the answers */
  readonly ports: readonly number[];
  /** `type base64`: that of all of them */
  readonly hostKey: string;
  /** how many scripts have been answered */
  readonly answered: () => number;
  stop(): Promise<void>;
}

/** What is special about them. */
export interface FakeOptions {
  /** an address of loopback for each, all with the same port; else one address, and a port for each */
  readonly hosts?: readonly string[];
  /** what they send before the login */
  readonly banner?: string;
  /** what a claim is answered, by the order of the answers @default `claimed` */
  readonly claims?: readonly string[];
  /** the only way to log in @default any key */
  readonly login?: FakeLogin;
}

export interface FakeLogin {
  readonly method: "password" | "keyboard-interactive";
  readonly password: string;
}

/** A server on a free port of loopback for each answer; any key may log in, and any run may claim them. */
export async function startFakeMasters(
  answers: readonly Answer[],
  { hosts, banner, claims = [], login }: FakeOptions = {},
): Promise<FakeMasters> {
  const privateKey = makeSshKey();
  let answered = 0;
  const servers = answers.map(
    (answer, index) =>
      new ssh2.Server({ hostKeys: [privateKey], ...(banner === undefined ? {} : { banner }) }, (client) => {
        // a client that goes away early is the client's business
        client.on("error", () => undefined);
        client.on("authentication", (context) => authenticate(context, login));
        // as a bastion
        client.on("tcpip", (accept, _reject, { destIP, destPort }) => {
          const stream = accept();
          const socket = createConnection(destPort, destIP).on("error", () => stream.destroy());
          stream.pipe(socket).pipe(stream);
        });
        client.on("session", (accept) => {
          accept().on("exec", (acceptExec) => {
            const stream = acceptExec();
            let script = "";
            let isClaim = false;
            stream.on("data", (chunk: Buffer) => {
              script += chunk.toString("utf8");
              // a claim lasts as long as its standard input
              if (!isClaim && script.includes("PHASE='claim'")) {
                isClaim = true;
                stream.write(`${claims[index] ?? "claimed"}\n`);
              }
            });
            stream.on("end", () => {
              if (isClaim) {
                stream.end();
                return;
              }
              const text = answer(unpacked(script));
              if (text === undefined) {
                client.end();
                return;
              }
              answered += 1;
              if (text instanceof Uint8Array) {
                stream.stderr.write(text);
              } else {
                const { stdout, stderr } = typeof text === "string" ? { stdout: text, stderr: "" } : text;
                stream.stderr.write(stderr);
                stream.write(stdout);
              }
              stream.exit(text instanceof Uint8Array ? 1 : 0);
              stream.end();
            });
          });
        });
      }),
  );
  const ports: number[] = [];
  for (const [index, server] of servers.entries()) {
    ports.push(
      await new Promise<number>((resolve, reject) => {
        server.on("error", reject);
        server.listen(hosts === undefined ? 0 : (ports[0] ?? 0), hosts?.[index] ?? "127.0.0.1", () =>
          resolve(portOf(server.address())),
        );
      }),
    );
  }
  const key = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) {
    throw key;
  }
  return {
    ports,
    hostKey: `${key.type} ${key.getPublicSSH().toString("base64")}`,
    answered: () => answered,
    stop: async () => {
      await Promise.all(
        servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
      );
    },
  };
}

function authenticate(context: AuthContext, login: FakeLogin | undefined): void {
  const method = login?.method ?? "publickey";
  const judge = (password: string | undefined) =>
    password === login?.password ? context.accept() : context.reject([method]);
  if (context.method !== method) {
    context.reject([method]);
  } else if (context.method === "keyboard-interactive") {
    context.prompt([{ prompt: "Password: ", echo: false }], ([password]) => judge(password));
  } else {
    judge(context.method === "password" ? context.password : undefined);
  }
}

function portOf(address: unknown): number {
  return typeof address === "object" && address !== null && "port" in address ? Number(address.port) : 0;
}
