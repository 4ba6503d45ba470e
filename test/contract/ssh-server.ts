import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** Debian's OpenSSH server; it insists on its absolute path. */
const sshd = "/usr/sbin/sshd";
const startSeconds = 10;

/** A key pair in files, as OpenSSH keeps them. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** @param password encrypts the private key; none when empty */
export function makeKeyPair(folder: string, name: string, password = ""): KeyPair {
  const file = join(folder, name);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", password, "-C", name, "-f", file]);
  return { privateKey: readFileSync(file, "utf8"), publicKey: readFileSync(`${file}.pub`, "utf8") };
}

export interface SshServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
  /** What the server has logged so far. */
  log(): string;
  stop(): Promise<void>;
}

/**
 * Starts a real sshd on a free port of loopback that accepts these keys and nothing else.
 * @param maxStartups how many connections it keeps at once that have not logged in; it drops the others before it names itself
 */
export async function startSshServer(
  folder: string,
  name: string,
  accepted: readonly KeyPair[],
  maxStartups = "100",
): Promise<SshServer> {
  const host = "127.0.0.1";
  const port = await freePort(host);
  const hostKey = makeKeyPair(folder, `${name}-host`);
  const file = (suffix: string) => join(folder, `${name}-${suffix}`);
  writeFileSync(file("authorized"), accepted.map((key) => key.publicKey).join(""), { mode: 0o600 });
  const settings = [
    `Port ${port}`,
    `ListenAddress ${host}`,
    `HostKey ${file("host")}`,
    `AuthorizedKeysFile ${file("authorized")}`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "AcceptEnv CONTRACT_* PULUMI_COMMAND_*",
    `MaxStartups ${maxStartups}`,
    // Bash reads .bashrc for a first-level shell under sshd, and what that prints would be taken for the command's.
    "SetEnv SHLVL=2",
  ];
  writeFileSync(file("config"), `${settings.join("\n")}\n`);
  if (process.getuid?.() === 0) {
    // sshd's privilege separation folder, which Debian's service makes at boot.
    mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  }
  const child = spawn(sshd, ["-D", "-f", file("config"), "-E", file("log")], { stdio: "ignore" });
  const log = () => readFileSync(file("log"), "utf8");
  await untilListening(host, port, child, log);
  return {
    host,
    port,
    user: userInfo().username,
    hostKey: hostKey.publicKey.trim(),
    log,
    stop: () => stopped(child),
  };
}

/** An SSH agent that holds one key. */
export interface SshAgent {
  readonly socketPath: string;
  stop(): Promise<void>;
}

export async function startSshAgent(folder: string, keyFile: string): Promise<SshAgent> {
  const socketPath = join(folder, "agent");
  const child = spawn("ssh-agent", ["-D", "-a", socketPath], { stdio: "ignore" });
  const deadline = performance.now() + startSeconds * 1000;
  for (;;) {
    try {
      const env = { ...process.env, SSH_AUTH_SOCK: socketPath };
      execFileSync("ssh-add", ["-q", join(folder, keyFile)], { env, stdio: "pipe" });
      return { socketPath, stop: () => stopped(child) };
    } catch (error) {
      if (performance.now() > deadline) {
        throw error;
      }
      await wait(50);
    }
  }
}

/** A port that nobody listens on at this moment. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") {
    throw new Error(`Cannot find a free port on ${host}: the address was "${String(address)}"`);
  }
  return address.port;
}

async function untilListening(
  host: string,
  port: number,
  child: ChildProcess,
  log: () => string,
): Promise<void> {
  const deadline = performance.now() + startSeconds * 1000;
  while (!(await isListening(host, port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`Cannot start ${sshd} on ${host}:${port}; it logged:\n${log()}`);
    }
    await wait(50);
  }
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.on("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
