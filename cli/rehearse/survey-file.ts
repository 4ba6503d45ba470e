import { posix } from "node:path";
import { z } from "zod";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import { etcdStates, type FoundMaster } from "../../components/model/found.ts";
import { messageOf } from "../../components/model/text.ts";
import { CommandError, issuesIn } from "../command-error.ts";
import { readText } from "../files.ts";

/** Of a stack file what decides about a rollout of the masters; nothing of how they are reached, and nothing of what is around them. */
const settingsKept = [
  "rotation",
  "masters",
  "certificates",
  "kubernetes",
  "layout",
  "drain",
  "pauseBetweenMasters",
  "gate",
  "foreignAuthorities",
  "crossCertificates",
  "clients",
  "probe",
  "allowOutage",
  "holdBefore",
] as const;

const masterKept = ["name", "address", "etcdName", "joining", "extraSans", "subjects"] as const;

/** Whoever writes the file decides where the lab, on this machine and as root, writes others. */
const absolutePath = z
  .string()
  .refine(
    (text) =>
      /^\/[^\0\n]+$/.test(text) && posix.normalize(text) === text && !/^\/(dev|proc|run|sys)\//.test(text),
    "expected an absolute path",
  );
/** None, or some, as PEM. */
const certificates = z.string().transform(certificatesIn);
/** SHA-256 of its SubjectPublicKeyInfo. */
const publicKey = z.string().regex(/^[0-9a-f]{64}$/);
const word = z.string().regex(/^[\w.@:-]{1,200}$/);

const anyHolder = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("Secret"), namespace: word, name: word }),
  z.strictObject({ kind: z.literal("process"), name: z.string(), unit: z.string() }),
]);

const foundMaster = z.strictObject({
  name: z.string(),
  etcd: z.enum(etcdStates),
  isApiReady: z.boolean(),
  version: z.string(),
  kubernetes: z.string(),
  databaseBytes: z.number().optional(),
  /** of its last rollout; 0 without one */
  rollout: z.number(),
  /** by row id; those that are there */
  files: z.record(
    z.string(),
    z.strictObject({
      ownerAndMode: z.string(),
      path: absolutePath,
      realPath: absolutePath,
      publicKey: publicKey.optional(),
      certificates,
    }),
  ),
  strangers: z.array(z.strictObject({ path: absolutePath, certificates })),
  strangerKeys: z.array(z.strictObject({ path: absolutePath, publicKey })),
  holdings: z.array(
    z.strictObject({ holder: anyHolder, name: z.string(), publicKey: publicKey.optional(), certificates }),
  ),
});

const survey = z.strictObject({
  format: z.literal(1),
  stack: z.string().regex(/^[\w.-]{1,80}$/),
  /** ISO 8601 in UTC */
  time: z.iso.datetime(),
  settings: z.looseObject({
    rotation: z.string(),
    masters: z.array(z.looseObject({ name: z.string(), address: z.string(), etcdName: z.string() })).min(1),
    layout: z.looseObject({ kind: z.enum(["ack", "kubeadm"]).default("ack") }).prefault({}),
  }),
  masters: z.array(foundMaster).min(1),
});

/** What a rehearsal needs to know of a cluster; public data only. */
export type Survey = z.output<typeof survey>;
export type SurveyedMaster = Survey["masters"][number];

/**
 * The text of such a file.
 * @param settings of a stack file, as written there
 * @param pathOf where a row's file is on a master, unless that tells
 */
export function surveyText(
  stack: string,
  settings: Readonly<Record<string, unknown>>,
  masters: readonly FoundMaster[],
  pathOf: (master: string, row: string) => string,
  now: number,
): string {
  const text: z.input<typeof survey> = {
    format: 1,
    stack,
    time: new Date(now).toISOString(),
    settings: survey.shape.settings.parse({
      ...picked(settings, settingsKept),
      masters: Array.isArray(settings["masters"])
        ? settings["masters"].map((each) => picked(each, masterKept))
        : [],
    }),
    masters: masters.map((master) => ({
      name: master.name,
      etcd: master.etcd,
      isApiReady: master.isApiReady,
      version: master.version,
      kubernetes: master.kubernetes,
      databaseBytes: master.databaseBytes,
      rollout: master.receipt?.rollout ?? 0,
      files: Object.fromEntries(
        Object.entries(master.files)
          .filter(([, { isPresent }]) => isPresent)
          .map(([row, { ownerAndMode, path, realPath, ...file }]) => [
            row,
            { ownerAndMode, path: path || pathOf(master.name, row), realPath, ...publicOf(file) },
          ]),
      ),
      strangers: master.strangers.map(({ path, certificate }) => ({ path, certificates: certificate.pem })),
      strangerKeys: master.strangerKeys.map(({ path, key }) => ({ path, publicKey: key.hash })),
      holdings: master.holdings.map(({ holder, name, ...held }) => ({ holder, name, ...publicOf(held) })),
    })),
  };
  return `${JSON.stringify(text, null, 2)}\n`;
}

function publicOf(held: { readonly publicKey: string; readonly certificates: readonly Certificate[] }) {
  return {
    ...(publicKey.safeParse(held.publicKey).success ? { publicKey: held.publicKey } : {}),
    certificates: held.certificates.map(({ pem }) => pem).join(""),
  };
}

function picked(from: unknown, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from ?? {}).filter(([key]) => keys.includes(key)));
}

/** @throws CommandError (bad usage) when the file cannot be read or holds something else */
export function readSurvey(file: string): Survey {
  const text = readText(file, "the survey", "a file that rehearse --save has written");
  try {
    return survey.parse(JSON.parse(text));
  } catch (error) {
    const why =
      error instanceof z.ZodError ? issuesIn({ issues: error.issues.slice(0, 5) }) : messageOf(error);
    throw CommandError.usage(
      `Cannot read the survey ${file}: ${why}; expected a file that rehearse --save has written`,
      error,
    );
  }
}
