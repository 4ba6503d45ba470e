import { describe, expect, test } from "vitest";
import { certificatesIn, publicKeyOf } from "../../components/model/certificate.ts";
import {
  type ClientsQuestion,
  clientCommands,
  clientNotices,
  clientsOf,
} from "../../components/model/clients.ts";
import type { Found, FoundMaster, Holder, Holding } from "../../components/model/found.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { holdOf, obstaclesOf } from "../../components/model/missing.ts";
import { describeHold } from "../../components/model/words.ts";
import { diskOf, makePems, masterWith } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

const current = makePems("current");
const next = makePems("next");
type Pems = typeof current;
const clientOf = (pems: Pems) => pems.leaves["master-1"]?.["etcd-client"] ?? { certPem: "", keyPem: "" };
const authorityOf = (pems: Pems) => pems.authorities.etcd;
const fingerprints = (pems: Pems) =>
  Object.values(pems.authorities).flatMap((pem) => certificatesIn(pem).map(({ fingerprint }) => fingerprint));
const question: ClientsQuestion = { rows: ackLayout, authorities: fingerprints(next), kept: {}, ignored: [] };

const secretNamed = (name: string): Holder => ({ kind: "Secret", namespace: "monitoring", name });
const secret = secretNamed("etcd-client");
/** `pems` is the text of a value, certificates before a key. */
function holding(name: string, certPem: string, keyPem = "", holder = secret): Holding {
  return {
    holder,
    name,
    publicKey: keyPem === "" ? "-" : publicKeyOf(keyPem),
    certificates: certificatesIn(certPem),
  };
}
const pair = (pems: Pems, holder = secret) => [
  holding("tls.crt", clientOf(pems).certPem, "", holder),
  holding("tls.key", "", clientOf(pems).keyPem, holder),
];
const ca = (...pems: Pems[]) => holding("ca.pem", pems.map(authorityOf).join(""));

/** The cluster while both sets of authorities are trusted. */
function trusting(holdings: readonly Holding[], change: Partial<FoundMaster> = {}): Found {
  const disk = { ...diskOf(next, "master-1"), "etcd-ca": authorityOf(next) + authorityOf(current) };
  return {
    masters: [
      masterWith("master-1", disk, { holdings, kubeconfig: "/etc/kubernetes/admin.conf", ...change }),
    ],
  };
}
const fatesOf = (
  holdings: readonly Holding[],
  asked: Partial<ClientsQuestion> = {},
  change: Partial<FoundMaster> = {},
) =>
  clientsOf(trusting(holdings, change), { ...question, ...asked }).map(({ isBehind, isCutOff }) => [
    isBehind,
    isCutOff,
  ]);
const behind = [[true, true]];
const listed = [[true, false]];
const well = [[false, false]];

describe("a Secret", () => {
  test.each([
    ["a pair of the authority that goes", pair(current), behind],
    ["a pair of the wanted one", [...pair(next), ca(next)], well],
    ["a new pair beside the authority that goes alone", [...pair(next), ca(current)], behind],
    ["a new pair and both authorities", [...pair(next), ca(current, next)], well],
    [
      "an earlier leaf with the new authority behind it",
      [holding("all.pem", clientOf(current).certPem + authorityOf(next), clientOf(current).keyPem)],
      behind,
    ],
    ["the authority that goes, alone", [ca(current)], listed],
    ["a leaf without its key", [holding("tls.crt", clientOf(current).certPem)], listed],
    [
      "a leaf with another key",
      [holding("tls.crt", clientOf(current).certPem), holding("tls.key", "", clientOf(next).keyPem)],
      listed,
    ],
  ])("with %s", (_, holdings, fates) => {
    expect(fatesOf(holdings)).toEqual(fates);
  });

  test("is behind with whatever is of this cluster's while the new authorities are not known", () => {
    expect(fatesOf(pair(next), { authorities: [] })).toEqual(behind);
  });

  test("of somebody else's authority of the same name is none, nor is one that is ignored; one whose authority is kept is well", () => {
    const name =
      certificatesIn(authorityOf(current))[0]
        ?.subject.map((rdn) => `/${rdn}`)
        .join("") ?? "";
    const other = makeLeaf(makeAuthority(name), { subject: "/CN=other" });
    expect(fatesOf([holding("tls.crt", other.certPem, other.keyPem)])).toEqual([]);
    expect(fatesOf(pair(current), { ignored: ["monitoring/etcd-client"] })).toEqual([]);
    expect(
      fatesOf(pair(current), { kept: { "master-1": { "etcd-ca": certificatesIn(authorityOf(current)) } } }),
    ).toEqual(well);
  });

  test("is waited for only while its authority has not ended", () => {
    expect(fatesOf(pair(current), {}, { operatorClock: 4_000_000_000 })).toEqual(listed);
  });
});

