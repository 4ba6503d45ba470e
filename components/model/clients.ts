import { type Certificate, hasIssued } from "./certificate.ts";
import type { Found, FoundMaster, Holder, Holding } from "./found.ts";
import type { Row } from "./layout/rows.ts";
import { day, linesOf } from "./text.ts";
import { hasEnded, leavesOn, type Trusted, trustedBy, unique } from "./trust.ts";

/** A client of etcd that is none of Kubernetes' components. */
export interface Client {
  readonly name: string;
  readonly details: string;
  /** something that it has is of an authority that goes in retire, and of none that stays */
  readonly isBehind: boolean;
  /** that is its own, since it has the private key, and is accepted until retire */
  readonly isCutOff: boolean;
  /** what brings a Secret the files of the master; empty where no one command does */
  readonly command: string;
}

/** What of the stack and the plan decides about clients. */
export interface ClientsQuestion {
  readonly rows: readonly Row[];
  /** fingerprints of those that the stack asks for; none while they are not known */
  readonly authorities: readonly string[];
  /** somebody else's, which stay */
  readonly kept: Trusted;
  /** the stack file's: Secrets, processes, units */
  readonly ignored: readonly string[];
}

/**
 * Who has a certificate of an authority in etcd's trust files, or is connected to a member. A certificate is public, and whoever may
 * write a Secret can have put it there: only with its private key it is a client's that a rollout waits for, and that gets the new key.
 */
export function clientsOf({ masters }: Found, question: ClientsQuestion): Client[] {
  const judge = judgeOf(masters, question);
  return masters.flatMap((master) =>
    [
      ...new Map(
        [...master.connected, ...master.holdings.map(({ holder }) => holder)].map((holder) => [
          holderName(holder),
          holder,
        ]),
      ).values(),
    ]
      .filter((holder) => !question.ignored.some((each) => isNamed(holder, each)))
      .flatMap((holder) => clientOf(holder, master, judge, question.rows)),
  );
}

/** As preview and status name it, on its master. */
export function holderName(holder: Holder): string {
  return holder.kind === "Secret"
    ? `Secret ${holder.namespace}/${holder.name}`
    : `process ${holder.name} in ${holder.unit}`;
}

/** As the stack file's clients.ignore names it. */
function isNamed(holder: Holder, name: string): boolean {
  return holder.kind === "Secret"
    ? `${holder.namespace}/${holder.name}` === name
    : [holder.name, holder.unit].some((each) => each.split(" ").includes(name));
}

/** All of them, a line each; and why they may not be all. */
export function clientNotices({ masters }: Found, clients: readonly Client[]): string[] {
  return [
    ...clients.map(({ name, details }) => `client of etcd besides Kubernetes: ${name}: ${details}`),
    ...masters.flatMap(({ name, holdersCut }) =>
      holdersCut === "" ? [] : `not every client of etcd could be looked for on ${name}, ${holdersCut}`,
    ),
  ];
}

/** What to do about those that have something of what goes. */
export function clientCommands(clients: readonly Client[]): string[] {
  return clients.flatMap(({ name, isBehind, command }) =>
    isBehind
      ? `${name} needs the files of the new authority${command === "" ? " (docs/rotation.md, Clients of etcd besides Kubernetes)" : `; ${command}`}`
      : [],
  );
}

type Judge = ReturnType<typeof judgeOf>;

function judgeOf(masters: readonly FoundMaster[], { rows, authorities, kept }: ClientsQuestion) {
  const trusted = trustedBy(masters, rows);
  const staying = new Set([
    ...authorities,
    ...Object.values(kept).flatMap((byRow) =>
      Object.values(byRow)
        .flat()
        .map(({ fingerprint }) => fingerprint),
    ),
  ]);
  const isOf = (some: readonly Certificate[]) => (each: Certificate) =>
    some.some((authority) => hasIssued(authority, each));
  const isStaying = isOf(trusted.filter(({ fingerprint }) => staying.has(fingerprint)));
  const isKnown = isOf(trusted);
  const leaves = unique(masters.flatMap((master) => leavesOn(master, rows)));
  const isAuthority = ({ fingerprint }: Certificate) =>
    trusted.some((each) => each.fingerprint === fingerprint);
  return {
    isAuthority,
    /** issued by an authority that etcd trusts, or one itself */
    isKnown,
    /** of a file: a leaf of what stays is enough, or where it has none, an authority */
    isBehind: ({ certificates }: Holding) => {
      const known = certificates.filter(isKnown);
      const issued = known.filter((each) => !isAuthority(each));
      return !(issued.length > 0 ? issued : known).some(isStaying);
    },
    /** the masters' own leaves, of today and of the backups, with that key */
    leavesWith: (publicKey: string) => leaves.filter((each) => each.publicKey === publicKey),
    /** of one that has not ended */
    isAccepted: isOf(trusted.filter((authority) => !masters.some((master) => hasEnded(authority, master)))),
  };
}

