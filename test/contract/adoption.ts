import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { FoundMaster } from "../../components/model/found.ts";
import { type ProgramResult, runProgram } from "../lab/machine.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import {
  type Answer,
  type FakeMasters,
  type FakeOptions,
  startFakeMasters,
} from "../support/fake-masters.ts";
import { lookText } from "../support/look-text.ts";
import { surveyText } from "../support/survey-text.ts";
import { makeProgramFolder } from "./program-folder.ts";

/** A copy of the program with a key to log in with. */
export const root = mkdtempSync(join(tmpdir(), "adopt contract "));
export const stackFile = join(root, "stacks", "Pulumi.prod.yaml");
export const keyFile = join(root, "id");
export const hosts = ["127.0.0.31", "127.0.0.32", "127.0.0.33"];
export const found = foundAs(makePems("today"), { receipt: undefined, backups: [] });
const running: FakeMasters[] = [];

/** `etcdctl member list` */
export const rows = specs.map(
  ({ etcdName }, index) =>
    `${index + 1}a, started, ${etcdName}, https://${hosts[index]}:2380, https://${hosts[index]}:2379, false`,
);
const initialCluster = specs
  .map(({ etcdName }, index) => `${etcdName}=https://${hosts[index]}:2380`)
  .join(",");

interface Made {
  readonly memberRows?: readonly string[];
  readonly etcd?: readonly string[];
}

/** A master that answers to the first look and to the survey. */
export function master(
  each: FoundMaster,
  index: number,
  { memberRows = rows, etcd = [] }: Made = {},
): Answer {
  const flags = [
    `--name=${each.name.replace("master-", "10.77.0.1")}-name-${index + 1}`,
    `--initial-advertise-peer-urls=https://${hosts[index]}:2380`,
  ];
  const look = lookText(
    each.name,
    {
      etcd: [...flags, `--initial-cluster=${initialCluster}`, ...etcd],
      "kube-apiserver": ["--secure-port=6443"],
    },
    memberRows,
  );
  return (script) => (script.includes("look 1") ? look : surveyText(each));
}

/** Machines that answer so, until the test has ended. */
export async function start(answers: readonly Answer[], options: FakeOptions = {}): Promise<FakeMasters> {
  const masters = await startFakeMasters(answers, { hosts, ...options });
  running.push(masters);
  return masters;
}

/** `adopt prod` from the second machine, without a preview. */
export function adopt(port: number, ...args: string[]): Promise<ProgramResult> {
  const words = [
    "prod",
    "--host",
    "127.0.0.32",
    "--port",
    String(port),
    "--key",
    keyFile,
    "--cwd",
    root,
    "--no-preview",
    ...args,
  ];
  return runProgram(
    process.execPath,
    [join(import.meta.dirname, "..", "..", "cli", "etcd-rotation.js"), "adopt", ...words],
    {
      environment: { ...process.env, NO_COLOR: "1" },
    },
  );
}

/** A known_hosts file with a key for each of the first machines. */
export function knownHosts(port: number, keys: readonly string[]): string {
  const file = join(root, "known_hosts");
  writeFileSync(file, keys.map((key, index) => `[${hosts[index]}]:${port} ${key}\n`).join(""));
  return file;
}

/** Three masters that are what etcd says. */
export function startThree(): Promise<FakeMasters> {
  return start(found.masters.map((each, index) => master(each, index)));
}

/** The least that a machine must run to pass for a master. */
export function flagsOf(index: number) {
  return {
    etcd: [
      `--name=10.77.0.1${index + 1}-name-${index + 1}`,
      `--initial-advertise-peer-urls=https://${hosts[index]}:2380`,
    ],
    "kube-apiserver": ["--x=y"],
  };
}

/** Gives each test of a file that folder without a stack file, and an end to its machines. */
export function useAdoption(): void {
  beforeAll(() => makeProgramFolder(root));
  beforeEach(() => rmSync(stackFile, { force: true }));
  afterEach(async () => {
    await Promise.all(running.splice(0).map((masters) => masters.stop()));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
}
