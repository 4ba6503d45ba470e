import { type Component, components } from "../../components/model/layout/rows.ts";
import { ackSurroundings, type LayoutKind } from "../../components/model/layout/tables.ts";
import { flagsIn } from "../../components/model/read-survey.ts";
import { answerLines, lookRecords, readRecords } from "../../components/model/records.ts";
import { assignments } from "../../components/model/shell.ts";
import { messageOf, printable } from "../../components/model/text.ts";
import { plainScript } from "../../components/node/scripts.ts";
import type { Access } from "../../components/survey/access.ts";
import { runOverSsh } from "../../components/survey/ssh.ts";
import { CommandError } from "../command-error.ts";

/** What a machine says of itself before there is a stack file. */
export interface Look {
  readonly hostname: string;
  /** what runs etcd decides it: a unit, or the kubelet */
  readonly layout: LayoutKind;
  /** flags as `--name=value` of what runs, or would be started, on this machine */
  readonly flags: Readonly<Partial<Record<Component, readonly string[]>>>;
  /** rows of `etcdctl member list`; empty when etcd did not tell */
  readonly memberRows: readonly string[];
}

const lookMilliseconds = 60_000;

/** @throws Error when the machine cannot be looked at */
export async function lookAt(access: Access, bastion: Access | undefined): Promise<Look> {
  const answer = await runOverSsh(access, bastion, lookScript(), lookMilliseconds).catch((error: unknown) => {
    // there is no stack file yet
    throw CommandError.failed(
      messageOf(error).replace("the hostKey of the stack file", "the one that was confirmed"),
      error,
    );
  });
  const { code, stdout, stderr } = answer;
  if (code !== 0) {
    const sudo = access.user === "root" ? "" : `; expected ${access.user} to run sudo -n without a password`;
    throw new Error(
      `Cannot inspect ${access.host}: exit code ${code ?? "unknown"}: ${stderr.slice(-400)}${sudo}`,
    );
  }
  return parseLook(access.host, stdout);
}

/** The script for one machine. */
export function lookScript(): string {
  const { etcdUnit, kubeletUnit } = ackSurroundings;
  // no address: of etcd.sh only what needs none is called
  const data = {
    COMPONENTS: components.join(" "),
    ETCD_UNIT: etcdUnit,
    KUBELET_UNIT: kubeletUnit,
    MANIFEST_DIR: "/etc/kubernetes/manifests",
    ADDRESS: "",
  };
  return plainScript("look", assignments(data));
}

/**
 * Reads what components/node/bin/look.sh prints.
 * @throws Error when the text is not a complete answer
 */
export function parseLook(host: string, text: string): Look {
  const facts = answerLines(text);
  const isWhole = facts[0] === "look 1" && facts.at(-1) === "end";
  const incomplete = () =>
    new Error(
      `Cannot inspect ${host}: the answer is not complete; saw "${printable(text.slice(0, 200))}", expected nothing but the answer. A login script must print nothing: ssh ${host} true`,
    );
  const read = readRecords(facts, lookRecords, incomplete);
  const [[hostname], [layout]] = [read.hostname, read.layout];
  if (!isWhole || hostname === undefined || layout === undefined) {
    throw incomplete();
  }
  return {
    hostname: hostname.name,
    layout: layout.kind,
    flags: Object.fromEntries(read.arguments.map(({ component, words }) => [component, flagsIn(words)])),
    memberRows: read.member.map(({ row }) => row),
  };
}

/** The value of a process's flag; undefined when it has none. */
export function flagOf({ flags }: Look, component: Component, flag: string): string | undefined {
  return flags[component]?.find((each) => each.startsWith(`${flag}=`))?.slice(flag.length + 1);
}
