import { createHash } from "node:crypto";
import { createConnection, Socket } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2, { Client, type ConnectConfig } from "ssh2";
import { printable } from "../model/text.ts";
import type { Access } from "./access.ts";
import { DroppedError, explain, UnreachableError } from "./ssh-errors.ts";

export interface Answer {
  readonly code: number | undefined;
  readonly stdout: string;
  /** for people: printable, on one line */
  readonly stderr: string;
}

const connectMilliseconds = 10_000;
/** At most between two attempts where connections are dropped: together less than the bound of one. */
const pausesMilliseconds = [300, 600, 1200, 2400, 4800];
/** Of each of a command's two outputs: far more than any script here has to say. */
const mostBytes = 8 << 20;

/**
 * Runs one command over one connection, with `input` on its standard input.
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function runOverSsh(
  target: Access,
  bastion: Access | undefined,
  command: string,
  input: string,
  timeoutMilliseconds: number,
): Promise<Answer> {
  const { client, socket } = await logIn(target, bastion);
  try {
    return await within(
      timeoutMilliseconds,
      execute(client, target, command, input),
      () =>
        new Error(`Cannot run a command on ${target.host}: no answer within ${timeoutMilliseconds / 1000} s`),
    );
  } finally {
    socket.destroy();
  }
}

/**
 * The host key that a machine shows, as `type base64`; the connection ends before any login.
 * @param types of the keys to ask for; whatever the machine prefers when empty
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function shownHostKey(
  target: Pick<Access, "host" | "port" | "user">,
  bastion: Access | undefined,
  types: readonly string[],
): Promise<string> {
  let shown: string | undefined;
  try {
    const { socket } = await logIn({ ...target, hostKey: types[0] ?? "unchecked" }, bastion, {
      ...(types.length === 0 ? {} : { algorithms: { serverHostKey: types.flatMap(hostKeyAlgorithms) } }),
      hostVerifier: (key: Buffer) => {
        // the type is the first string in it (RFC 4253 section 6.6)
        shown = `${key.toString("latin1", 4, 4 + key.readUInt32BE(0))} ${key.toString("base64")}`;
        return false;
      },
    });
    socket.destroy();
  } catch (error) {
    if (shown === undefined) {
      throw error;
    }
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
export async function startOverSsh(
  target: Access,
  bastion: Access | undefined,
  command: string,
  input: string,
  patience: Patience,
): Promise<Running> {
  const { firstLineSeconds, signSeconds } = patience;
  const { client, socket } = await logIn(target, bastion);
  try {
    const firstLine = await within(
      firstLineSeconds * 1000,
      firstLineOf(client, target, command, input, signSeconds),
      () => new Error(`Cannot run a command on ${target.host}: no answer within ${firstLineSeconds} s`),
    );
    socket.unref();
    return { firstLine, end: () => socket.destroy() };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function firstLineOf(
  client: Client,
  target: Access,
  command: string,
  input: string,
  signSeconds: number,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  client.once("close", () => reject(new Error(`Cannot run a command on ${target.host}: the connection was cut`)));
  client.exec(command, (error, stream) => {
    if (error !== undefined) {
      reject(new Error(`Cannot run a command on ${target.host}: ${printable(error.message)}`));
      return;
    }
    const stdout = collect(stream, () => reject(tooMuchFrom(target)));
    const stderr = collect(stream.stderr, () => reject(tooMuchFrom(target)));
    stream.on("data", () => {
      const [line = "", rest] = stdout().split("\n");
      if (rest !== undefined) {
        resolve(printable(line));
      }
    });
    stream.once("close", () =>
      reject(new Error(`Cannot run a command on ${target.host}: ${printable(stderr()).trim().slice(-400)}`)),
    );
    stream.write(input);
    setInterval(() => stream.writable && stream.write("\n"), signSeconds * 1000).unref();
  });
  return promise;
}

/** All that goes to a machine goes over the socket: destroying it ends all of it at once, whatever the other side does. */
interface Login {
  readonly client: Client;
  readonly socket: Socket;
}

/** Leaves no socket behind when it fails. Many runs may use one bastion at once, so a dropped connection is tried again, each run at its own time. */
async function logIn(
  target: Access,
  bastion: Access | undefined,
  extra: ConnectConfig = {},
  pauses = pausesMilliseconds,
): Promise<Login> {
  const { host, port } = bastion ?? target;
  const socket = createConnection(port, host);
  try {
    return { client: await connectThrough(socket, target, bastion, extra), socket };
  } catch (error) {
    socket.destroy();
    const [pause, ...later] = pauses;
    if (pause === undefined || !(error instanceof DroppedError)) {
      throw error;
    }
    await wait(pause * (0.5 + Math.random() / 2));
    return logIn(target, bastion, extra, later);
  }
}