describe("of several", () => {
  const foreign = makeLeaf(makeAuthority("/CN=console"), { subject: "/CN=foreign" });

  test("each has what is its own, and one that is ignored is that one alone", () => {
    const others = secretNamed("other");
    const both = [...pair(current), ...pair(next, others)];
    expect(fatesOf(both)).toEqual([...behind, ...well]);
    expect(fatesOf(both, { ignored: ["monitoring/other"] })).toEqual(behind);
    // nobody of this cluster's, while somebody else is connected
    const connected: Holder[] = [{ kind: "process", name: "scraper", unit: "a.service" }];
    const strange = holding("tls.crt", foreign.certPem, foreign.keyPem);
    expect(clientsOf(trusting([strange], { connected }), question).map(({ name }) => name)).toEqual([
      "process scraper in a.service on master-1",
    ]);
  });

  test("certificates in one file those count that are of this cluster: by them it is judged and named", () => {
    expect(fatesOf([holding("all.pem", foreign.certPem + authorityOf(next))])).toEqual(well);
    const mixed = holding("all.pem", foreign.certPem + clientOf(current).certPem, clientOf(current).keyPem);
    expect(fatesOf([mixed])).toEqual(behind);
    const [own] = certificatesIn(clientOf(current).certPem);
    expect(clientsOf(trusting([mixed]), question)[0]?.details).toContain(
      `(SHA-256 ${own?.fingerprint.slice(0, 16)})`,
    );
  });

  test("masters one by whose clock the authority has ended is enough: nobody waits any more", () => {
    const [master] = trusting(pair(current)).masters;
    const later = master && { ...master, name: "master-2", holdings: [], operatorClock: 4_000_000_000 };
    const masters = [master, later].flatMap((each) => each ?? []);
    expect(clientsOf({ masters }, question).map((each) => [each.isBehind, each.isCutOff])).toEqual(listed);
  });
});

test("what is said of a client: what it has; by an authority alone that it refuses etcd; without a key that nothing waits", () => {
  const detailsOf = (holdings: readonly Holding[]) =>
    clientsOf(trusting(holdings), question)[0]?.details.replaceAll(/ until \S+ \(SHA-256 \w+\)/g, "");
  expect([
    detailsOf([...pair(next), ca(next)]),
    detailsOf([...pair(next), ca(current)]),
    detailsOf([holding("tls.crt", clientOf(current).certPem)]),
  ]).toEqual([
    "tls.crt, ca.pem",
    "tls.crt, ca.pem; ca.pem of an authority that goes in retire; by ca.pem alone it refuses etcd from issue or retire on",
    "tls.crt; tls.crt of an authority that goes in retire; nothing waits for it, since it has no private key of these",
  ]);
});

describe("the command", () => {
  const commandOf = (holdings: readonly Holding[]) => clientsOf(trusting(holdings), question)[0]?.command;

  test("has each file of the master by the key whose value it replaces", () => {
    const pki = "/etc/kubernetes/pki/etcd";
    const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    const edit = (regex: string, key: string, path: string) =>
      `printf 's#"${regex}": "[^"]*"#"${key}": "%s"#\\n' "$(base64 -w 0 <${pki}/${path})"`;
    expect(commandOf([ca(current), ...pair(current)])).toBe(
      `run on master-1, as root: cat ${pki}/ca.pem ${pki}/etcd-client.pem ${pki}/etcd-client-key.pem >/dev/null && ${kubectl} get secret etcd-client -n monitoring -o json | ` +
        `sed -e '/^    "data": {/,/^    }/!b' -f <(${edit("ca[.]pem", "ca.pem", "ca.pem")}; ${edit("tls[.]crt", "tls.crt", "etcd-client.pem")}; ${edit("tls[.]key", "tls.key", "etcd-client-key.pem")}) | ${kubectl} replace -f -`,
    );
  });

  test("has the paths that the master's processes use, and the layout's where they tell none", () => {
    const [master] = trusting([]).masters;
    const { "apiserver-etcd-client": _, "apiserver-etcd-ca": trust, ...files } = master?.files ?? {};
    const moved = { ...files, ...(trust && { "apiserver-etcd-ca": { ...trust, path: "/moved/ca.pem" } }) };
    const clients = clientsOf(trusting([ca(current), ...pair(current)], { files: moved }), question);
    const pki = "/etc/kubernetes/pki/etcd";
    expect(clients[0]?.command).toContain(
      `: cat /moved/ca.pem ${pki}/etcd-client.pem ${pki}/etcd-client-key.pem >/dev/null`,
    );
    expect(clientCommands(clients)).toEqual([
      `Secret monitoring/etcd-client needs the files of the new authority; ${clients[0]?.command}`,
    ]);
  });

  test("is asked for by none that has all of what stays", () => {
    expect(clientCommands(clientsOf(trusting([...pair(next), ca(next)]), question))).toEqual([]);
  });

  test("brings an authority alone to a Secret that has no more", () => {
    expect(commandOf([ca(current)])).toMatch(
      /^run on master-1, as root: cat \/etc\/kubernetes\/pki\/etcd\/ca\.pem >\/dev\/null && /,
    );
    expect(commandOf([ca(current)])).not.toContain("-key.pem");
  });

  test.each([
    [
      "the pair's key is not there: whoever may write a Secret could ask for the cluster's",
      [holding("tls.crt", clientOf(current).certPem)],
    ],
    [
      "another key is",
      [holding("tls.crt", clientOf(current).certPem), holding("tls.key", "", clientOf(next).keyPem)],
    ],
    ["it has two pairs", [...pair(current), holding("b.crt", clientOf(current).certPem)]],
    [
      "the key lies with its certificate",
      [holding("both.pem", clientOf(current).certPem, clientOf(current).keyPem)],
    ],
    ["its name is none that Kubernetes allows", pair(current, secretNamed("a;id"))],
    ["a key's name is none", [{ ...ca(current), name: "ca' #" }]],
    ["a key's name ends well", [{ ...ca(current), name: "' #ca.pem" }]],
    ["one of its keys has such a name", [{ ...ca(current), name: "ca' #" }, ...pair(current)]],
    ["a process has it", pair(current, { kind: "process", name: "scraper", unit: "a.service" })],
  ])("is none where %s", (_, holdings) => {
    const clients = clientsOf(trusting(holdings), question);
    expect(clientCommands(clients)).toEqual([
      `${clients[0]?.name} needs the files of the new authority (docs/rotation.md, Clients of etcd besides Kubernetes)`,
    ]);
  });
});

