import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import type { CloudMaster, CloudPlace } from "../components/model/cloud.ts";
import { day } from "../components/model/day.ts";
import type { Access } from "../components/survey/ssh.ts";
import { checkSettings } from "../stacks/settings.ts";
import { placeOf, requireSame } from "./adopt/cloud-place.ts";
import { firstPreview } from "./adopt/deploy.ts";
import { type Trust, trustedHostKeys } from "./adopt/host-keys.ts";
import { type Member, membershipOf, ownAddress } from "./adopt/members.ts";
import { type Route, routeOf, trustOf } from "./adopt/route.ts";
import { type Draft, stackFileText } from "./adopt/stack-settings.ts";
import { draftOf, lookAt, type SeenMember, surveyed } from "./adopt/survey-cluster.ts";
import { canAsk, isConfirmed } from "./ask.ts";
import { CommandError, runCommand } from "./command-error.ts";
import { readArguments, stackName } from "./command-line.ts";
import { Engine } from "./engine.ts";
import { ownFolder, type Program, programIn } from "./program.ts";
import { settingsIn } from "./stack-text.ts";
import { writeAtomically } from "./write-atomically.ts";

const usage = `Usage: npm run adopt -- <stack> --host <any master> (--key <file> | --agent)
                        [options]
       npm run adopt -- <stack> --cluster-id <id> --region <region>
                        (--key <file> | --agent) [options]

Takes over an ACK dedicated cluster: finds its masters from one of them, writes
stacks/Pulumi.<stack>.yaml, makes the stack and runs its first preview. Reads
only on the masters. Works while the API server is down, certificates have
expired or etcd has no quorum; all masters must answer over SSH.

  --host HOST         any master, as [user@]host[:port]
  --cluster-id ID     the ACK cluster, whose masters Alibaba Cloud tells; its
                      credentials come from the environment
  --region REGION     where that is, such as cn-hangzhou
  --user USER         on every master (default: root; another needs sudo
                      without a password)
  --port PORT         of SSH on every master (default: 22)
  --key FILE          log in with this private key
  --agent             log in with the keys of the SSH agent
  --bastion HOST      the machine on the way, as [user@]host[:port]
  --bastion-key FILE  its private key (default: as on the masters)
  --known-hosts FILE  trust the host keys in it, and no others; does not ask
  --yes               takes the host keys as they are shown, does not ask
  --force             replaces the settings of a stack file that is there
  --no-preview        ends when the stack file is written: no stack, no preview
  --cwd FOLDER        the program's folder (default: this one)
  --json              the result as JSON on standard output, all else on
                      standard error
  --help              this text

Compare the fingerprints with the machines' own before you answer yes.

Exit codes: 0 done; 1 a master could not be reached or read, nothing written;
2 bad usage; 3 refused, nothing written; 4 the answer was not yes, nothing
written; 5 the stack file is written, the stack or its preview has failed.
`;

const options = {
  host: { type: "string" },
  "cluster-id": { type: "string" },
  region: { type: "string" },
  user: { type: "string" },
  port: { type: "string" },
  key: { type: "string" },
  agent: { type: "boolean", default: false },
  bastion: { type: "string" },
  "bastion-key": { type: "string" },
  "known-hosts": { type: "string" },
  yes: { type: "boolean", default: false },
  force: { type: "boolean", default: false },
  "no-preview": { type: "boolean", default: false },
  cwd: { type: "string", default: ownFolder },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

type Values = ReturnType<typeof readArguments<typeof options>>["values"];

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = readArguments(args, options);
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const program = programOf(values.cwd, positionals);
  const place = placeOf(values["cluster-id"], values.region);
  const cloud = place && { ...place, masters: await (await import("./adopt/cloud-masters.ts")).mastersInCloud(place) };
  const route = routeOf({ ...values, host: values.host ?? cloud?.masters[0]?.address });
  const trust = trustOf(values);
  const previous = await replaceable(program, values);
  const draft = await findCluster(route, trust, program, cloud);
  const text = stackFileText(draft, program.project, previous);
  checkSettings(settingsIn(text, program), program.stack);
  writeAtomically(program.stackFile, text, 0o644);
  describe(draft, program, trust.say);
  if (!values["no-preview"]) {
    await firstPreview(new Engine({ folder: program.folder, isOutputTaken: values.json }), program);
    trust.say(`Nothing on the masters was changed. When the preview is as you want it: npm run pulumi -- up --stack ${program.stack}`);
  }
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ stack: program.stack, file: program.stackFile, settings: draft, isPreviewed: !values["no-preview"] }, null, 2)}\n`,
    );
  }
}

/** A cluster as Alibaba Cloud knows it. */
interface CloudCluster extends CloudPlace {
  readonly masters: readonly CloudMaster[];
}

/** From one master to all of them: each is trusted by its host key first, then looked at, then surveyed as the program itself does it. */
async function findCluster(route: Route, trust: Trust, { project, stack }: Program, cloud: CloudCluster | undefined): Promise<Draft> {
  const bastion = route.bastion === undefined ? undefined : { ...route.bastion, hostKey: await trustOne(route.bastion, undefined, trust) };
  const first: Access = { ...route.first, hostKey: await trustOne(route.first, bastion, trust) };
  const look = await lookAt(first, bastion);
  const { members, source } = membershipOf(first.host, look);
  trust.say(`${members.length} ${members.length === 1 ? "master" : "masters"}, by ${source}.`);
  if (cloud !== undefined) {
    requireSame(cloud, cloud.masters, members);
    trust.say(`The same as Alibaba Cloud's ${cloud.clusterId} in ${cloud.region}.`);
  }
  if (source !== "etcd's member list") {
    trust.say("notice: etcd did not tell its members; a member that was added or removed since is not seen. It is checked once etcd answers.");
  }
  const own = ownAddress(look);
  const others = await lookAtMembers(
    members.filter(({ address }) => address !== own),
    first,
    bastion,
    trust,
  );
  const seen = [...members.filter(({ address }) => address === own).map((member) => ({ ...member, access: first, look })), ...others];
  const ssh = bastion === undefined ? route.written : { ...route.written, bastion: { ...route.bastionWritten, hostKey: bastion.hostKey } };
  const place = cloud === undefined ? {} : { clusterId: cloud.clusterId, region: cloud.region };
  return surveyed({ ...draftOf(seen, ssh, day(Date.now())), ...place }, project, stack);
}

