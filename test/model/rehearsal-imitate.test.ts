import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readSurvey, type Survey, surveyText } from "../../cli/rehearse/survey-file.ts";
import { certificatesIn, hasIssued, publicKeyOf } from "../../components/model/certificate.ts";
import type { FoundMaster, Holding } from "../../components/model/found.ts";
import { fillIn } from "../../components/model/layout/rows.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { imitate, labFor, settingsFor } from "../lab/rehearsal/imitate.ts";
import { rehearsal } from "../lab/rehearsal/rehearsal.ts";
import { planLab } from "../lab/topology.ts";
import { diskOf, makeOriginalPems, masterWith, names, specs } from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

const folder = mkdtempSync(join(tmpdir(), "rehearsal-"));
afterAll(() => rmSync(folder, { recursive: true }));

const pems = makeOriginalPems();
const now = Date.parse("2026-11-28T10:00:00Z");
// names and addresses that the lab has not
const settings = {
  rotation: "2026-11",
  masters: specs.map(({ etcdName }, index) => ({
    name: `cn-${index + 1}`,
    address: `192.168.7.1${index + 1}`,
    etcdName,
    hostKey: "ssh-ed25519 AAAA",
    host: "bastion.example",
    extraSans: [`192.168.7.1${index + 1}`, "192.168.7.111"],
  })),
  ssh: { privateKeyPath: "/home/me/.ssh/id" },
  clusterId: "c1",
  clients: { ignore: ["scraper"] },
};

/** Of etcd's files a survey tells only where links lead. */
function withoutPaths(master: FoundMaster): FoundMaster {
  const files = Object.entries(master.files).map(([id, file]) => [
    id,
    {
      ...file,
      path: file.path.startsWith("/opt") ? file.path : "",
      realPath: fillIn(file.realPath, specOf(master)),
    },
  ]);
  return { ...master, files: Object.fromEntries(files) };
}

function specOf({ name }: FoundMaster) {
  return specs.find((spec) => spec.name === name) ?? { etcdName: "", address: "" };
}

/** As a rehearsal reads a file that `--save` has written. */
function survey(change: (name: string) => Partial<FoundMaster> = () => ({})): Survey {
  const masters = names.map((name, index) => ({
    ...withoutPaths(masterWith(name, diskOf(pems, name), { receipt: undefined, ...change(name) })),
    name: `cn-${index + 1}`,
  }));
  const file = join(folder, "survey.json");
  const pathOf = (name: string, id: string) => {
    const [row, index] = [ackLayout.find((each) => each.id === id), Number(name.at(-1)) - 1];
    return fillIn(row?.path ?? "", specs[index] ?? { etcdName: "", address: "" });
  };
  writeFileSync(file, surveyText("prod", settings, masters, pathOf, now));
  return readSurvey(file);
}

/** What would be laid over the first master of the lab, by path. */
function laid(of: Survey) {
  const lab = planLab(labFor(of, "lab", now).options);
  const imitation = imitate(of, lab);
  const files = imitation.files.get("master-1");
  return { ...imitation, textOf: (path: string) => files?.get(path)?.text ?? "", files };
}

const cert = "/var/lib/etcd/cert";
const own = "10.77.0.11-name-1";
const [client] = certificatesIn(pems.leaves["master-1"]?.["etcd-client"].certPem ?? "");
const clientKey = publicKeyOf(pems.leaves["master-1"]?.["etcd-client"].keyPem ?? "");
const process = { kind: "process", name: "prometheus", unit: "prometheus.service" } as const;

/** The survey of a cluster on whose first master a process has etcd's authority, and more. */
function holding(...more: readonly Omit<Holding, "holder">[]): Survey {
  const ca = { name: "ca.pem", publicKey: "-", certificates: certificatesIn(pems.authorities.etcd) };
  const holdings = [ca, ...more].map((each) => ({ holder: process, ...each }));
  return survey((name) => ({ holdings: name === "master-1" ? holdings : [] }));
}

describe("a survey", () => {
  test("has of the stack file what decides about a rollout, and nothing of how masters are reached", () => {
    expect(survey().settings).toEqual({
      rotation: "2026-11",
      masters: settings.masters.map(({ name, address, etcdName, extraSans }) => ({
        name,
        address,
        etcdName,
        extraSans,
      })),
      layout: { kind: "ack" },
      clients: { ignore: ["scraper"] },
    });
  });

  test("that names a path which leads out of the lab is refused", () => {
    const bad = () =>
      survey(() => ({ strangerKeys: [{ path: "/etc/../../x", key: { pem: "", hash: clientKey } }] }));
    expect(bad).toThrow(/Cannot read the survey .*strangerKeys.*expected an absolute path/);
  });
});

