import { createHash } from "node:crypto";
import { createConnection, Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
// biome-ignore lint/correctness/noUnresolvedImports: a CommonJS module, of which Node sees the default export alone
import ssh2, { Client, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";
import { printable } from "../model/text.ts";
import type { Access, SshEndpoint } from "./access.ts";
import { DroppedError, explain, UnreachableError } from "./ssh-errors.ts";

const connectMilliseconds = 10_000;
/** At most between two attempts where connections are dropped: together less than the bound of one. */
const pausesMilliseconds = [300, 600, 1200, 2400, 4800];

/** All that goes to a machine goes over the socket: destroying it ends all of it at once, whatever the other side does. */
interface Login {
  readonly client: Client;
  readonly socket: Socket;
}

/** Leaves no socket behind when it fails. Many runs may use one bastion at once, so a dropped connection is tried again, each run at its own time. */
export async function logIn(
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
  const unreachable = (why: string) =>
    new UnreachableError(`Cannot connect to ${target.host}:${target.port} through the bastion: ${why}`);
  const forwarded = promisify(jump.forwardOut.bind(jump))("127.0.0.1", 0, target.host, target.port);
  const stream = await within(
    connectMilliseconds,
    forwarded.catch(({ message }: Error) => {
      throw unreachable(
        `${printable(message)}; expected a bastion that may forward TCP (AllowTcpForwarding)`,
      );
    }),
    () => unreachable(`no answer within ${connectMilliseconds / 1000} s`),
  );
  return connect(target, { ...extra, sock: stream });
}

/**
 * The host key that a machine shows, as `type base64`; the connection ends before any login.
 * @param types of the keys to ask for; whatever the machine prefers when empty
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function shownHostKey(
  target: SshEndpoint,
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

/** Rejects when the time is up first; the caller ends what was waited for. */
export function within<T>(milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), milliseconds);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
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
  const [type = "", publicKey] = access.hostKey.split(" ");
  try {
    client.connect({
      host: access.host,
      port: access.port,
      username: access.user,
      readyTimeout: connectMilliseconds,
      hostVerifier: (key: Buffer) => {
        presented = `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
        return access.hostKey === "unchecked" || publicKey === key.toString("base64");
      },
      ...(access.hostKey === "unchecked" ? {} : { algorithms: { serverHostKey: hostKeyAlgorithms(type) } }),
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
function hostKeyAlgorithms(type: string): ServerHostKeyAlgorithm[] {
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
