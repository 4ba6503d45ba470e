import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { readLogs } from "./logs.ts";
import { sshCommand } from "./master.ts";
import { parseName, parseOptions } from "./options.ts";
import { formatStatus, isHealthy, readStatus } from "./status.ts";
import { isLabPresent, type Lab, type LabMachine, listLabs, loadLab, startLab, stopLab } from "./topology.ts";

const help = `Starts and stops labs: real masters of an ACK dedicated cluster, as containers on this machine. Needs root.

npm run lab -- up      [options]              starts a lab and waits until it is ready
npm run lab -- status  [--name NAME] [--json] shows each master's health
npm run lab -- ssh     [--name NAME] [--user ops] MACHINE [COMMAND...]
npm run lab -- logs    [--name NAME] [MACHINE] shows console, journal and static pods' output
npm run lab -- exec    [--name NAME] -- COMMAND...
                                              runs a command in the lab's network
npm run lab -- down    [--name NAME | --all]  stops labs and removes them

Options of up:
  --name NAME               labs with different names run side by side      (lab)
  --masters 1|3|5           number of masters                               (3)
  --workers 0|1|2|3         number of machines with a kubelet only          (0)
  --algorithm rsa|ecdsa     kind of the etcd keys                           (rsa)
  --lifetime DURATION       how long the leaves are valid, such as 20d, 90s (20d)
  --peer-ca                 an authority of its own for etcd peers
  --moved                   certificates below /data, with symbolic links at the usual places
  --layout ack|tidy|kubeadm what masters are like: a real ACK dedicated cluster's, with ACK's paths and no more,
                            or kubeadm's, with etcd as a static pod         (ack)
  --etcd-settings flags|environment
                            how the unit tells etcd its settings            (flags)
  --expired none|leaves|all the etcd leaves, or the authorities as well, have expired; does not wait (none)
  --etcd 3.4|3.5|3.6        its version; Debian has 3.4, the others are built (3.4)
  --kubernetes 1.20|1.24|1.30|1.37
                            its version; built where it cannot be downloaded; 1.20 with Docker (1.30)
  --programs FOLDER         its programs come first on the PATH of every machine: those of an older system`;

const commands = new Map<string, (args: string[]) => Promise<number>>([
  ["up", up],
  ["down", down],
  ["status", status],
  ["ssh", ssh],
  ["logs", logs],
  ["exec", exec],
]);

