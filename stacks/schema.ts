import { posix } from "node:path";
import { z } from "zod";
import { isAddress } from "../components/model/checks.ts";
import { durationForm, durationPattern, durationSeconds } from "../components/model/duration.ts";
import { crossPolicies } from "../components/model/handover.ts";
import { components, kubernetesAuthorities, leaves } from "../components/model/layout/rows.ts";
import { layoutKinds, layouts } from "../components/model/layout/tables.ts";
import { holds } from "../components/model/missing.ts";
import { renewModes } from "../components/model/renewals.ts";
import { keyAlgorithms, probePolicies, tablesOf } from "../components/model/settings.ts";
import { foreignPolicies } from "../components/model/trust.ts";
import { mayHoldKey } from "./describe-issue.ts";
import { window } from "./window-settings.ts";

const duration = z.string().regex(durationPattern, `expected ${durationForm}`).transform(durationSeconds);
const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, "expected lower-case letters, digits, dots and hyphens");
const address = z.union([z.ipv4(), z.ipv6()], "expected an IPv4 or IPv6 address");
const host = z.string().regex(/^[A-Za-z0-9.:-]+$/, "expected a host name or an address");
/** The file system hierarchy's (FHS 3.0), and all below those that end with the boot. */
const systemFolder =
  /^\/((bin|boot|etc|home|lib|lib64|root|sbin|tmp|usr|var|var\/lib)?|(dev|proc|run|sys)(\/.*)?)\/?$/;
const path = z.string().regex(/^\/[^\0\n]*$/, "expected an absolute path");
const port = z.int().min(1).max(65_535);
/** One line of authorized_keys or known_hosts without the host, or the explicit opt-out. */
const hostKey = z
  .string()
  .regex(
    /^(unchecked|(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?)$/,
    'expected a host key such as "ssh-ed25519 AAAA…" (ssh-keyscan prints it), or "unchecked"',
  );
/** RFC 1123, with the underscore that names in clusters have, and a wildcard for the first label; digits last would be a mistyped address. */
const dnsName = /^(?=.{1,253}$)(?!.*\.\d+$)(\*\.)?(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*$/;
const san = z
  .string()
  .refine(
    (text) => isAddress(text) || dnsName.test(text),
    'expected a DNS name such as "etcd.example" or "*.etcd.example", or an IPv4 or IPv6 address, without a port',
  );
/** Of a Secret Kubernetes' names, of a process what the kernel keeps. */
const client = z
  .string()
  .regex(
    /^([a-z0-9.-]+\/[a-z0-9.-]+|[A-Za-z0-9._:@-]+)$/,
    'expected a Secret such as "monitoring/etcd-client", a process or unit such as "prometheus", or an address, as preview names them',
  );
const rdn = z.string().regex(/^[A-Za-z]+=.+$/, 'expected attributes such as "CN=etcd-server"');

const rotation = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,48}$/, "expected 1 to 48 letters, digits, dots, underscores or hyphens");

const master = z.strictObject({
  name,
  address,
  host: host.optional(),
  port: port.optional(),
  user: z.string().min(1).optional(),
  etcdName: z.string().regex(/^[A-Za-z0-9._-]+$/, "expected etcd's --name"),
  hostKey,
  joining: z.boolean().default(false),
  extraSans: z.array(san).default([]),
  subjects: z.partialRecord(z.enum(leaves), z.array(rdn).min(1)).default({}),
});

const access = {
  user: z.string().min(1).default("root"),
  port: port.default(22),
  privateKey: z
    .string()
    .regex(
      /^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n\r:, -]+-----END ([A-Z]+ )?PRIVATE KEY-----\s*$/,
      "expected an unencrypted or passphrase-protected private key in PEM or OpenSSH format",
    )
    .optional(),
  privateKeyPath: z
    .string()
    .refine((text) => text !== "" && !mayHoldKey(text), "expected the path of a file")
    .optional(),
  passphrase: z.string().optional(),
  password: z.string().min(1, "expected a password").optional(),
  agent: z.boolean().default(false),
};

const ssh = z
  .strictObject({
    ...access,
    bastion: z
      .strictObject({ ...access, host, hostKey })
      .check(needsOneKey)
      .optional(),
  })
  .check(needsOneKey);

const fileName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,61}$/, "expected lower-case letters, digits, dots and hyphens");
/** etcd reads nothing of Kubernetes' */
const restarts = z.array(z.enum(components).exclude(["etcd"])).default([]);

/** A file that is added to the layout; the model's `ExtraFile` once it has been read. */
const extraFile = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("pair"),
    name: fileName,
    certificate: path,
    key: path,
    authority: z.enum(kubernetesAuthorities).default("cluster-ca"),
    restarts,
  }),
  z.strictObject({ kind: z.literal("kubeconfig"), name: fileName, path, restarts }),
]);