describe("the lab that is like it", () => {
  test("has the nearest versions and number of masters, and says what it has not", () => {
    const { options, otherwise } = labFor(
      survey(() => ({ version: "3.4.3", kubernetes: "v1.18.8-aliyun.1", databaseBytes: 90_000_000 })),
      "lab",
      now,
    );
    expect([options.masters, options.etcd, options.kubernetes, options.layout, options.moved]).toEqual([
      3,
      "3.4",
      "1.20",
      "tidy",
      false,
    ]);
    expect(otherwise.slice(0, 2)).toEqual([
      "Kubernetes v1.18.8-aliyun.1: the lab has 1.20",
      "a database of 90 MB: the lab's is nearly empty",
    ]);
  });

  test("has the stack file's settings under its own names and addresses", () => {
    const of = survey();
    const lab = planLab(labFor(of, "lab", now).options);
    const { masters, ssh, clients } = settingsFor(of, lab);
    expect([ssh, clients]).toEqual([{ privateKeyPath: lab.sshKeyPath }, { ignore: ["scraper"] }]);
    expect(masters).toEqual(
      [1, 2, 3].map((number) => ({
        name: `master-${number}`,
        address: `10.77.0.1${number}`,
        etcdName: `10.77.0.1${number}-name-${number}`,
        hostKey: "",
        joining: false,
        // the second is no master's, though it begins like one
        extraSans: [`10.77.0.1${number}`, "192.168.7.111"],
      })),
    );
  });
});

describe("what is laid over a master", () => {
  test("is etcd's files, each leaf with its key, issued by the copy of who has issued it, in all files the same", () => {
    const { textOf, otherwise, files } = laid(survey());
    const [authority] = certificatesIn(textOf(`${cert}/ca.pem`));
    const leaves: readonly string[] = ["etcd-server", own, "etcd-client"];
    for (const leaf of leaves) {
      const [copy] = certificatesIn(textOf(`${cert}/${leaf}.pem`));
      expect(authority && copy && hasIssued(authority, copy)).toBe(true);
      expect(publicKeyOf(textOf(`${cert}/${leaf}-key.pem`))).toBe(copy?.publicKey);
    }
    expect(textOf("/etc/kubernetes/pki/etcd/ca.pem")).toBe(textOf(`${cert}/ca.pem`));
    expect(textOf(`${cert}/ca.pem`)).not.toContain(pems.authorities.etcd);
    expect([files?.size, files?.get(`${cert}/${own}-key.pem`)?.mode, otherwise]).toEqual([11, "600", []]);
  });

  test("trusts no issuer that the real one does not trust", () => {
    const other = certificatesIn(makeAuthority("/CN=other").certPem);
    const of = survey();
    const [first, ...rest] = of.masters;
    const file = first?.files["etcd-ca"];
    if (first === undefined || file === undefined) {
      throw new Error("no master");
    }
    const broken = { ...first, files: { ...first.files, "etcd-ca": { ...file, certificates: other } } };
    const { textOf } = laid({ ...of, masters: [broken, ...rest] });
    const [authority] = certificatesIn(textOf(`${cert}/ca.pem`));
    const [leaf] = certificatesIn(textOf(`${cert}/etcd-client.pem`));
    expect(authority?.subject).toEqual(["CN=other"]);
    expect(authority && leaf && hasIssued(authority, leaf)).toBe(false);
  });

  test("is what no row knows, where the link of a moved folder will lead, and a file elsewhere is named", () => {
    const moved = (path: string) => path.replace(cert, "/data/etcd");
    const of = survey((name) => {
      const { files } = masterWith(name, diskOf(pems, name));
      return {
        files: Object.fromEntries(
          Object.entries(files).map(([id, file]) => [
            id,
            {
              ...file,
              path: id === "etcd-client" ? "/opt/client.pem" : file.path,
              realPath: moved(file.path),
            },
          ]),
        ),
        strangers: client === undefined ? [] : [{ path: "/data/etcd/copy.pem", certificate: client }],
      };
    });
    const { textOf, otherwise } = laid(of);
    expect(labFor(of, "lab", now).options.moved).toBe(true);
    expect(textOf(`${cert}/copy.pem`)).toBe(textOf(`${cert}/etcd-client.pem`));
    expect(otherwise[0]).toBe(
      `/opt/client.pem of etcd-client on cn-1: in the lab it is ${cert}/etcd-client.pem`,
    );
  });

  test("is a unit for a process that is known by its key alone, with the leaf of that key", () => {
    const { textOf, clients } = laid(holding({ name: "key.pem", publicKey: clientKey, certificates: [] }));
    expect(clients.map(({ name }) => name)).toEqual(["process prometheus in prometheus.service on master-1"]);
    expect(textOf("/etc/rehearsal/prometheus.service/imitated-client.pem")).toBe(
      textOf(`${cert}/etcd-client.pem`),
    );
    expect(textOf("/etc/systemd/system/prometheus.service")).toContain(
      "ExecStart=/etc/rehearsal/bin/start-prometheus.service\n",
    );
    expect(textOf("/etc/rehearsal/bin/start-prometheus.service")).toContain(
      "'/etc/rehearsal/bin/prometheus' --silent --rate 1/s --max-time 5 --cacert 'ca.pem' --cert 'imitated-client.pem' --key 'key.pem'",
    );
  });

  test("is nothing of a client whose pair is not known, which is named", () => {
    const { clients, otherwise } = laid(holding());
    expect([clients, otherwise]).toEqual([
      [],
      [
        "process prometheus in prometheus.service on master-1: no pair of a certificate and its key is known of it",
      ],
    ]);
  });
});

test("a cluster that was not well is refused before a lab is made: a recovery is not imitated", async () => {
  const unwell = survey((name) => (name === "master-2" ? { etcd: "silent" } : {}));
  const nobody = { seed: undefined, tell: () => undefined, signal: new AbortController().signal };
  await expect(rehearsal(unwell, nobody)).rejects.toThrow(
    "Cannot rehearse prod: cn-2 was not well when surveyed",
  );
});
