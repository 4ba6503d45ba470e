import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import type { CloudCluster } from "../../components/model/cloud.ts";
import { day } from "../../components/model/text.ts";
import type { Access } from "../../components/survey/access.ts";
import { checkSettings } from "../../stacks/settings.ts";
import { CommandError } from "../command-error.ts";
import type { AdoptOptions } from "../commands.ts";
import { Engine } from "../engine.ts";
import { writeAtomically } from "../files.ts";
import { settled } from "../in-parallel.ts";
import { type Program, programOf, readProject } from "../project.ts";
import { settingsIn } from "../stack-file.ts";
import { canAsk, isConfirmed, writeJson } from "../terminal.ts";
import { mastersInCloud, placeOf, requireSame } from "./cloud.ts";
import { firstPreview, setPassword } from "./deploy.ts";
import { type Draft, draftOf, type SeenMember, stackFileText, surveyed, withoutPasswords } from "./draft.ts";
import { type Trust, trustedHostKeys } from "./host-keys.ts";
import { lookAt } from "./look.ts";
import { type Member, membershipOf, ownAddress } from "./members.ts";
import { type Route, routeOf, trustOf } from "./route.ts";

/** Takes a cluster over: finds its masters, writes the stack file, makes the stack and previews it. */
export async function adopt(stack: string, options: AdoptOptions): Promise<void> {
  const program = programOf(readProject(options.cwd), stack);
  const place = placeOf(options.clusterId, options.region);
  const cloud = place && { ...place, masters: await mastersInCloud(place) };
  const route = await routeOf({ ...options, host: options.host ?? cloud?.masters[0]?.address });
  const trust = trustOf(options);
  for (const line of route.notices) {
    trust.say(line);
  }
  const previous = await replaceable(program, options.force);
  const found = await findCluster(route, trust, program, cloud);
  const { shown: draft, passwords } = withoutPasswords(found);
  const text = stackFileText(draft, program.project, previous);
  checkSettings({ ...settingsIn(text, program), ssh: found.ssh }, program.stack);
  mkdirSync(dirname(program.stackFile), { recursive: true });
  writeAtomically(program.stackFile, text, 0o644);
  describe(draft, program, trust.say);
  if (options.preview) {
    await firstPreview(
      new Engine({ folder: program.folder, isOutputTaken: options.json }),
      program,
      passwords,
    );
    trust.say(
      `Nothing on the masters was changed. When you are satisfied with the preview: npx etcd-rotation pulumi up --stack ${program.stack}`,
    );
  }
  for (const key of options.preview ? [] : Object.keys(passwords)) {
    trust.say(
      `${key} is not in it yet. When the stack is made: npx etcd-rotation pulumi ${setPassword(key, program.stack).join(" ")}`,
    );
  }
  if (options.json) {
    writeJson({
      stack: program.stack,
      file: program.stackFile,
      settings: draft,
      isPreviewed: options.preview,
    });
  }
}

/** From one master to all of them: each is trusted by its host key first, then looked at, then surveyed as the program itself does it. */
async function findCluster(
  route: Route,
  trust: Trust,
  { project, stack }: Program,
  cloud: CloudCluster | undefined,
): Promise<Draft> {
  const bastion = route.bastion && (await trustOne(route.bastion, undefined, trust));
  const first = await trustOne(route.first, bastion, trust);
  const look = await lookAt(first, bastion);
  const { members, source } = membershipOf(first.host, look);
  trust.say(`${members.length} ${members.length === 1 ? "master" : "masters"}, by ${source}.`);
  if (cloud !== undefined) {
    requireSame(cloud, members);
    trust.say(`The same as Alibaba Cloud's ${cloud.clusterId} in ${cloud.region}.`);
  }
  if (source !== "etcd's member list") {
    trust.say(
      "notice: etcd did not list its members; one that was added or removed since is not seen. It is checked once etcd answers.",
    );
  }
  const localAddress = ownAddress(look);
  const { local = [], others = [] } = Object.groupBy(members, ({ address }) =>
    address === localAddress ? "local" : "others",
  );
  const seen = [
    ...local.map((member) => ({ ...member, access: first, look })),
    ...(await lookAtMembers(others, first, bastion, trust)),
  ];
  const ssh =
    bastion === undefined
      ? route.written
      : { ...route.written, bastion: { ...route.bastionWritten, hostKey: bastion.hostKey } };
  const place = cloud === undefined ? {} : { clusterId: cloud.clusterId, region: cloud.region };
  return surveyed({ ...draftOf(seen, ssh, day(Date.now())), ...place }, project, stack);
}

/** Members that are reached as the first one is, but at their own addresses. */
async function lookAtMembers(
  members: readonly Member[],
  first: Access,
  bastion: Access | undefined,
  trust: Trust,
): Promise<SeenMember[]> {
  const endpoints = members.map(({ address }) => ({ ...first, host: address }));
  const keys = endpoints.length === 0 ? [] : await trustedHostKeys(endpoints, bastion, trust);
  const { values, failures } = await settled(
    members.map(async (member, index) => {
      const access = { ...first, host: member.address, hostKey: keys[index] ?? "" };
      return { ...member, access, look: await lookAt(access, bastion) };
    }),
  );
  if (failures.length > 0) {
    throw CommandError.failed(`${failures.join("\n")}\nNothing was written: every master must answer.`);
  }
  return values;
}

async function trustOne(
  endpoint: Omit<Access, "hostKey">,
  bastion: Access | undefined,
  trust: Trust,
): Promise<Access> {
  const [hostKey = ""] = await trustedHostKeys([endpoint], bastion, trust);
  return { ...endpoint, hostKey };
}

/**
 * The text of the stack file that is there; empty without one.
 * @throws CommandError when it has settings that are not to be replaced
 */
async function replaceable(program: Program, isForced: boolean): Promise<string> {
  if (!existsSync(program.stackFile)) {
    return "";
  }
  const text = readFileSync(program.stackFile, "utf8");
  // `pulumi stack init` leaves a file without any
  if (isForced || !text.includes(`${program.project}:`)) {
    return text;
  }
  if (!canAsk()) {
    throw CommandError.refused(
      `Cannot write ${program.stackFile}: it is there, with settings; expected none. Nothing was written. To replace them: --force`,
    );
  }
  if (!(await isConfirmed(`${program.stackFile} is there, with settings. Replace them?`))) {
    throw CommandError.declined("Nothing was written.");
  }
  return text;
}

function describe(draft: Draft, program: Program, say: (line: string) => void): void {
  for (const { name, address, etcdName, extraSans = [] } of draft.masters) {
    say(
      `${name}: ${address}, etcd "${etcdName}"${extraSans.length === 0 ? "" : `, certificates also for ${extraSans.join(", ")}`}`,
    );
  }
  if (draft.layout?.kind === "kubeadm") {
    say("etcd is a static pod of the kubelet: kubeadm's layout, which docs/take-over.md has a section for.");
  }
  for (const [id, path] of Object.entries(draft.layout?.paths ?? {})) {
    say(`${id} lies in ${path}`);
  }
  if (draft.foreignAuthorities === "keep") {
    say(
      "notice: etcd's trust files hold authorities that have issued nothing that this cluster uses. foreignAuthorities: keep is set, so their certificates stay accepted; the preview names them. If nobody needs them, set it to drop.",
    );
  }
  if (draft.allowOutage === true) {
    say(
      "notice: with one or two masters each restart is an outage of etcd and the API server, of some seconds: allowOutage is set. Update in a quiet hour.",
    );
  }
  say(`Written: ${relative(process.cwd(), program.stackFile)}`);
}
