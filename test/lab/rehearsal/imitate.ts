import { posix } from "node:path";
import type { Survey, SurveyedMaster } from "../../../cli/rehearse/survey-file.ts";
import { fillIn, type Row } from "../../../components/model/layout/rows.ts";
import { layouts } from "../../../components/model/layout/tables.ts";
import { labLayouts } from "../layouts.ts";
import { etcdVersions, kubernetesVersions, type LabOptions, parseOptions } from "../options.ts";
import type { Lab } from "../topology.ts";
import { type ClientOfEtcd, clientsOf, filesOf } from "./clients.ts";
import { copiesOf } from "./copies.ts";
import { contentOf, type Files, type LaidFile } from "./files.ts";

/** What is laid over the masters of a lab before they start. */
export interface Imitation {
  /** by master */
  readonly files: ReadonlyMap<string, Files>;
  readonly clients: readonly ClientOfEtcd[];
  /** in words: what of it is otherwise than on the real masters */
  readonly otherwise: readonly string[];
}

const day = 86_400;

/** The lab that comes nearest to a surveyed cluster, and in words in what it is another. */
export function labFor(
  survey: Survey,
  name: string,
  now: number,
): { readonly options: LabOptions; readonly otherwise: readonly string[] } {
  const { masters: surveyed, settings } = survey;
  const [{ version, kubernetes, databaseBytes = 0, files } = noMaster()] = surveyed;
  const masters = [5, 3].find((each) => each <= surveyed.length) ?? 1;
  const [etcdHere, kubernetesHere] = [
    nearest(version, etcdVersions, "3.4"),
    nearest(kubernetes, kubernetesVersions, "1.30"),
  ];
  const isMoved = rowsOf(survey).some(({ id }) => isLinked(files[id]));
  const options = parseOptions({
    ...{ name, masters: String(masters), etcd: etcdHere, kubernetes: kubernetesHere, moved: isMoved },
    layout:
      settings.layout.kind === "kubeadm" ? "kubeadm" : files["kube.conf"] === undefined ? "tidy" : "ack",
    lifetime: `${Math.max(day, Math.floor((kubernetesEnd(survey, now) - now) / 1000))}s`,
  });
  const words: readonly (readonly [boolean, string])[] = [
    [masters !== surveyed.length, `${surveyed.length} masters: the lab has ${masters}`],
    [!isOf(version, etcdHere), `etcd ${version || "of an unknown version"}: the lab has ${etcdHere}`],
    [
      !isOf(kubernetes, kubernetesHere),
      `Kubernetes ${kubernetes || "of an unknown version"}: the lab has ${kubernetesHere}`,
    ],
    [isMoved, "where the moved folders are: in the lab below /data"],
    [
      databaseBytes > 50_000_000,
      `a database of ${Math.round(databaseBytes / 1e6)} MB: the lab's is nearly empty`,
    ],
    [
      surveyed.some(({ rollout }) => rollout > 0),
      "the stack's state: the lab is taken over anew, which may need two restarts of each master where the cluster needs one",
    ],
    [settings["holdBefore"] !== undefined, "holdBefore: the lab's rollout goes on to its end"],
  ];
  return {
    options,
    otherwise: [
      ...words.flatMap(([is, text]) => (is ? [text] : [])),
      "Kubernetes' own certificates: the lab's, of which the leaves end when the first of the cluster's does",
      "names and addresses; workers, pods and add-ons; the cloud's load balancer, disks, network and load",
    ],
  };
}

function noMaster(): never {
  throw new Error("Cannot imitate a cluster without a master");
}

function minorOf(version: string): number {
  return Number(/^v?\d+\.(\d+)/.exec(version)?.[1]);
}

function isOf(version: string, minor: string): boolean {
  return minorOf(version) === minorOf(minor);
}

function nearest(version: string, known: Readonly<Record<string, string>>, otherwise: string): string {
  const distance = (each: string) => Math.abs(minorOf(each) - minorOf(version));
  return Number.isNaN(minorOf(version))
    ? otherwise
    : (Object.keys(known).toSorted((a, b) => distance(a) - distance(b))[0] ?? otherwise);
}

function rowsOf({ settings }: Survey): readonly Row[] {
  return layouts[settings.layout.kind].rows;
}

function isLinked(file: SurveyedMaster["files"][string] | undefined): boolean {
  return file !== undefined && posix.dirname(file.path) !== posix.dirname(file.realPath);
}

/** When the first leaf of Kubernetes' own ends, in milliseconds since 1970. */
function kubernetesEnd({ settings, masters }: Survey, now: number): number {
  const leaves = layouts[settings.layout.kind].kubernetes.filter(({ kind }) => kind === "cert");
  const ends = masters.flatMap(({ files }) =>
    leaves.flatMap(({ id }) => files[id]?.certificates[0]?.notAfter ?? []),
  );
  return Math.min(...ends, now + 3650 * day * 1000);
}