/** Members that are reached as the first one is, but at their own addresses. */
async function lookAtMembers(members: readonly Member[], first: Access, bastion: Access | undefined, trust: Trust): Promise<SeenMember[]> {
  const doors = members.map(({ address }) => ({ ...first, host: address }));
  const keys = doors.length === 0 ? [] : await trustedHostKeys(doors, bastion, trust);
  const looks = await Promise.allSettled(
    members.map(async (member, index) => {
      const access = { ...first, host: member.address, hostKey: keys[index] ?? "" };
      return { ...member, access, look: await lookAt(access, bastion) };
    }),
  );
  const failures = looks.flatMap((each) => (each.status === "rejected" ? [each.reason instanceof Error ? each.reason.message : String(each.reason)] : []));
  if (failures.length > 0) {
    throw new CommandError(`${failures.join("\n")}\nNothing was written: every master must answer.`, { ending: "failed" });
  }
  return looks.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
}

async function trustOne(door: Omit<Access, "hostKey">, bastion: Access | undefined, trust: Trust): Promise<string> {
  const [key = ""] = await trustedHostKeys([door], bastion, trust);
  return key;
}

function programOf(folder: string, words: readonly string[]): Program {
  const [stack, ...more] = words;
  if (stack === undefined || more.length > 0) {
    throw new CommandError(`Cannot choose a stack: saw "${words.join(" ")}"; expected one name, such as my-cluster. Run with --help`, { ending: "usage" });
  }
  return programIn(folder, stackName(stack, "a name of letters, digits, dots, underscores and hyphens"));
}

/**
 * The text of the stack file that is there; empty without one.
 * @throws CommandError when it has settings, and nobody wants them replaced
 */
async function replaceable(program: Program, { force }: Values): Promise<string> {
  if (!existsSync(program.stackFile)) {
    return "";
  }
  const text = readFileSync(program.stackFile, "utf8");
  // `pulumi stack init` leaves a file without any
  const isTaken = text.includes(`${program.project}:`);
  if (!isTaken || force) {
    return text;
  }
  if (!canAsk()) {
    throw new CommandError(`Cannot write ${program.stackFile}: it is there, with settings; expected none. Nothing was written. To replace them: --force`, {
      ending: "refused",
    });
  }
  if (!(await isConfirmed(`${program.stackFile} is there, with settings. Replace them?`))) {
    throw new CommandError("Nothing was written.", { ending: "declined" });
  }
  return text;
}

function describe(draft: Draft, program: Program, say: (line: string) => void): void {
  for (const { name, address, etcdName, extraSans = [] } of draft.masters) {
    say(`${name}: ${address}, etcd "${etcdName}"${extraSans.length === 0 ? "" : `, certificates also for ${extraSans.join(", ")}`}`);
  }
  if (draft.layout?.kind === "kubeadm") {
    say("etcd is a static pod of the kubelet: kubeadm's layout, which docs/operations.md has a section for.");
  }
  for (const [id, path] of Object.entries(draft.layout?.paths ?? {})) {
    say(`${id} lies in ${path}`);
  }
  if (draft.allowOutage === true) {
    say("notice: with one or two masters each restart is an outage of etcd and the API server, of some seconds: allowOutage is set. Update in a quiet hour.");
  }
  say(`Written: ${relative(process.cwd(), program.stackFile)}`);
}

await runCommand(main);
