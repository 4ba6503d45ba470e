import { posix } from "node:path";
import type { SurveyedMaster } from "../../../cli/rehearse/survey-file.ts";
import type { Certificate } from "../../../components/model/certificate.ts";
import { holderName } from "../../../components/model/clients.ts";
import { quote } from "../../../components/model/shell.ts";
import { inside, kubectl, masterNamed } from "../support/inside.ts";
import type { Lab, LabMaster } from "../topology.ts";
import type { Copies } from "./copies.ts";
import { contentOf, type Files } from "./files.ts";

type Holding = SurveyedMaster["holdings"][number];

/** A client of etcd besides Kubernetes, as the lab has it. */
export interface ClientOfEtcd {
  /** as preview names it */
  readonly name: string;
  readonly master: string;
  readonly holder: Holding["holder"];
  readonly held: readonly Holding[];
  /** the leaf, where none of what it holds is one: it is known by its key */
  readonly leaf: readonly Certificate[];
  /** names of what it holds */
  readonly pair: { readonly ca: string | undefined; readonly cert: string; readonly key: string };
}

const leafName = "imitated-client.pem";
const folder = "/etc/rehearsal";

/** The clients that a master tells of; and in words those that cannot be imitated. */
export function clientsOf(
  { holdings }: SurveyedMaster,
  master: string,
  originals: readonly Certificate[],
): { readonly clients: readonly ClientOfEtcd[]; readonly otherwise: readonly string[] } {
  const byHolder = Map.groupBy(holdings, ({ holder }) => nameOf(holder, master));
  const made = [...byHolder].map(([name, held]) => [name, clientOf(name, held, master, originals)] as const);
  return {
    clients: made.flatMap(([, client]) => client ?? []),
    otherwise: made.flatMap(([name, client]) =>
      client === undefined ? [`${name}: no pair of a certificate and its key is known of it`] : [],
    ),
  };
}

function nameOf(holder: Holding["holder"], master: string): string {
  return `${holderName(holder)}${holder.kind === "Secret" ? "" : ` on ${master}`}`;
}

function clientOf(
  name: string,
  held: readonly Holding[],
  master: string,
  originals: readonly Certificate[],
): ClientOfEtcd | undefined {
  const key = held.find(({ publicKey }) => publicKey !== undefined);
  const isLeaf = ({ publicKey }: Certificate) => publicKey === key?.publicKey;
  const cert = held.find(({ certificates }) => certificates.some(isLeaf));
  // a curl has removed its certificate from its arguments
  const leaf = cert === undefined ? originals.filter(isLeaf).slice(0, 1) : [];
  const [holder] = held.map((each) => each.holder);
  const isPlain = held.every((each) => /^[\w./@:+-]+$/.test(each.name) && !each.name.includes(".."));
  if (key === undefined || holder === undefined || (cert === undefined && leaf.length === 0) || !isPlain) {
    return undefined;
  }
  const ca = held.find(
    (each) => each !== cert && each.publicKey === undefined && each.certificates.length > 0,
  );
  const pair = { ca: ca?.name, cert: cert?.name ?? leafName, key: key.name };
  return { name, master, holder, held, leaf, pair };
}

function wordOf(text: string): string {
  return text.replaceAll(/[^\w.@-]/g, "-");
}

/** Where a client has its files: of a Secret, until it is made. */
function folderOf({ holder }: ClientOfEtcd): string {
  return holder.kind === "Secret"
    ? `${folder}/secrets/${holder.namespace}/${holder.name}`
    : `${folder}/${wordOf(holder.unit)}`;
}

/** The unit of a process; what runs in a pod or in a session gets one too. */
function unitOf(name: string, unit: string): string {
  return /^[\w.@:-]+\.service$/.test(unit) ? unit : `${wordOf(name)}.service`;
}