/** The names and addresses of the real masters, as the lab's: whole words only. */
export function renamerFor({ settings }: Survey, lab: Pick<Lab, "masters">): (text: string) => string {
  const pairs = new Map<string, string>();
  for (const [index, master] of lab.masters.entries()) {
    const real = settings.masters[index] ?? master;
    pairs.set(real.name, master.name).set(real.address, master.address).set(real.etcdName, master.etcdName);
  }
  const words = [...pairs.keys()]
    .toSorted((a, b) => b.length - a.length)
    .map((each) => each.replaceAll(/[.+*?^$(){}|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(?<![A-Za-z0-9])(${words.join("|")})(?![A-Za-z0-9])`, "g");
  return (text) => text.replaceAll(pattern, (word) => pairs.get(word) ?? word);
}

/** The stack file's settings, for the lab's masters. */
export function settingsFor(survey: Survey, lab: Lab): Record<string, unknown> {
  const { settings } = survey;
  const rename = renamerFor(survey, lab);
  const { kind, paths = {} } = labLayouts[lab.options.layout];
  const { holdBefore: _hold, ...kept } = settings;
  return {
    ...kept,
    masters: lab.masters.map(({ name, address, etcdName, hostKey }, index) => ({
      ...JSON.parse(rename(JSON.stringify(settings.masters[index]))),
      ...{ name, address, etcdName, hostKey, joining: false },
    })),
    layout: { kind, paths },
    ssh: { privateKeyPath: lab.sshKeyPath },
    ...(lab.masters.length < 3 ? { allowOutage: true } : {}),
  };
}

/** etcd's files, the files that no row knows, and its clients, by copies of their certificates. */
export function imitate(survey: Survey, lab: Lab): Imitation {
  const rename = renamerFor(survey, lab);
  const originals = new Map(
    survey.masters
      .flatMap(({ files, strangers, holdings }) => [
        ...rowsOf(survey).flatMap(({ id }) => files[id]?.certificates ?? []),
        ...[...strangers, ...holdings].flatMap(({ certificates }) => certificates),
      ])
      .map((certificate) => [certificate.fingerprint, certificate]),
  );
  const copies = copiesOf([...originals.values()], rename);
  const otherwise: string[] = [];
  const clients: ClientOfEtcd[] = [];
  const files = new Map(
    lab.masters.flatMap((master, index) => {
      const real = survey.masters.find(({ name }) => name === survey.settings.masters[index]?.name);
      if (real === undefined) {
        return [];
      }
      const laid: Files = new Map();
      for (const row of rowsOf(survey)) {
        const file = real.files[row.id];
        const [own, there] = [fillIn(row.path, master), rename(file?.path ?? "")];
        if (file !== undefined) {
          laid.set(own, { text: contentOf(file, copies), mode: modeOf(file.ownerAndMode) });
        }
        if (file !== undefined && own !== there) {
          otherwise.push(`${there} of ${row.id} on ${real.name}: in the lab it is ${own}`);
        }
      }
      const place = placesOf(real, rename);
      for (const { path, publicKey } of real.strangerKeys) {
        add(laid, place(path), { text: copies.keyOf(publicKey), mode: "600" });
      }
      for (const { path, certificates } of real.strangers) {
        add(laid, place(path), { text: contentOf({ certificates }, copies), mode: "644" });
      }
      const found = clientsOf(real, master.name, [...originals.values()]);
      clients.push(...found.clients);
      otherwise.push(...found.otherwise);
      for (const client of found.clients) {
        for (const [path, file] of filesOf(client, copies, lab.masters)) {
          add(laid, path, file);
        }
      }
      return [[master.name, laid] as const];
    }),
  );
  return { files, clients, otherwise };
}

/** What a master has there already stays. */
function add(files: Files, path: string, file: LaidFile): void {
  files.set(path, files.get(path) ?? file);
}

/** Of `root:root 644`. */
function modeOf(ownerAndMode: string): string {
  return / ([0-7]{3,4})$/.exec(ownerAndMode)?.[1] ?? "644";
}

/** Where a path with links followed is named: what of a moved folder was found is laid where the link will be. */
function placesOf({ files }: SurveyedMaster, rename: (text: string) => string): (path: string) => string {
  const folders = Object.values(files)
    .filter((file) => isLinked(file))
    .map(({ path, realPath }) => [`${posix.dirname(realPath)}/`, `${posix.dirname(path)}/`] as const);
  return (path) => {
    const [from, to] = folders.find(([real]) => path.startsWith(real)) ?? ["", ""];
    return rename(`${to}${path.slice(from.length)}`);
  };
}
