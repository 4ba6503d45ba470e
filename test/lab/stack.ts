import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { labSettings, type Overrides, stackFile, writeStackFile } from "./stack-file.ts";
import type { Lab } from "./topology.ts";

/** A finished run of the CLI; output and errors in the order in which they were written. */
export interface Run {
  readonly code: number;
  readonly output: string;
}

/** A run under way. */
export interface RunningUp {
  readonly child: ChildProcess;
  output(): string;
  /** resolves once the output has the text; rejects when the run ends without it */
  saw(text: string | RegExp): Promise<void>;
  readonly done: Promise<Run>;
  /** SIGKILL to the engine and everything it started on this machine */
  kill(): void;
}

/** A stack of this program over a lab, with a file backend of its own in the lab's folder. */
export class LabStack {
  readonly lab: Lab;
  readonly name: string;
  readonly backend: string;
  settings: Overrides;
  /** where the program is; a test may point it at a changed copy */
  project = join(import.meta.dirname, "..", "..");
  #runs = 0;

  private constructor(
    lab: Lab,
    name: string,
    settings: Overrides,
    backend = join(lab.folder, `state-${name}`),
  ) {
    this.lab = lab;
    this.name = name;
    this.backend = backend;
    this.settings = settings;
  }

  /** Creates the stack anew; whatever it was before is gone. */
  static async create(lab: Lab, rotation: string, name = lab.name): Promise<LabStack> {
    const stack = LabStack.unmade(lab, name);
    stack.settings = labSettings(lab, rotation);
    const made = await stack.run("stack", "init", name);
    if (made.code !== 0) {
      throw new Error(made.output);
    }
    stack.configure({});
    return stack;
  }

  /** A stack that nobody has made yet: without a stack file, with an empty backend. */
  static unmade(lab: Lab, name = lab.name): LabStack {
    const stack = new LabStack(lab, name, {});
    rmSync(stack.backend, { recursive: true, force: true });
    rmSync(stackFile(name), { force: true });
    mkdirSync(stack.backend, { recursive: true, mode: 0o700 });
    return stack;
  }

  /** The same stack and state, with the CLI in another lab's network. */
  over(lab: Lab): LabStack {
    const copy = new LabStack(lab, this.name, this.settings, this.backend);
    copy.project = this.project;
    return copy;
  }

  /** The same stack as another person has it who knows nothing of this one's state: in a backend of its own. */
  async elsewhere(backend: string): Promise<LabStack> {
    const other = new LabStack(this.lab, this.name, this.settings, join(this.lab.folder, `state-${backend}`));
    mkdirSync(other.backend, { recursive: true, mode: 0o700 });
    const made = await other.run("stack", "init", other.name);
    if (made.code !== 0) {
      throw new Error(made.output);
    }
    return other;
  }

  /** Merges settings over the present ones; undefined takes a key away. */
  configure(overrides: Overrides): void {
    this.settings = Object.fromEntries(
      Object.entries({ ...this.settings, ...overrides }).filter(([, value]) => value !== undefined),
    );
    writeStackFile(
      this.name,
      this.settings,
      /encryptionsalt"?: ["']?([^"'\n]+)/.exec(readFileSync(stackFile(this.name), "utf8"))?.[1],
    );
  }

  /** One more name for the leaves of that master, or of every one. */
  addName(san: string, only?: string): void {
    const masters = this.settings["masters"];
    const named = (each: { name: string; extraSans: string[] }) => ({
      ...each,
      extraSans: [...each.extraSans, san],
    });
    this.configure({
      masters: Array.isArray(masters)
        ? masters.map((each) => (only === undefined || each.name === only ? named(each) : each))
        : [],
    });
  }

  preview(...args: string[]): Promise<Run> {
    return this.run("preview", "--stack", this.name, "--non-interactive", "--color", "never", ...args);
  }

  up(...args: string[]): Promise<Run> {
    return this.startUp(...args).done;
  }

  startUp(...args: string[]): RunningUp {
    return this.start(
      "up",
      "--stack",
      this.name,
      "--yes",
      "--skip-preview",
      "--non-interactive",
      "--color",
      "never",
      ...args,
    );
  }

  run(...args: string[]): Promise<Run> {
    return this.start(...args).done;
  }

  /** The state file's text. */
  state(): string {
    return readFileSync(
      join(this.backend, ".pulumi", "stacks", "etcd-rotation", `${this.name}.json`),
      "utf8",
    );
  }

  /** The keys and certificates in the state, as `urn id`, sorted: the engine's order is that of the moment. The provider takes the id of a key from its public key. */
  keys(): string[] {
    const {
      checkpoint,
    }: { checkpoint: { latest?: { resources?: { urn: string; id?: string; type: string }[] } } } = JSON.parse(
      this.state(),
    );
    return (checkpoint.latest?.resources ?? [])
      .filter(({ type }) => type.startsWith("tls:"))
      .map(({ urn, id }) => `${urn} ${id}`)
      .toSorted();
  }

  /** Removes the stack file; the state goes with the lab. */
  remove(): void {
    rmSync(stackFile(this.name), { force: true });
  }

  /** The CLI in the lab's network, with this stack's backend. */
  command(...args: string[]): {
    readonly program: string;
    readonly argv: string[];
    readonly env: NodeJS.ProcessEnv;
  } {
    const engine = engineEnvironment();
    return {
      program: "ip",
      argv: ["netns", "exec", this.lab.namespace, engine.pulumi, "--cwd", this.project, ...args],
      env: { ...engine.env, PULUMI_BACKEND_URL: `file://${this.backend}`, PULUMI_CONFIG_PASSPHRASE: "lab" },
    };
  }

  start(...args: string[]): RunningUp {
    const { program, argv, env } = this.command(...args);
    this.#runs += 1;
    const file = join(this.lab.folder, `pulumi-${this.name}-${this.#runs}.log`);
    const log = openSync(file, "w");
    const child = spawn(program, argv, { env, stdio: ["ignore", log, log], detached: true });
    closeSync(log);
    const output = () => (existsSync(file) ? readFileSync(file, "utf8") : "");
    const done = new Promise<Run>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code: code ?? 137, output: output() }));
    });
    const saw = async (text: string | RegExp) => {
      let ended = false;
      void done.then(() => {
        ended = true;
      });
      while (!(typeof text === "string" ? output().includes(text) : text.test(output()))) {
        if (ended) {
          throw new Error(`The run ended without ${String(text)}:\n${output()}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const kill = () => {
      if (child.pid !== undefined) {
        process.kill(-child.pid, "SIGKILL");
      }
    };
    return { child, output, saw, done, kill };
  }
}