describe("a process with a connection", () => {
  const holder: Holder = { kind: "process", name: "scraper", unit: "node-exporter.service" };

  test("is waited for only when it names a pair that goes: a connection proves nothing of that", () => {
    const connected = [holder];
    expect(fatesOf(pair(current, holder), {}, { connected })).toEqual(behind);
    expect(fatesOf(pair(next, holder), {}, { connected })).toEqual(well);
    // curl removes the certificate from its arguments
    expect(fatesOf([holding("key.pem", "", clientOf(next).keyPem, holder)], {}, { connected })).toEqual(well);
    const earlier = certificatesIn(clientOf(current).certPem);
    expect(
      fatesOf([holding("key.pem", "", clientOf(current).keyPem, holder)], {}, { connected, earlier }),
    ).toEqual(behind);
    expect(
      fatesOf(
        [holding("key.pem", "", clientOf(current).keyPem, holder), { ...ca(current), holder }],
        {},
        { connected, earlier },
      ),
    ).toEqual(behind);
    const unknown = trusting([], { connected });
    expect(clientNotices(unknown, clientsOf(unknown, question))).toEqual([
      "client of etcd besides Kubernetes: process scraper in node-exporter.service on master-1: connected; which certificate it has is not known",
    ]);
  });

  test.each(["scraper", "node-exporter.service"])("is ignored by its name or its unit: %s", (ignored) => {
    expect(fatesOf(pair(current, holder), { ignored: [ignored] })).toEqual([]);
  });
});

test("retire waits for a client that it would cut off, issue does not, and words say for which and why", () => {
  const found = trusting([ca(current), ...pair(current)]);
  const clients = clientsOf(found, question);
  const digest = (pem: string) =>
    certificatesIn(pem).map(
      ({ notAfter, fingerprint }) =>
        `until ${new Date(notAfter).toISOString().slice(0, 10)} (SHA-256 ${fingerprint.slice(0, 16)})`,
    );
  expect([
    holdOf(found, undefined, clients),
    holdOf(found, undefined, []),
    holdOf(found, "issue", clients),
    holdOf(found, "retire", clients),
  ]).toEqual(["retire", undefined, "issue", "retire"]);
  expect(obstaclesOf(found, "issue", clients)).toEqual([]);
  expect(describeHold({ found, heldBefore: "retire", clients })).toBe(
    "Held before retire: every master serves the wanted certificates, and trusts the earlier authorities too. Run pulumi up again when Secret monitoring/etcd-client has the files of the new authority, or clients.ignore lists it.",
  );
  expect(clientNotices(found, clients)).toEqual([
    `client of etcd besides Kubernetes: Secret monitoring/etcd-client: ca.pem ${digest(authorityOf(current))}, tls.crt ${digest(clientOf(current).certPem)}; ` +
      "ca.pem, tls.crt of an authority that goes in retire; by ca.pem alone it refuses etcd from issue or retire on",
  ]);
  expect(clientNotices(trusting([], { holdersCut: "after 10 s" }), [])).toEqual([
    "not every client of etcd could be looked for on master-1, after 10 s",
  ]);
});
