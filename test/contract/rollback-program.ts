// The real authorities and leaves, without masters: `rollout` counts in a file, and a file makes the program fail.
import { existsSync, readFileSync } from "node:fs";
import { RunError, runtime } from "@pulumi/pulumi";
import { CertificateAuthority } from "../../components/certificate-authority.ts";
import { LeafCertificate } from "../../components/leaf-certificate.ts";
import { readSettings } from "../../stacks/stack-config.ts";

const { rotation, certificates } = readSettings();
if (existsSync("fail-preview") || (existsSync("fail-up") && !runtime.isDryRun())) {
  throw new RunError("the program was told to fail");
}
const hours = (seconds: number) => Math.floor(seconds / 3600);
const lifetime = {
  rotation,
  algorithm: certificates.algorithm,
  validityHours: hours(certificates.validity),
  renewBeforeHours: hours(certificates.renewBefore),
};
const etcd = new CertificateAuthority("etcd-ca", { ...lifetime, commonName: "etcd-ca" });
const peers = new CertificateAuthority("etcd-peer-ca", { ...lifetime, commonName: "etcd-peer-ca" });
const leaf = { ...lifetime, sans: ["IP:10.0.0.1"], uses: ["server_auth", "client_auth"] };
new LeafCertificate("master-1-etcd-server", { ...leaf, authority: etcd, subject: ["CN=etcd-server"] });
new LeafCertificate("master-1-etcd-peer", { ...leaf, authority: peers, subject: ["CN=name-1"] });

export const cluster = readFileSync("cluster", "utf8").trim();
export const rollout = Number(readFileSync("rollout", "utf8"));
