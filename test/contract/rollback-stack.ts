import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { withStack } from "../support/with-stack.ts";

const root = join(import.meta.dirname, "..", "..");

/** A finished command. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A stack of real authorities and leaves without masters, in a folder of its own, with a file backend or another one. */
export class RollbackStack {
  readonly folder: string;
  readonly stackFile: string;
  readonly history: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(
    folder: string,
    backend: NodeJS.ProcessEnv = { PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href },
  ) {
    this.folder = folder;
    this.stackFile = join(folder, "stacks", "Pulumi.prod.yaml");
    this.history = join(folder, "state", ".pulumi", "history", "etcd-rotation", "prod");
    for (const name of ["state", "stacks", "tmp"]) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    writeFileSync(
      join(folder, "Pulumi.yaml"),
      "name: etcd-rotation\nruntime:\n  name: nodejs\n  options:\n    typescript: false\nstackConfigDir: stacks\n",
    );
    writeFileSync(join(folder, "package.json"), '{ "type": "module", "main": "program.ts" }\n');
    writeFileSync(
      join(folder, "program.ts"),
      `export * from ${JSON.stringify(join(import.meta.dirname, "rollback-program.ts"))};\n`,
    );
    writeFileSync(join(folder, "cluster"), "4242");
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    this.#env = {
      ...engineEnvironment().env,
      PULUMI_CONFIG_PASSPHRASE: "contract",
      XDG_STATE_HOME: join(folder, "xdg"),
      TMPDIR: join(folder, "tmp"),
      NO_COLOR: "1",
      ...backend,
    };
  }

  /** Writes the stack file; what the engine put there stays. */
  configure(rotation: string, certificates = ""): void {
    const present = existsSync(this.stackFile) ? readFileSync(this.stackFile, "utf8") : "";
    const salt = (present.match(/^(encryptionsalt|secretsprovider|encryptedkey): .*\n/gm) ?? []).join("");
    writeFileSync(
      this.stackFile,
      `# the test's cluster\n${salt}config:\n  etcd-rotation:rotation:   "${rotation}"   # change it to rotate\n  etcd-rotation:masters: [{ name: master-1, address: 10.0.0.1, etcdName: n1, hostKey: unchecked }]\n  etcd-rotation:ssh: { agent: true }\n${certificates}`,
    );
  }

  /** The CLI; throws when it fails. */
  async pulumi(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const ended = await this.#run(
      engineEnvironment().pulumi,
      ["--non-interactive", "--color", "never", ...args],
      { ...this.#env, ...env },
    );
    if (ended.code !== 0) {
      throw new Error(`pulumi ${args[0]}: ${ended.stdout}${ended.stderr}`);
    }
    return ended.stdout;
  }

  async up(rollout: number, env: NodeJS.ProcessEnv = {}): Promise<void> {
    writeFileSync(join(this.folder, "rollout"), String(rollout));
    await this.pulumi(["up", "--yes", "--skip-preview", "--stack", "prod"], env);
  }

  /** `etcd-rotation rollback` without a terminal. */
  rollback(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.#run(process.execPath, this.#arguments("rollback", args), { ...this.#env, ...env });
  }

  /** `etcd-rotation backups` without a terminal. */
  backups(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.#run(process.execPath, this.#arguments("backups", args), { ...this.#env, ...env });
  }

  /** `etcd-rotation rollback` on a terminal, where somebody answers its question. */
  rollbackOnTerminal(args: readonly string[], answer: () => string): Promise<Ended> {
    const command = [process.execPath, ...this.#arguments("rollback", args)]
      .map((word) => `'${word}'`)
      .join(" ");
    return this.#run(
      "script",
      ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      this.#env,
      answer,
    );
  }

  #arguments(command: string, args: readonly string[]): string[] {
    return [join(root, "cli", "etcd-rotation.js"), ...withStack(command, args, "prod"), "--cwd", this.folder];
  }

  /** Keys and certificates of the state: `name id`, in order; both are made of the key or the serial number. */
  async material(): Promise<string[]> {
    const {
      deployment,
    }: { deployment: { resources?: { urn: string; id?: string; type: string; delete?: boolean }[] } } =
      JSON.parse(await this.pulumi(["stack", "export", "--stack", "prod"]));
    return (deployment.resources ?? [])
      .filter(({ type, delete: isDeleted }) => type.startsWith("tls:") && isDeleted !== true)
      .map(({ urn, id }) => `${urn.slice(urn.lastIndexOf("::") + 2)} ${id}`)
      .toSorted();
  }

  /** One hash over the backend and the stack file, and what lies in the folder for temporary files. */
  fingerprint(): string {
    const hash = createHash("sha256");
    const folders = [join(this.folder, "state"), join(this.folder, "stacks"), join(this.folder, "tmp")];
    for (const folder of folders) {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted()) {
        const file = join(folder, name);
        // reading takes no lock, but makes the folder for locks
        if (!name.includes("locks")) {
          hash.update(name).update(statSync(file).isFile() ? readFileSync(file) : "");
        }
      }
    }
    return hash.digest("hex");
  }

  #run(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    answer?: () => string,
  ): Promise<Ended> {
    const child = spawn(program, args, {
      cwd: this.folder,
      env,
      stdio: [answer === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    let isAnswered = answer === undefined;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (!isAnswered && stdout.includes("Type yes to go on: ")) {
        isAnswered = true;
        child.stdin?.write(answer?.() ?? "");
      }
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
    });
  }
}