async function connectThrough(
  socket: Socket,
  target: Access,
  bastion: Access | undefined,
  extra: ConnectConfig,
): Promise<Client> {
  if (bastion === undefined) {
    return connect(target, { ...extra, sock: socket });
  }
  const jump = await connect(bastion, { sock: socket });
  const stream = await within(
    connectMilliseconds,
    forward(jump, target),
    () =>
      new UnreachableError(
        `Cannot connect to ${target.host}:${target.port} through the bastion: no answer within ${connectMilliseconds / 1000} s`,
      ),
  );
  return connect(target, { ...extra, sock: stream });
}

/** Rejects when the time is up first; the caller ends what was waited for. */
function within<T>(milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), milliseconds);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

/** What a stream has said so far, up to a bound. */
function collect(stream: Readable, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      tooMuch();
    } else {
      chunks.push(chunk);
    }
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function tooMuchFrom({ host }: Access): Error {
  return new Error(
    `Cannot run a command on ${host}: it has printed more than ${mostBytes >> 20} MiB; expected the lines of a script`,
  );
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
  const { password } = access;
  // the password, to whatever it asks for: as the command plug-ins do it
  client.on("keyboard-interactive", (_name, _instructions, _language, prompts, answer) =>
    answer(prompts.map(() => password ?? "")),
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
      ...(access.hostKey === "unchecked"
        ? {}
        : { algorithms: { serverHostKey: hostKeyAlgorithms(algorithm) } }),
      ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
      ...(access.passphrase === undefined ? {} : { passphrase: access.passphrase }),
      ...(password === undefined ? {} : { password, tryKeyboard: true }),
      ...(access.agentSocket === undefined ? {} : { agent: new Agent(access.agentSocket) }),
      ...extra,
    });
  } catch (error) {
    reject(explain(access, error instanceof Error ? error : new Error(String(error)), undefined));
  }
  return promise;
}

/** One that is asked and does not answer keeps this process from ending no more than it keeps a login from failing. */
class Agent extends ssh2.OpenSSHAgent {
  override getStream(give: Parameters<ssh2.OpenSSHAgent["getStream"]>[0]): void {
    super.getStream((error, stream) => {
      if (stream instanceof Socket) {
        stream.unref();
      }
      give(error, stream);
    });
  }
}

/** Asks for the pinned key's own type; otherwise a server with several keys may show another one. */
function hostKeyAlgorithms(
  type: string,
): (
  | "ssh-ed25519"
  | "ssh-rsa"
  | "rsa-sha2-256"
  | "rsa-sha2-512"
  | "ecdsa-sha2-nistp256"
  | "ecdsa-sha2-nistp384"
  | "ecdsa-sha2-nistp521"
)[] {
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

function forward(
  jump: Client,
  target: Pick<Access, "host" | "port">,
): Promise<NonNullable<ConnectConfig["sock"]>> {
  const { promise, resolve, reject } = Promise.withResolvers<NonNullable<ConnectConfig["sock"]>>();
  jump.forwardOut("127.0.0.1", 0, target.host, target.port, (error, stream) => {
    if (error === undefined) {
      resolve(stream);
    } else {
      reject(
        new UnreachableError(
          `Cannot connect to ${target.host}:${target.port} through the bastion: ${printable(error.message)}; expected a bastion that may forward TCP (AllowTcpForwarding)`,
        ),
      );
    }
  });
  return promise;
}

function execute(client: Client, target: Access, command: string, input: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  client.once("close", () =>
    reject(new Error(`Cannot run a command on ${target.host}: the connection was cut`)),
  );
  client.exec(command, (error, stream) => {
    if (error !== undefined) {
      reject(new Error(`Cannot run a command on ${target.host}: ${printable(error.message)}`));
      return;
    }
    const stdout = collect(stream, () => reject(tooMuchFrom(target)));
    const stderr = collect(stream.stderr, () => reject(tooMuchFrom(target)));
    stream.on("close", (code: number | null) =>
      resolve({ code: code ?? undefined, stdout: stdout(), stderr: printable(stderr()) }),
    );
    stream.end(input);
  });
  return promise;
}
