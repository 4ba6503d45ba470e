import { createHash } from "node:crypto";
import { createConnection } from "node:net";
import { Client, type ConnectConfig } from "ssh2";
import { printable } from "../model/printable.ts";

/** How one machine is reached. Keys stay in memory. */
export interface Access {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** `type base64`, or `unchecked` */
  readonly hostKey: string;
  readonly privateKey?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly agentSocket?: string | undefined;
}

export interface Answer {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A machine that does not answer, as opposed to one that refuses this key or shows another host key. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

const connectMilliseconds = 10_000;

/**
 * Runs one command over one connection, with `input` on its standard input.
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function runOverSsh(target: Access, bastion: Access | undefined, command: string, input: string, timeoutMilliseconds: number): Promise<Answer> {
  const jump = bastion === undefined ? undefined : await connect(bastion, {});
  try {
    const client = await connect(target, jump === undefined ? {} : { sock: await forward(jump, target) });
    try {
      return await execute(client, target, command, input, timeoutMilliseconds);
    } finally {
      client.end();
    }
  } finally {
    jump?.end();
  }
}

/**
 * The host key that a machine shows, as `type base64`; the connection ends before any login.
 * @param types of the keys to ask for; whatever the machine prefers when empty
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function shownHostKey(target: Pick<Access, "host" | "port" | "user">, bastion: Access | undefined, types: readonly string[]): Promise<string> {
  const jump = bastion === undefined ? undefined : await connect(bastion, {});
  let shown: string | undefined;
  try {
    const look: ConnectConfig = {
      ...(types.length === 0 ? {} : { algorithms: { serverHostKey: types.flatMap(hostKeyAlgorithms) } }),
      hostVerifier: (key: Buffer) => {
        // the type is the first string in it (RFC 4253 section 6.6)
        shown = `${key.toString("latin1", 4, 4 + key.readUInt32BE(0))} ${key.toString("base64")}`;
        return false;
      },
    };
    await connect({ ...target, hostKey: "unchecked" }, jump === undefined ? look : { ...look, sock: await forward(jump, target) });
  } catch (error) {
    if (shown === undefined) {
      throw error;
    }
  } finally {
    jump?.end();
  }
  return shown ?? "";
}

/** A command that goes on until `end`, or until this process ends, which it does not keep from ending. */
export interface Running {
  readonly firstLine: string;
  end(): void;
}

/** How long the first line may take, and how often the command gets a sign of life. */
export interface Patience {
  readonly firstLineSeconds: number;
  readonly signSeconds: number;
}

/**
 * Starts a command with `input` on its standard input, and a line more every few seconds; resolves with its first line.
 * @throws Error `Cannot connect to <host>: …` with the way out; then nothing of it is left
 */
export async function startOverSsh(target: Access, bastion: Access | undefined, command: string, input: string, patience: Patience): Promise<Running> {
  const first = bastion ?? target;
  const socket = createConnection(first.port, first.host);
  let end = () => {
    socket.destroy();
  };
  try {
    const outer = await connect(first, { sock: socket });
    const client = bastion === undefined ? outer : await connect(target, { sock: await forward(outer, target) });
    end = () => {
      client.end();
      outer.end();
    };
    const firstLine = await firstLineOf(client, target, command, input, patience);
    socket.unref();
    return { firstLine, end };
  } catch (error) {
    end();
    throw error;
  }
}

function firstLineOf(client: Client, target: Access, command: string, input: string, { firstLineSeconds, signSeconds }: Patience): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error(`Cannot work on ${target.host}: no answer within ${firstLineSeconds} s`)), firstLineSeconds * 1000);
  client.once("close", () => reject(new Error(`Cannot work on ${target.host}: the connection was cut`)));
  client.exec(command, (error, stream) => {
    if (error !== undefined) {
      reject(new Error(`Cannot run a command on ${target.host}: ${error.message}`));
      return;
    }
    const [stdout, stderr]: [string[], string[]] = [[], []];
    stream.on("data", (chunk: Buffer) => {
      stdout.push(chunk.toString("utf8"));
      const [line = "", rest] = stdout.join("").split("\n");
      if (rest !== undefined) {
        resolve(line);
      }
    });
    stream.stderr.on("data", (chunk: Buffer) => stderr.push(chunk.toString("utf8")));
    stream.once("close", () => reject(new Error(`Cannot work on ${target.host}: ${stderr.join("").trim().slice(-400)}`)));
    stream.write(input);
    setInterval(() => stream.writable && stream.write("\n"), signSeconds * 1000).unref();
  });
  return promise.finally(() => clearTimeout(timer));
}

