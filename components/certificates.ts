import type * as pulumi from "@pulumi/pulumi";
import { CertificateAuthority } from "./certificate-authority.ts";
import { type Cluster, resourceName } from "./cluster.ts";
import { LeafCertificate } from "./leaf-certificate.ts";
import { foundLeaf, sansOf, subjectOf } from "./model/checks.ts";
import { previousKeys } from "./model/decision.ts";
import { leafProfiles } from "./model/layout/leaves.ts";
import { type Authority, byLeaf, type Leaf } from "./model/layout/rows.ts";
import { layouts } from "./model/layout/tables.ts";

export type Authorities = Readonly<Record<Authority, CertificateAuthority>>;
/** by master name */
export type Leaves = Readonly<Record<string, Readonly<Record<Leaf, LeafCertificate>>>>;

/** Client and peer trust apart where the layout has them apart, replaced by a new `rotation` or when their end comes near. */
export function makeAuthorities(cluster: Cluster, options?: pulumi.ComponentResourceOptions): Authorities {
  const { rotation, crossCertificates } = cluster.args;
  const previous = crossCertificates === "never" ? undefined : previousKeys(cluster.last, rotation);
  const authority = (commonName: string, role: Authority) =>
    new CertificateAuthority(
      resourceName(cluster, commonName),
      { ...lifetimeOf(cluster), rotation, commonName, previous: previous?.[role] },
      options,
    );
  const etcd = authority("etcd-ca", "etcd");
  return {
    etcd,
    "etcd-peer": layouts[cluster.args.layout.kind].hasPeerAuthority
      ? authority("etcd-peer-ca", "etcd-peer")
      : etcd,
  };
}

/** Three leaves for each master, with the subject that it has today and the names that the stack file gives it. */
export function makeLeaves(
  cluster: Cluster,
  authorities: Authorities,
  options?: pulumi.ComponentResourceOptions,
): Leaves {
  const leaf = (master: Cluster["args"]["masters"][number], role: Leaf) => {
    const found = cluster.found.masters.find(({ name }) => name === master.name);
    const { authority, uses } = leafProfiles[role];
    const args = {
      ...lifetimeOf(cluster),
      rotation: cluster.args.rotation,
      authority: authorities[authority],
      subject: subjectOf(role, master, found && foundLeaf(found, role, cluster.rows)),
      keepsSubject: found === undefined,
      sans: sansOf(role, master),
      uses,
    };
    return new LeafCertificate(resourceName(cluster, `${master.name}-${role}`), args, options);
  };
  return Object.fromEntries(
    cluster.args.masters.map((master) => [master.name, byLeaf((role) => leaf(master, role))]),
  );
}

function lifetimeOf({ args: { certificates } }: Cluster) {
  const hours = (seconds: number) => Math.floor(seconds / 3600);
  return {
    algorithm: certificates.algorithm,
    validityHours: hours(certificates.validity),
    renewBeforeHours: hours(certificates.renewBefore),
  };
}