async function up(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      name: { type: "string" },
      masters: { type: "string" },
      workers: { type: "string" },
      "peer-ca": { type: "boolean" },
      algorithm: { type: "string" },
      lifetime: { type: "string" },
      moved: { type: "boolean" },
      layout: { type: "string" },
      "etcd-settings": { type: "string" },
      expired: { type: "string" },
      etcd: { type: "string" },
      kubernetes: { type: "string" },
      programs: { type: "string" },
    },
  });
  const options = parseOptions(values);
  if (isLabPresent(options.name)) {
    return alreadyUp(loadLab(options.name));
  }
  const interruption = new AbortController();
  const interrupt = () => {
    process.stderr.write("Interrupted: removing the lab\n");
    interruption.abort(
      new Error(`The start of the lab '${options.name}' was interrupted; nothing of it is left`),
    );
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, interrupt);
  }
  const started = Date.now();
  const lab = await startLab(options, { signal: interruption.signal });
  print(formatStatus(lab, await readStatus(lab)));
  print(`up after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return 0;
}

async function alreadyUp(lab: Lab): Promise<number> {
  const masters = await readStatus(lab);
  print(`The lab '${lab.name}' is already up`);
  print(formatStatus(lab, masters));
  if (isHealthy(masters)) {
    return 0;
  }
  process.stderr.write(`It is not healthy. To start anew: npm run lab -- down --name ${lab.name}\n`);
  return 1;
}

async function down(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { name: { type: "string" }, all: { type: "boolean" } } });
  const names = values.all ? listLabs() : [parseName(values.name ?? "lab")];
  for (const name of names) {
    const known = listLabs().includes(name);
    await stopLab(name);
    print(known ? `The lab '${name}' is down` : `There was no lab '${name}'`);
  }
  return 0;
}

async function status(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { name: { type: "string" }, json: { type: "boolean" } } });
  const lab = loadLab(parseName(values.name ?? "lab"));
  const masters = await readStatus(lab);
  print(
    values.json
      ? JSON.stringify(
          { ...lab, masters: lab.masters.map((master, index) => ({ ...master, ...masters[index] })) },
          undefined,
          2,
        )
      : formatStatus(lab, masters),
  );
  return isHealthy(masters) ? 0 : 1;
}

function ssh(args: string[]): Promise<number> {
  const { own, rest } = splitArgs(args, ["--name", "--user"]);
  const { values } = parseArgs({
    args: own,
    options: { name: { type: "string" }, user: { type: "string" } },
  });
  const [name, ...command] = rest;
  const lab = loadLab(parseName(values.name ?? "lab"));
  const sshArgs = sshCommand(lab, findMachine(lab, name), values.user);
  if (command[0] === "--") {
    command.shift();
  }
  const terminal = command.length === 0 && process.stdin.isTTY ? ["-t"] : [];
  return passThrough("ip", [...sshArgs.slice(0, 4), ...terminal, ...sshArgs.slice(4), ...command]);
}

async function logs(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { name: { type: "string" } },
    allowPositionals: true,
  });
  const lab = loadLab(parseName(values.name ?? "lab"));
  const machines = positionals[0] === undefined ? machinesOf(lab) : [findMachine(lab, positionals[0])];
  for (const machine of machines) {
    process.stdout.write(await readLogs(lab, machine));
  }
  return 0;
}

function exec(args: string[]): Promise<number> {
  const { own, rest } = splitArgs(args, ["--name"]);
  const { values } = parseArgs({ args: own, options: { name: { type: "string" } } });
  const command = rest[0] === "--" ? rest.slice(1) : rest;
  if (command.length === 0) {
    throw new Error(`Cannot run nothing; expected a command after '--'`);
  }
  const lab = loadLab(parseName(values.name ?? "lab"));
  return passThrough("ip", ["netns", "exec", lab.namespace, ...command]);
}

/** Takes a command's own options, each with a value, from the beginning; the rest is left as it is. */
function splitArgs(args: readonly string[], names: readonly string[]): { own: string[]; rest: string[] } {
  let count = 0;
  for (let first = args[count]; first !== undefined; first = args[count]) {
    if (names.includes(first)) {
      count += 2;
    } else if (names.some((name) => first?.startsWith(`${name}=`))) {
      count += 1;
    } else {
      break;
    }
  }
  return { own: args.slice(0, count), rest: args.slice(count) };
}

function machinesOf(lab: Lab): readonly LabMachine[] {
  return [...lab.masters, ...lab.workers];
}

function findMachine(lab: Lab, name: string | undefined): LabMachine {
  const machine = machinesOf(lab).find((candidate) => candidate.name === name);
  if (machine === undefined) {
    const known = machinesOf(lab).map((candidate) => candidate.name);
    throw new Error(
      `Cannot find the machine '${name ?? ""}' in the lab '${lab.name}'; expected one of ${known.join(", ")}`,
    );
  }
  return machine;
}

/** Runs a program with this one's terminal and resolves with its exit code. */
function passThrough(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: "inherit" });
  // Ctrl-C reaches the child from the terminal; this process only waits for its end.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 130));
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main([command, ...args]: string[]): Promise<number> {
  const helpAsked = command === undefined || command === "help" || command === "--help" || command === "-h";
  if (helpAsked || ((args[0] === "--help" || args[0] === "-h") && commands.has(command))) {
    print(help);
    return command === undefined ? 2 : 0;
  }
  const run = commands.get(command);
  if (run === undefined) {
    throw new Error(
      `Cannot do '${command}'; expected one of ${[...commands.keys()].join(", ")}. Run: npm run lab -- --help`,
    );
  }
  return await run(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
