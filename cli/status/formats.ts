import { states } from "../../components/model/certificate-status.ts";
import type { Progress } from "../../components/model/progress.ts";
import { exitCodeFor, type Outcome, stateOf } from "./look.ts";

/** All that is known, for programs; times are ISO 8601 in UTC. */
export function jsonOf(outcomes: readonly Outcome[], now: number): string {
  const clusters = outcomes.map((outcome) => {
    if ("problem" in outcome) {
      return { stack: outcome.stack, state: stateOf(outcome), problem: outcome.problem };
    }
    const {
      certificates,
      masters,
      members = null,
      progress,
      rollout = null,
      rotation = null,
      lastBackup = null,
      ...rest
    } = outcome.status;
    return {
      ...rest,
      rollout,
      rotation,
      lastBackup,
      members,
      masters: masters.map(
        ({ etcdVersion = null, kubernetesVersion = null, databaseBytes = null, ...master }) => ({
          ...master,
          etcdVersion,
          kubernetesVersion,
          databaseBytes,
        }),
      ),
      progress: progress === undefined ? null : progressFields(progress),
      certificates: certificates.map(({ notBefore, notAfter, port = null, issuer, ...certificate }) => ({
        ...certificate,
        port,
        issuer: { name: issuer.name, fingerprint: issuer.fingerprint ?? null },
        notBefore: new Date(notBefore).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
      })),
    };
  });
  return `${JSON.stringify({ time: new Date(now).toISOString(), exitCode: exitCodeFor(outcomes), clusters }, null, 2)}\n`;
}

function progressFields({ state, rollout, phase, masters, since, by }: Progress) {
  const time = since === undefined ? null : new Date(since).toISOString();
  return { state, rollout: rollout ?? null, phase, masters, since: time, by: by ?? null };
}

/** One sample: labels and a value; none where that is not known. */
type Sample = readonly [Readonly<Record<string, string>>, number | undefined];

/**
 * The text that node-exporter's textfile collector reads (Prometheus text format 0.0.4). Without time stamps, which the
 * collector refuses; the time of the look is a metric of its own, so that a file which is no longer written shows.
 */
export function prometheusOf(outcomes: readonly Outcome[], now: number): string {
  const looked = outcomes.flatMap((outcome) => ("status" in outcome ? [outcome.status] : []));
  const allMasters = looked.flatMap(({ stack, masters }) => masters.map((each) => ({ stack, ...each })));
  const counted = states.filter((state) => state !== "other");
  return [
    metric(
      "etcd_rotation_certificate_not_after_seconds",
      "End of a certificate, in seconds since 1970; where: served, or disk alone.",
      looked.flatMap(({ stack, certificates }) =>
        certificates.map(({ master, file, port, issuer: { name: issuer }, ...each }): Sample => {
          const where = port === undefined ? "disk" : "served";
          const fingerprint = each.fingerprint.slice(0, 16);
          return [{ stack, master, file, where, issuer, fingerprint }, Math.floor(each.notAfter / 1000)];
        }),
      ),
    ),
    metric(
      "etcd_rotation_cluster_state",
      "1 for the state that a cluster is in, 0 for the others.",
      outcomes.flatMap((outcome) =>
        counted.map((state): Sample => [{ stack: outcome.stack, state }, stateOf(outcome) === state ? 1 : 0]),
      ),
    ),
    metric(
      "etcd_rotation_master_reachable",
      "Whether a master could be surveyed.",
      allMasters.map(({ stack, name: master, state }) => [
        { stack, master },
        state === "unreachable" ? 0 : 1,
      ]),
    ),
    metric(
      "etcd_rotation_rollout",
      "Number of the last rollout in the masters' receipts.",
      looked.map(({ stack, rollout }) => [{ stack }, rollout]),
    ),
    metric(
      "etcd_rotation_etcd_members",
      "Members of etcd, by its own list.",
      looked.map(({ stack, members }) => [{ stack }, members]),
    ),
    metric(
      "etcd_rotation_etcd_database_bytes",
      "Size of a member's database file.",
      allMasters.map(({ stack, name: master, databaseBytes }) => [{ stack, master }, databaseBytes]),
    ),
    metric(
      "etcd_rotation_version_info",
      "Always 1; the versions of etcd and Kubernetes on a master, empty where it does not tell.",
      allMasters.map(
        ({ stack, name: master, etcdVersion: etcd = "", kubernetesVersion: kubernetes = "" }) => [
          { stack, master, etcd, kubernetes },
          etcd + kubernetes === "" ? undefined : 1,
        ],
      ),
    ),
    metric("etcd_rotation_look_timestamp_seconds", "When the masters were surveyed, in seconds since 1970.", [
      [{}, Math.floor(now / 1000)],
    ]),
  ].join("");
}

function metric(name: string, help: string, samples: readonly Sample[]): string {
  const known = samples.filter(([, value]) => value !== undefined);
  const lines = known.map(([labels, value]) => `${name}${labelsOf(labels)} ${value}\n`);
  return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Exposition format: backslash, quote and line feed are escaped in a label's value. */
function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
