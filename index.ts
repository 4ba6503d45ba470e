import { announce } from "./components/announce.ts";
import { CertificateAuthority } from "./components/certificate-authority.ts";
import { surveyCluster } from "./components/cluster.ts";
import { LeafCertificate } from "./components/leaf-certificate.ts";
import { foundLeaf, sansOf, subjectOf } from "./components/model/checks.ts";
import { type Leaf, layouts, leafProfiles } from "./components/model/layout.ts";
import { Rollout } from "./components/rollout.ts";
import { readSettings } from "./stacks/stack-config.ts";

// 1. What is asked for, and what is there: read only, and every reason not to begin comes before any key is made.
const settings = readSettings();
const cluster = await surveyCluster(settings);

// 2. Authorities and leaves. A new `rotation`, or the end coming near, replaces them: that is the replacement diff.
const { rotation, certificates } = settings;
const lifetime = { algorithm: certificates.algorithm, validityHours: hours(certificates.validity), renewBeforeHours: hours(certificates.renewBefore) };
const authority = (name: string) => new CertificateAuthority(name, { ...lifetime, rotation, commonName: name });
const etcd = authority("etcd-ca");
const authorities = { etcd, "etcd-peer": layouts[settings.layout.kind].hasPeerAuthority ? authority("etcd-peer-ca") : etcd };
const leaves = Object.fromEntries(
  settings.masters.map((master) => {
    const found = cluster.found.masters.find(({ name }) => name === master.name);
    const leaf = (role: Leaf) => {
      const { authority: issuer, uses } = leafProfiles[role];
      const subject = subjectOf(role, master, found && foundLeaf(found, role, cluster.rows));
      return new LeafCertificate(`${master.name}-${role}`, {
        ...lifetime,
        rotation,
        authority: authorities[issuer],
        subject,
        keepsSubject: found === undefined,
        sans: sansOf(role, master),
        uses,
      });
    };
    return [master.name, { "etcd-server": leaf("etcd-server"), "etcd-peer": leaf("etcd-peer"), "etcd-client": leaf("etcd-client") }];
  }),
);

// 3. The steps: backup, trust, issue, settle, retire, verify; one master at a time where something restarts.
const rollout = new Rollout("rollout", { cluster, authorities, leaves });
await announce(cluster, rollout);

// 4. What is known afterwards.
export default {
  cluster: cluster.clusterId,
  rotation,
  rollout: rollout.report.rollout,
  expires: rollout.report.expires,
  served: rollout.report.served,
  authorities: rollout.wanted.authorities,
  kubernetes: { stays: rollout.stays, carriers: rollout.report.carriers },
};

function hours(seconds: number): number {
  return Math.floor(seconds / 3600);
}