function clientOf(holder: Holder, master: FoundMaster, judge: Judge, rows: readonly Row[]): Client[] {
  const name = holderName(holder);
  const held = master.holdings.filter((holding) => holderName(holding.holder) === name);
  const hasLeaf = held.some(({ certificates }) =>
    certificates.some((each) => judge.isKnown(each) && !judge.isAuthority(each)),
  );
  // curl removes its certificate from its arguments: a copy of a key stands for what it was copied with
  const own = hasLeaf
    ? held
    : held.map((each) =>
        each.certificates.length > 0 ? each : { ...each, certificates: judge.leavesWith(each.publicKey) },
      );
  const known = own.filter(({ certificates }) => certificates.some(judge.isKnown));
  if (known.length === 0 && !master.connected.some((each) => holderName(each) === name)) {
    return [];
  }
  const trust = known.filter(({ certificates }) => certificates.every(judge.isAuthority));
  const leaves = known.filter((holding) => !trust.includes(holding));
  const pairs = leaves.flatMap((leaf) => {
    const key = own.find(({ publicKey }) =>
      leaf.certificates.some((each) => judge.isKnown(each) && each.publicKey === publicKey),
    );
    return key === undefined ? [] : [{ leaf, key }];
  });
  const behind = known.filter(judge.isBehind);
  const outdated = trust.filter(judge.isBehind);
  return [
    {
      name: holder.kind === "Secret" ? name : `${name} on ${master.name}`,
      details: linesOf(
        known.length === 0
          ? "connected; which certificate it has is not known"
          : known.map((each) => wordsOf(each, judge)).join(", "),
        behind.length > 0 && `${namesOf(behind)} of an authority that goes in retire`,
        outdated.length > 0 && `by ${namesOf(outdated)} alone it refuses etcd from issue or retire on`,
        known.length > 0 &&
          pairs.length === 0 &&
          "nothing waits for it, since it has no private key of these",
      ).join("; "),
      isBehind: behind.length > 0,
      isCutOff: pairs.length > 0 && behind.some(({ certificates }) => certificates.some(judge.isAccepted)),
      command:
        holder.kind === "Secret" && leaves.length <= 1 && leaves.length === pairs.length
          ? commandFor(holder, master, rows, trust, pairs[0])
          : "",
    },
  ];
}

function namesOf(holdings: readonly Holding[]): string {
  return holdings.map(({ name }) => name).join(", ");
}

/** `tls.crt until 2076-11-10, SHA-256 1a2b3c4d5e6f7a8b`. */
function wordsOf({ name, certificates }: Holding, { isKnown }: Judge): string {
  const [first] = certificates.filter(isKnown);
  return first === undefined
    ? name
    : `${name} until ${day(first.notAfter)} (SHA-256 ${first.fingerprint.slice(0, 16)})`;
}

/** The private key goes from the master's file to kube-apiserver by pipes; what else the Secret has stays. */
function commandFor(
  { namespace, name: secret }: Extract<Holder, { readonly kind: "Secret" }>,
  master: FoundMaster,
  rows: readonly Row[],
  trust: readonly Holding[],
  pair: { readonly leaf: Holding; readonly key: Holding } | undefined,
): string {
  const pathOf = (id: string) => master.files[id]?.path || (rows.find((row) => row.id === id)?.path ?? "");
  const files = [
    ...trust.map(({ name }) => [name, pathOf("apiserver-etcd-ca")]),
    ...(pair === undefined
      ? []
      : [
          [pair.leaf.name, pathOf("apiserver-etcd-client")],
          [pair.key.name, pathOf("apiserver-etcd-client-key")],
        ]),
  ];
  // names that Kubernetes allows; a key that lies with its certificate has no file here
  if (
    [namespace, secret].some((each) => !/^[a-z0-9][a-z0-9.-]*$/.test(each)) ||
    (pair !== undefined && pair.leaf === pair.key) ||
    files.some(([key = ""]) => !/^[-._a-zA-Z0-9]+$/.test(key))
  ) {
    return "";
  }
  const kubectl = `kubectl --kubeconfig ${master.kubeconfig}`;
  const edits = files.map(
    ([key = "", path]) =>
      `printf 's#"${key.replaceAll(".", "[.]")}": "[^"]*"#"${key}": "%s"#\\n' "$(base64 -w 0 <${path})"`,
  );
  return `run on ${master.name}, as root: cat ${files.map(([, path]) => path).join(" ")} >/dev/null && ${kubectl} get secret ${secret} -n ${namespace} -o json | sed -e '/^    "data": {/,/^    }/!b' -f <(${edits.join("; ")}) | ${kubectl} replace -f -`;
}