function connect(access: Access, extra: ConnectConfig): Promise<Client> {
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  const client = new Client();
  let presented: string | undefined;
  client.once("ready", () => resolve(client));
  client.on("error", (error) => reject(explain(access, error, presented)));
  client.once("close", () =>
    reject(
      new UnreachableError(
        `Cannot connect to ${access.host}:${access.port}: the connection was closed; try: ssh -p ${access.port} ${access.user}@${access.host} true`,
      ),
    ),
  );
  const algorithm = access.hostKey.split(" ")[0] ?? "";
  try {
    client.connect({
      host: access.host,
      port: access.port,
      username: access.user,
      readyTimeout: connectMilliseconds,
      hostVerifier: (key: Buffer) => {
        presented = `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
        return access.hostKey === "unchecked" || access.hostKey.split(" ")[1] === key.toString("base64");
      },
      ...(access.hostKey === "unchecked" ? {} : { algorithms: { serverHostKey: hostKeyAlgorithms(algorithm) } }),
      ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
      ...(access.passphrase === undefined ? {} : { passphrase: access.passphrase }),
      ...(access.agentSocket === undefined ? {} : { agent: access.agentSocket }),
      ...extra,
    });
  } catch (error) {
    reject(explain(access, error instanceof Error ? error : new Error(String(error)), undefined));
  }
  return promise;
}

/** Asks for the pinned key's own type; otherwise a server with several keys may show another one. */
function hostKeyAlgorithms(
  type: string,
): ("ssh-ed25519" | "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521")[] {
  switch (type) {
    case "ssh-rsa":
      return ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];
    case "ecdsa-sha2-nistp256":
    case "ecdsa-sha2-nistp384":
    case "ecdsa-sha2-nistp521":
      return [type];
    default:
      return ["ssh-ed25519"];
  }
}

function forward(jump: Client, target: Pick<Access, "host" | "port">): Promise<NonNullable<ConnectConfig["sock"]>> {
  const { promise, resolve, reject } = Promise.withResolvers<NonNullable<ConnectConfig["sock"]>>();
  jump.forwardOut("127.0.0.1", 0, target.host, target.port, (error, stream) => {
    if (error === undefined) {
      resolve(stream);
    } else {
      reject(
        new UnreachableError(
          `Cannot connect to ${target.host}:${target.port} through the bastion: ${error.message}; expected a bastion that may forward TCP (AllowTcpForwarding)`,
        ),
      );
    }
  });
  return promise;
}

function execute(client: Client, target: Access, command: string, input: string, timeoutMilliseconds: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const timer = setTimeout(
    () => reject(new Error(`Cannot run a command on ${target.host}: no answer within ${timeoutMilliseconds / 1000} s`)),
    timeoutMilliseconds,
  );
  client.once("close", () => reject(new Error(`Cannot run a command on ${target.host}: the connection was cut`)));
  client.exec(command, (error, stream) => {
    if (error !== undefined) {
      reject(new Error(`Cannot run a command on ${target.host}: ${error.message}`));
      return;
    }
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    stream.on("data", (chunk: Buffer) => stdout.push(chunk));
    stream.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    stream.on("close", (code: number | null) =>
      resolve({ code: code ?? undefined, stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8") }),
    );
    stream.end(input);
  });
  return promise.finally(() => clearTimeout(timer));
}

function explain(access: Access, error: Error, presented: string | undefined): Error {
  const where = `Cannot connect to ${access.host}:${access.port} as ${access.user}`;
  // a server may send anything as its reason to end the connection
  const text = printable(error.message).slice(0, 400);
  if (/host denied|verification failed/i.test(text)) {
    return new Error(
      `${where}: its host key is ${presented ?? "another one"}, expected the hostKey of the stack file (${access.hostKey.split(" ")[0]}). If the machine was replaced on purpose, compare and set: ssh-keyscan -p ${access.port} ${access.host}`,
    );
  }
  if (/authentication methods failed/i.test(text)) {
    return new Error(
      `${where}: the key was refused; expected a key in that user's authorized_keys. Try: ssh -p ${access.port} ${access.user}@${access.host} true`,
    );
  }
  if (/passphrase|encrypted|parse privateKey/i.test(text)) {
    return new Error(`${where}: the private key cannot be read (${text}); set ssh.passphrase when it is protected`);
  }
  return new UnreachableError(
    `${where}: ${text === "" ? error.name : text}. Is the master up and reachable from here? Try: ssh -p ${access.port} ${access.user}@${access.host} true`,
  );
}
