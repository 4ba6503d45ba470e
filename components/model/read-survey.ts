import { certificatesIn, publicKeysIn } from "./certificate.ts";
import type { FoundMaster, Receipt, Work } from "./found.ts";
import type { FileRow } from "./layout/rows.ts";
import { answerLines, readRecords, surveyRecords } from "./records.ts";
import { printable } from "./text.ts";

const absent = {
  isPresent: false,
  isReadable: false,
  ownerAndMode: "",
  publicKey: "",
  path: "",
  realPath: "",
  certificates: [],
};

/**
 * Reads the survey script's lines (components/node/bin/survey.sh).
 * @throws Error when the text is not a complete survey
 */
export function parseSurvey(
  master: string,
  answer: string,
  rows: readonly FileRow[],
  operatorClock: number,
): FoundMaster {
  const facts = answerLines(answer);
  if (facts[0] !== "survey 1" || facts.at(-1) !== "end") {
    throw new Error(
      `Cannot survey ${master}: the answer is not complete; saw ${printable(JSON.stringify(answer.slice(0, 200)))}, expected a survey`,
    );
  }
  const read = readRecords(
    facts,
    surveyRecords,
    (line) =>
      new Error(`Cannot survey ${master}: saw "${line}"; expected a record of a survey, with all its fields`),
  );
  const [[clock], [etcd], [api]] = [read.clock, read.etcd, read.api];
  if (clock === undefined || etcd === undefined || api === undefined) {
    throw new Error(
      `Cannot survey ${master}: the answer lacks a record of clock, etcd or api; expected all three`,
    );
  }
  const [[receipt], [lock], [claim]] = [read.receipt, read.lock, read.claim];
  return {
    name: master,
    clock: clock.seconds,
    operatorClock,
    files: Object.fromEntries(
      rows.map(({ id }) => {
        const isOf = ({ row }: { readonly row: string }) => row === id;
        const file = read.file.findLast(isOf);
        return [
          id,
          file === undefined
            ? absent
            : {
                isPresent: true,
                isReadable: file.access === "readable",
                ownerAndMode: `${file.owner} ${file.mode}`,
                publicKey: file.publicKey,
                path: read.path.findLast(isOf)?.path ?? "",
                realPath: file.realPath,
                certificates: certificatesIn(read.pem.findLast(isOf)?.pem ?? ""),
              },
        ];
      }),
    ),
    processes: Object.fromEntries(
      read.process.map(({ component, state, identity }) => {
        const flags = read.arguments.flatMap((each) =>
          each.component === component ? flagsIn(each.words) : [],
        );
        return [component, { identity, isStale: state === "stale", flags }];
      }),
    ),
    served: Object.fromEntries(
      read.served.flatMap(({ port, pem }) =>
        certificatesIn(pem)
          .slice(0, 1)
          .map((leaf) => [port, leaf]),
      ),
    ),
    etcd: etcd.state,
    etcdProblem: etcd.problem,
    doesAnswer: read.answers.length > 0,
    isLeader: read.leader.length > 0,
    clusterId: read.cluster[0]?.id ?? "",
    version: read.version[0]?.version ?? "",
    databaseBytes: read.database[0]?.bytes,
    kubernetes: read.kubernetes[0]?.version ?? "",
    members: read.member.map(({ row }) => row),
    isApiReady: api.state === "ready",
    receipt: receipt && parseReceipt(receipt.text),
    recordedAt: read.recorded[0]?.seconds,
    backups: read.backup.map(({ rollout }) => rollout),
    saved: Object.fromEntries(
      read.saved.map(({ row, publicKey, pem }) => [row, { publicKey, certificates: certificatesIn(pem) }]),
    ),
    earlier: read.earlier.flatMap(({ pem }) => certificatesIn(pem)),
    leftovers: [...new Set(read.leftover.map(({ path }) => path))],
    lock: lock?.holder || undefined,
    work: lock && workOf(lock.holder),
    claim: claim?.holder || undefined,
    claimedAt: Number(claim?.since) || undefined,
    clients: read.client.map(({ address }) => address),
    reaches: read.reaches.map(({ address }) => address),
    carriers: read.carrier,
    strangers: read.stranger.flatMap(({ path, pem }) =>
      certificatesIn(pem)
        .slice(0, 1)
        .map((certificate) => ({ path, certificate })),
    ),
    strangerKeys: read["stranger-key"].flatMap(({ path, pem }) =>
      publicKeysIn(pem).map((key) => ({ path, key })),
    ),
    holdings: read.holder.map(({ holder, name, publicKey, pem }) => ({
      holder,
      name,
      publicKey,
      certificates: certificatesIn(pem),
    })),
    connected: read.connected.map(({ holder }) => holder),
    holdersCut: read["holders-cut"].map(({ why }) => why).join("; "),
    kubeconfig: read.kubeconfig[0]?.path ?? "",
  };
}

/** `--name value` and `-name=value` become `--name=value`. */
export function flagsIn(lines: string): string[] {
  const words = lines.split("\n").map(printable);
  return words.flatMap((word, index) => {
    if (!word.startsWith("-")) {
      return [];
    }
    const name = word.replace(/^--?/, "--");
    const next = words[index + 1] ?? "";
    return [name.includes("=") || next === "" || next.startsWith("-") ? name : `${name}=${next}`];
  });
}

/** Process, owner, phase, attempt and time, as components/node/lib/lock.sh writes them; a holder that has just begun has not yet. */
function workOf(holder: string): Work | undefined {
  const [, phase, attempt, since] = /^\d+ \S+ (\S+) (\S+) (\d+)$/.exec(holder) ?? [];
  return phase === undefined || attempt === undefined ? undefined : { phase, attempt, since: Number(since) };
}

function parseReceipt(text: string): Receipt {
  const values = new Map(
    text
      .split("\n")
      .flatMap((line) =>
        [...printable(line).matchAll(/^([^=]*)=(.*)$/g)].map(
          ([, key = "", value = ""]) => [key, value] as const,
        ),
      ),
  );
  const get = (key: string) => values.get(key) ?? "";
  return {
    owner: get("owner"),
    cluster: get("cluster"),
    rollout: Number(get("rollout")),
    attempt: get("attempt"),
    rotation: get("rotation"),
    authorities: get("authorities"),
    phase: get("phase"),
    isComplete: get("complete") === "1",
    renewed: Object.fromEntries(
      [...values].flatMap(([key, value]) =>
        key.startsWith("renewed.") ? [[key.slice("renewed.".length), value]] : [],
      ),
    ),
  };
}
