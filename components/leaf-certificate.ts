import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { type CertificateAuthority, keyArgs } from "./certificate-authority.ts";
import { subjectAttributes } from "./model/layout/leaves.ts";
import type { KeyAlgorithm } from "./model/settings.ts";

interface LeafCertificateArgs {
  readonly authority: CertificateAuthority;
  /** asks for a new key when it changes */
  readonly rotation: string;
  /** RDNs such as `CN=etcd-server`; changing it re-signs */
  readonly subject: readonly string[];
  /** the subject in the state stays, whatever `subject` says: the present certificate could not be looked at */
  readonly keepsSubject?: boolean;
  /** `DNS:` and `IP:` entries; changing them re-signs with the same key */
  readonly sans: readonly string[];
  /** extended key usages, as the tls provider names them */
  readonly uses: readonly string[];
  readonly algorithm: KeyAlgorithm;
  readonly validityHours: number;
  readonly renewBeforeHours: number;
}

/** A key and its certificate under an authority. */
export class LeafCertificate extends pulumi.ComponentResource {
  readonly keyPem: pulumi.Output<string>;
  readonly certPem: pulumi.Output<string>;

  constructor(name: string, args: LeafCertificateArgs, options?: pulumi.ComponentResourceOptions) {
    super("etcd-rotation:index:LeafCertificate", name, {}, options);
    const key = new tls.PrivateKey(`${name}-key`, keyArgs[args.algorithm], {
      parent: this,
      replacementTrigger: args.rotation,
    });
    const request = new tls.CertRequest(
      `${name}-request`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: subjectArgs(args.subject),
        dnsNames: entries(args.sans, "DNS:"),
        ipAddresses: entries(args.sans, "IP:"),
      },
      { parent: this, ignoreChanges: args.keepsSubject === true ? ["subject"] : [] },
    );
    const certificate = new tls.LocallySignedCert(
      name,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: args.authority.keyPem,
        caCertPem: args.authority.certPem,
        allowedUses: ["digital_signature", "key_encipherment", ...args.uses],
        setSubjectKeyId: true,
        validityPeriodHours: args.validityHours,
        earlyRenewalHours: args.renewBeforeHours,
      },
      { parent: this },
    );
    this.keyPem = key.privateKeyPem;
    this.certPem = certificate.certPem;
    this.registerOutputs({});
  }
}

function entries(sans: readonly string[], prefix: string): string[] {
  return sans.filter((san) => san.startsWith(prefix)).map((san) => san.slice(prefix.length));
}

/** @throws RangeError on an attribute that the tls provider cannot write */
function subjectArgs(subject: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    subject.map((rdn) => {
      const [name = "", ...value] = rdn.split("=");
      const attribute = Object.entries(subjectAttributes).find(([short]) => short === name)?.[1];
      if (attribute === undefined) {
        throw new RangeError(
          `Cannot write the subject attribute "${name}"; expected one of ${Object.keys(subjectAttributes).join(", ")}`,
        );
      }
      return [attribute, value.join("=")];
    }),
  );
}
