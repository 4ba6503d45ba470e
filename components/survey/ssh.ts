import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { ClientChannel } from "ssh2";
import { printable } from "../model/text.ts";
import type { Access } from "./access.ts";
import { logIn, within } from "./ssh-login.ts";

interface Answer {
  readonly code: number | undefined;
  readonly stdout: string;
  /** for people: printable, on one line */
  readonly stderr: string;
}

/** Of each of a script's two outputs: far more than any script here has to say. */
const mostBytes = 8 << 20;

/** How a script is run: as root, from standard input, so that nothing of it is in an argument. */
export function remoteShell(user: string): string {
  return user === "root" ? "bash -s" : "sudo -n bash -s";
}

/**
 * Runs one script over one connection.
 * @throws Error `Cannot connect to <host>: …` with the way out
 */
export async function runOverSsh(
  target: Access,
  bastion: Access | undefined,
  script: string,
  timeoutMilliseconds: number,
): Promise<Answer> {
  const { result, socket } = await open<Answer>(
    target,
    bastion,
    timeoutMilliseconds / 1000,
    ({ stream, stdout, stderr }, resolve) => {
      stream.on("close", (code: number | null) =>
        resolve({ code: code ?? undefined, stdout: stdout(), stderr: printable(stderr()) }),
      );
      stream.end(script);
    },
  );
  socket.destroy();
  return result;
}

/** A script that goes on until `end`, or until this process ends, which it does not keep from ending. */
interface Running {
  readonly firstLine: string;
  end(): void;
}

/**
 * Starts a script, with a line more on its standard input every few seconds; resolves with its first line.
 * @param patience how long the first line may take, and how often the script gets a sign of life
 * @throws Error `Cannot connect to <host>: …` with the way out; then nothing of it is left
 */
export async function startOverSsh(
  target: Access,
  bastion: Access | undefined,
  script: string,
  patience: { readonly firstLineSeconds: number; readonly signSeconds: number },
): Promise<Running> {
  const { result, socket } = await open<string>(
    target,
    bastion,
    patience.firstLineSeconds,
    ({ stream, stdout, stderr, fail }, resolve) => {
      stream.on("data", () => {
        const [line = "", rest] = stdout().split("\n");
        if (rest !== undefined) {
          resolve(printable(line));
        }
      });
      stream.once("close", () => fail(printable(stderr()).trim().slice(-400)));
      stream.write(script);
      setInterval(() => stream.writable && stream.write("\n"), patience.signSeconds * 1000).unref();
    },
  );
  socket.unref();
  return { firstLine: result, end: () => socket.destroy() };
}

/** A shell that runs, and what it has printed so far. */
interface Started {
  readonly stream: ClientChannel;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly fail: (what: string) => void;
}

/** Logs in and starts a shell; `use` says when there is a result. Leaves no socket behind when there is none in time. */
async function open<Result>(
  target: Access,
  bastion: Access | undefined,
  seconds: number,
  use: (started: Started, resolve: (result: Result) => void) => void,
): Promise<{ readonly result: Result; readonly socket: Socket }> {
  const { client, socket } = await logIn(target, bastion);
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const refusal = (what: string) => new Error(`Cannot run a command on ${target.host}: ${what}`);
  const fail = (what: string) => reject(refusal(what));
  client.once("close", () => fail("the connection was cut"));
  try {
    client.exec(remoteShell(target.user), (error, stream) => {
      if (error !== undefined) {
        fail(printable(error.message));
        return;
      }
      const tooMuch = () =>
        fail(`it has printed more than ${mostBytes >> 20} MiB; expected the lines of a script`);
      const [stdout, stderr] = [collect(stream, tooMuch), collect(stream.stderr, tooMuch)];
      use({ stream, stdout, stderr, fail }, resolve);
    });
    const result = await within(seconds * 1000, promise, () => refusal(`no answer within ${seconds} s`));
    return { result, socket };
  } catch (error) {
    socket.destroy();
    throw error;
  }
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
