import { expect, test } from "vitest";
import { prometheusOf } from "../../cli/status/formats.ts";
import { drifted, now } from "./made-up.ts";

test("metrics of a cluster that was looked at, and of one that was not", () => {
  const status = drifted();
  const outcomes = [
    { stack: "prod-a", status: { ...status, certificates: status.certificates.slice(2, 3) } },
    { stack: 'odd "name"\\', problem: "no" },
  ];
  expect(
    prometheusOf(outcomes, now),
  ).toBe(`# HELP etcd_rotation_certificate_not_after_seconds End of a certificate, in seconds since 1970; where: served, or disk alone.
# TYPE etcd_rotation_certificate_not_after_seconds gauge
etcd_rotation_certificate_not_after_seconds{stack="prod-a",master="master-1",file="etcd-server",where="served",issuer="etcd-ca 2026-11",fingerprint="bbbbbbbb33334444"} 3372364800
# HELP etcd_rotation_cluster_state 1 for the state that a cluster is in, 0 for the others.
# TYPE etcd_rotation_cluster_state gauge
etcd_rotation_cluster_state{stack="prod-a",state="expired"} 0
etcd_rotation_cluster_state{stack="prod-a",state="drifted"} 1
etcd_rotation_cluster_state{stack="prod-a",state="interrupted"} 0
etcd_rotation_cluster_state{stack="prod-a",state="unreachable"} 0
etcd_rotation_cluster_state{stack="prod-a",state="rotating"} 0
etcd_rotation_cluster_state{stack="prod-a",state="due"} 0
etcd_rotation_cluster_state{stack="prod-a",state="expiring"} 0
etcd_rotation_cluster_state{stack="prod-a",state="ok"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="expired"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="drifted"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="interrupted"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="unreachable"} 1
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="rotating"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="due"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="expiring"} 0
etcd_rotation_cluster_state{stack="odd \\"name\\"\\\\",state="ok"} 0
# HELP etcd_rotation_master_reachable Whether a master could be surveyed.
# TYPE etcd_rotation_master_reachable gauge
etcd_rotation_master_reachable{stack="prod-a",master="master-1"} 1
etcd_rotation_master_reachable{stack="prod-a",master="master-2"} 1
etcd_rotation_master_reachable{stack="prod-a",master="master-3"} 0
# HELP etcd_rotation_rollout Number of the last rollout in the masters' receipts.
# TYPE etcd_rotation_rollout gauge
etcd_rotation_rollout{stack="prod-a"} 4
# HELP etcd_rotation_etcd_members Members of etcd, by its own list.
# TYPE etcd_rotation_etcd_members gauge
etcd_rotation_etcd_members{stack="prod-a"} 3
# HELP etcd_rotation_etcd_database_bytes Size of a member's database file.
# TYPE etcd_rotation_etcd_database_bytes gauge
etcd_rotation_etcd_database_bytes{stack="prod-a",master="master-1"} 20480
etcd_rotation_etcd_database_bytes{stack="prod-a",master="master-2"} 5242880
# HELP etcd_rotation_version_info Always 1; the versions of etcd and Kubernetes on a master, empty where it does not tell.
# TYPE etcd_rotation_version_info gauge
etcd_rotation_version_info{stack="prod-a",master="master-1",etcd="3.5.21",kubernetes="v1.30.14"} 1
etcd_rotation_version_info{stack="prod-a",master="master-2",etcd="3.5.21",kubernetes="v1.30.14"} 1
# HELP etcd_rotation_look_timestamp_seconds When the masters were surveyed, in seconds since 1970.
# TYPE etcd_rotation_look_timestamp_seconds gauge
etcd_rotation_look_timestamp_seconds 1795608000
`);
});
