import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Found } from "../../components/model/found.ts";
import type { WantedPems } from "../../components/model/wanted.ts";
import { engineEnvironment } from "../../tools/engine/engine-environment.ts";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, names, receipt, specs } from "../model/cluster.ts";
import { type Answer, type FakeMasters, type Said, startFakeMasters } from "../support/fake-masters.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { surveyText } from "../support/survey-text.ts";

/** Three masters that answer as found, and say that every step is done. */
export class FakeCluster {
  found: Found;
  /** what a step says on the way, by its name, such as `trust-master-1` */
  words: Readonly<Record<string, string>> = {};
  /** the name of the step that fails */
  failing = "";
  readonly #masters: FakeMasters;

  private constructor(found: Found, masters: FakeMasters) {
    this.found = found;
    this.#masters = masters;
  }

  static async start(found: Found): Promise<FakeCluster> {
    const cluster: { made?: FakeCluster } = {};
    const answers = names.map(
      (_, index): Answer =>
        (script) =>
          answerTo(script, cluster.made?.found.masters[index] ?? found.masters[index], cluster.made),
    );
    cluster.made = new FakeCluster(found, await startFakeMasters(answers));
    return cluster.made;
  }

  stop(): Promise<void> {
    return this.#masters.stop();
  }

  /** What a stack file has for this cluster. */
  settings(folder: string, rotation: string): Record<string, unknown> {
    return {
      rotation,
      masters: specs.map(({ name, address, etcdName }, index) => ({
        name,
        address,
        etcdName,
        host: "127.0.0.1",
        port: this.#masters.ports[index],
        hostKey: "unchecked",
      })),
      ssh: { privateKeyPath: join(folder, "id") },
      kubernetes: { renew: "never" },
    };
  }
}

function answerTo(
  script: string,
  master: Found["masters"][number] | undefined,
  cluster: Pick<FakeCluster, "words" | "failing"> | undefined,
): ReturnType<Answer> {
  const value = (variable: string) => new RegExp(`^${variable}='(.*)'$`, "m").exec(script)?.[1] ?? "";
  if (value("PHASE") === "survey") {
    return master === undefined ? undefined : surveyText(master);
  }
  const step = `${value("PHASE")}-${value("MASTER")}`;
  if (step === cluster?.failing) {
    return Buffer.from(`${value("MASTER")} ${value("PHASE")}: Cannot finish\n`);
  }
  const said: Said = {
    stdout: `done ${value("ATTEMPT")} ${value("PHASE")} ${value("MASTER")}\n`,
    stderr: cluster?.words[step] ?? "",
  };
  return said;
}

interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly inputs?: { readonly triggers?: readonly string[] };
  readonly outputs?: { readonly certPem?: unknown; readonly privateKeyPem?: unknown };
}

/** A stack of a program, with its stack file, file backend and keys in a folder of its own. */
export class ClusterStack {
  readonly #folder: string;
  /** where the program is; a test may put the stack in the hands of another one */
  program: string;
  readonly #stackFile: string;

  constructor(folder: string, program: string, project: string) {
    this.#folder = folder;
    this.program = program;
    this.#stackFile = join(folder, "Pulumi.dev.yaml");
    mkdirSync(join(folder, "state"), { recursive: true });
    // for commands that write the stack file into their project
    writeFileSync(join(folder, "Pulumi.yaml"), `name: ${project}\nruntime: nodejs\n`);
    writeFileSync(join(folder, "id"), makeSshKey(), { mode: 0o600 });
  }

  async init(): Promise<void> {
    const { code, stderr } = await this.#pulumi(["stack", "init", "dev", "--cwd", this.#folder]);
    if (code !== 0) {
      throw new Error(`Cannot make the test stack: ${stderr}`);
    }
  }

  /** Writes the stack file: JSON is YAML. The encryption salt stays. */
  configure(config: Readonly<Record<string, unknown>>): void {
    const encryptionsalt = /^encryptionsalt: (.*)$|"encryptionsalt":"([^"]*)"/m.exec(
      readFileSync(this.#stackFile, "utf8"),
    );
    writeFileSync(
      this.#stackFile,
      JSON.stringify({ encryptionsalt: encryptionsalt?.[1] ?? encryptionsalt?.[2], config }),
    );
  }

  /** preview or up. */
  run(...args: readonly string[]): Promise<ProgramResult> {
    return this.#pulumi([...args, "--stack", "dev", "--cwd", this.program, "--config-file", this.#stackFile]);
  }

  #pulumi(args: readonly string[]): Promise<ProgramResult> {
    const engine = engineEnvironment();
    return runProgram(engine.pulumi, [...args, "--non-interactive", "--color", "never"], {
      environment: {
        ...engine.env,
        PULUMI_BACKEND_URL: pathToFileURL(join(this.#folder, "state")).href,
        PULUMI_CONFIG_PASSPHRASE: "contract",
      },
    });
  }

  /** What the masters look like once the last update's certificates are in use. */
  async foundAfter(
    owner: string,
    change: { readonly rotation: string; readonly cluster: string; readonly prefix?: string },
  ): Promise<Found> {
    const { stdout } = await this.#pulumi([
      "stack",
      "export",
      "--show-secrets",
      "--stack",
      "dev",
      "--cwd",
      this.#folder,
    ]);
    const { deployment }: { deployment: { resources: StateResource[] } } = JSON.parse(stdout);
    const named = (type: string, name: string) =>
      deployment.resources.find(
        (each) => each.type === type && each.urn.endsWith(`::${change.prefix ?? ""}${name}`),
      );
    const certPem = (type: string, name: string) =>
      plaintext(named(`tls:index/${type}`, name)?.outputs?.certPem);
    const leaf = (name: string) => ({
      certPem: certPem("locallySignedCert:LocallySignedCert", name),
      keyPem: plaintext(named("tls:index/privateKey:PrivateKey", `${name}-key`)?.outputs?.privateKeyPem),
    });
    const pems: WantedPems = {
      authorities: {
        etcd: certPem("selfSignedCert:SelfSignedCert", "etcd-ca"),
        "etcd-peer": certPem("selfSignedCert:SelfSignedCert", "etcd-peer-ca"),
      },
      leaves: Object.fromEntries(
        names.map((name) => [
          name,
          {
            "etcd-server": leaf(`${name}-etcd-server`),
            "etcd-peer": leaf(`${name}-etcd-peer`),
            "etcd-client": leaf(`${name}-etcd-client`),
          },
        ]),
      ),
    };
    const attempt = named("command:remote:Command", "verify-master-1")?.inputs?.triggers?.[0] ?? "";
    const own = {
      ...receipt,
      owner,
      cluster: change.cluster,
      rotation: change.rotation,
      rollout: 1,
      attempt,
    };
    return foundAs(pems, { clusterId: change.cluster, receipt: own, backups: [1] });
  }
}

/** A secret in an export with --show-secrets is its JSON text in an object. */
function plaintext(value: unknown): string {
  if (typeof value === "object" && value !== null && "plaintext" in value) {
    return String(JSON.parse(String(value.plaintext)));
  }
  return String(value);
}