/** What is laid over its master: its files, and for a process a unit that asks every member for its metrics. */
export function filesOf(client: ClientOfEtcd, copies: Copies, members: readonly LabMaster[]): Files {
  const files: Files = new Map();
  const { holder, held, leaf, pair } = client;
  for (const each of held) {
    files.set(posix.resolve(folderOf(client), each.name), {
      text: contentOf(each, copies),
      mode: each.publicKey === undefined ? "644" : "600",
    });
  }
  if (leaf.length > 0) {
    files.set(`${folderOf(client)}/${leafName}`, {
      text: contentOf({ certificates: leaf }, copies),
      mode: "644",
    });
  }
  if (holder.kind === "process") {
    const unit = unitOf(holder.name, holder.unit);
    const own = `${folder}/bin/${wordOf(holder.name)}`;
    const asks = members.map(
      ({ address }) =>
        `${quote(own)} --silent --rate 1/s --max-time 5 ${argumentsOf(pair)} --output /dev/null 'https://${address}:2379/metrics?[1-9999999]' &`,
    );
    files.set(`${folder}/bin/start-${unit}`, {
      // known by the name of the real one
      text: ["#!/usr/bin/env bash", `cp /usr/bin/curl ${quote(own)}`, ...asks, "wait", ""].join("\n"),
      mode: "755",
    });
    files.set(`/etc/systemd/system/${unit}`, {
      text: `[Unit]\nDescription=imitation of a client of etcd\n[Service]\nWorkingDirectory=${folderOf(client)}\nExecStart=${folder}/bin/start-${unit}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n`,
      mode: "644",
    });
  }
  return files;
}

function argumentsOf({ ca, cert, key }: ClientOfEtcd["pair"]): string {
  const trust = ca === undefined ? "--insecure" : `--cacert ${quote(ca)}`;
  return `${trust} --cert ${quote(cert)} --key ${quote(key)}`;
}

/** Makes the Secrets and starts the processes, once the lab serves. */
export async function startClients(lab: Lab, clients: readonly ClientOfEtcd[]): Promise<void> {
  for (const client of clients) {
    const { holder } = client;
    await inside(
      masterNamed(lab, client.master),
      holder.kind === "Secret"
        ? `${kubectl} get namespace ${holder.namespace} >/dev/null 2>&1 || ${kubectl} create namespace ${holder.namespace}
${kubectl} --namespace ${holder.namespace} create secret generic ${holder.name} --from-file=${folderOf(client)} && rm -r ${folderOf(client)}`
        : `systemctl enable --now --quiet ${quote(unitOf(holder.name, holder.unit))}`,
    );
  }
}

/** By a client's name: the members to which it cannot connect with what it has now, and why: `10.77.0.11: curl: (60) …`. */
export async function failuresOf(
  lab: Lab,
  clients: readonly ClientOfEtcd[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const answers = clients.map(async (client): Promise<readonly [string, string[]]> => {
    const asks = lab.masters.map(
      ({ address }) =>
        `said=$(curl --silent --show-error --max-time 10 ${argumentsOf(client.pair)} --output /dev/null 'https://${address}:2379/health' 2>&1) || printf '%s: %s\\n' ${address} "\${said%%$'\\n'*}"`,
    );
    const text = await inside(masterNamed(lab, client.master), [...ready(client), ...asks].join("\n"));
    return [client.name, text.split("\n").filter((line) => line !== "")];
  });
  return new Map(await Promise.all(answers));
}

/** What the shell does before a client's files lie in its folder. */
function ready(client: ClientOfEtcd): string[] {
  const { holder, held } = client;
  if (holder.kind === "process") {
    return [`cd ${quote(folderOf(client))}`];
  }
  const values = held.map(
    ({ name }) =>
      `${kubectl} --namespace ${holder.namespace} get secret ${holder.name} -o ${quote(`go-template={{index .data "${name}"}}`)} | base64 -d >${quote(name)}`,
  );
  return ['cd "$(mktemp -d)"', ...values];
}