/** What may be in a stack file, with its defaults. */
export const schema = z
  .strictObject({
    rotation,
    masters: z.array(master).min(1).check(areDistinct),
    ssh,
    certificates: z
      .strictObject({
        validity: duration.default(durationSeconds("50y")),
        renewBefore: duration.default(durationSeconds("60d")),
        algorithm: z.enum(keyAlgorithms).default("ECDSA-P256"),
      })
      .prefault({})
      // also asked of a duration that could not be read, and has its own message
      .refine(({ renewBefore, validity }) => !(renewBefore >= validity), {
        path: ["renewBefore"],
        message: "expected less than certificates.validity",
      })
      // 100 years: beyond it some X.509 readers give up, and Go's durations end at 292
      .refine(({ validity }) => !(validity < 3600 || validity > durationSeconds("100y")), {
        path: ["validity"],
        message: "expected 1h to 100y",
      }),
    layout: z
      .strictObject({
        kind: z.enum(layoutKinds).default("ack"),
        paths: z.partialRecord(z.enum(layoutKinds.flatMap(rowIds)), path).default({}),
        extra: z.array(extraFile).optional(),
      })
      .check((context) => {
        const { kind, paths, extra = [] } = context.value;
        const ids = tablesOf(context.value).kubernetes.map(({ id }) => id);
        extra.forEach((file, index) => {
          // a pair's key has a row of its own
          if (
            ids.filter((id) => id === file.name || (file.kind === "pair" && id === `${file.name}-key`))
              .length !== (file.kind === "pair" ? 2 : 1)
          ) {
            reject(context, ["extra", index, "name"], "expected a name that no file of the layout has");
          }
        });
        for (const id of Object.keys(paths).filter((each) => !rowIds(kind).includes(each))) {
          reject(context, ["paths", id], `expected a file of the layout ${kind}`);
        }
      })
      .prefault({}),
    kubernetes: z
      .strictObject({
        renew: z.enum(renewModes).default("auto"),
        rotation: rotation.optional(),
        keepKeys: z.boolean().default(false),
      })
      .prefault({}),
    drain: duration
      .refine(
        (seconds) => seconds <= 5,
        "expected at most 5s: controller manager and scheduler lose their leases when the API server is away for 10 s",
      )
      .default(2),
    pauseBetweenMasters: duration.default(10),
    gate: duration.refine((seconds) => seconds >= 10, "expected at least 10s").default(300),
    clusterId: z
      .string()
      .regex(/^[a-z0-9]{1,64}$/, "expected the id of an ACK dedicated cluster, as the console shows it")
      .optional(),
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z0-9]+)+$/, 'expected a region of Alibaba Cloud, such as "cn-hangzhou"')
      .optional(),
    backup: z
      .strictObject({
        keep: z.int().min(1).default(3),
        directory: path
          .refine(
            (text) => !systemFolder.test(posix.normalize(text)),
            'expected a folder for backups, such as "/data/backups", not one of the system',
          )
          .default("/var/lib/etcd-rotation/backups"),
        diskSnapshot: z.boolean().default(false),
        // 1 to 65536: ECS CreateSnapshot, RetentionDays
        diskSnapshotRetentionDays: z.int().min(1).max(65_536).default(30),
      })
      .prefault({}),
    restore: z
      .union(
        [
          z.int().min(1),
          z
            .string()
            .regex(/^[1-9]\d{0,8}$/)
            .transform(Number),
        ],
        "expected the number of a rollout whose backup the masters keep (npx etcd-rotation backups)",
      )
      .optional(),
    foreignAuthorities: z.enum(foreignPolicies).optional(),
    crossCertificates: z.enum(crossPolicies).optional(),
    clients: z.strictObject({ ignore: z.array(client) }).optional(),
    probe: z.enum(probePolicies).optional(),
    allowOutage: z.boolean().default(false),
    skipUnreachable: z.boolean().default(false),
    holdBefore: z.enum(holds).optional(),
    takeOver: z.string().min(1).optional(),
    window: window.optional(),
  })
  .check((context) => {
    const { clusterId, region, backup } = context.value;
    if ((clusterId === undefined) !== (region === undefined)) {
      const [missing, other] = clusterId === undefined ? ["clusterId", "region"] : ["region", "clusterId"];
      reject(context, [missing], `expected it beside ${other}, or neither`);
    }
    if (backup.diskSnapshot && clusterId === undefined) {
      reject(context, ["backup", "diskSnapshot"], "expected clusterId and region beside it");
    }
  });

/** What a check holds against a value. @param message what is expected instead */
function reject(context: z.core.ParsePayload, at: PropertyKey[], message: string): void {
  context.issues.push({ code: "custom", input: context.value, path: at, message });
}

function rowIds(kind: (typeof layoutKinds)[number]): string[] {
  return [...layouts[kind].rows, ...layouts[kind].kubernetes].map((row) => row.id);
}

function needsOneKey(context: z.core.ParsePayload<z.output<z.ZodObject<typeof access>>>): void {
  const { privateKey, privateKeyPath, password, agent } = context.value;
  const texts = [privateKey, privateKeyPath, password].filter((text) => text !== undefined);
  const given = texts.length + (agent ? 1 : 0);
  if (given !== 1) {
    reject(
      context,
      [],
      `expected exactly one of privateKey, privateKeyPath, password and agent: true, found ${given}`,
    );
  }
}

function areDistinct(context: z.core.ParsePayload<z.output<typeof master>[]>): void {
  for (const key of ["name", "address", "etcdName"] as const) {
    context.value.forEach((each, index) => {
      const first = context.value.findIndex((other) => other[key] === each[key]);
      if (first !== index) {
        reject(
          context,
          [index, key],
          `expected a value that no other master has; masters[${first}] has it too`,
        );
      }
    });
  }
}
