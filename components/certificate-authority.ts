import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { authoritySerial } from "./model/certificate.ts";
import type { KeyAlgorithm } from "./model/settings.ts";

interface CertificateAuthorityArgs {
  /** asks for a new key when it changes; never empty, since a trigger from or to nothing does not fire */
  readonly rotation: string;
  readonly commonName: string;
  readonly algorithm: KeyAlgorithm;
  /** hours; changing it re-signs with the same key */
  readonly validityHours: number;
  /** hours before the end at which preview shows a replacement by itself */
  readonly renewBeforeHours: number;
  /** the authority before this one, where its key is at hand; secret */
  readonly previous?: { readonly certPem: string; readonly keyPem: string } | undefined;
}

/**
 * A key and its self-signed certificate. A new `rotation` replaces both, and every leaf follows. The authority before signs a
 * cross-certificate, by which whoever trusts only that one accepts this one's leaves.
 */
export class CertificateAuthority extends pulumi.ComponentResource {
  readonly keyPem: pulumi.Output<string>;
  readonly certPem: pulumi.Output<string>;
  /** undefined without the previous authority */
  readonly crossPem: pulumi.Output<string> | undefined;

  constructor(name: string, args: CertificateAuthorityArgs, options?: pulumi.ComponentResourceOptions) {
    super("etcd-rotation:index:CertificateAuthority", name, {}, options);
    const own = { parent: this, replacementTrigger: args.rotation };
    const key = new tls.PrivateKey(`${name}-key`, keyArgs[args.algorithm], own);
    // distinct for every key: OpenSSL picks the first of two authorities with one subject
    const subject = {
      commonName: `${args.commonName} ${args.rotation}`,
      serialNumber: key.publicKeyPem.apply(authoritySerial),
    };
    const certificate = new tls.SelfSignedCert(
      name,
      {
        privateKeyPem: key.privateKeyPem,
        isCaCertificate: true,
        setSubjectKeyId: true,
        subject,
        allowedUses: authorityUses,
        validityPeriodHours: args.validityHours,
        earlyRenewalHours: args.renewBeforeHours,
      },
      own,
    );
    this.keyPem = key.privateKeyPem;
    this.certPem = certificate.certPem;
    if (args.previous !== undefined) {
      const request = new tls.CertRequest(
        `${name}-cross-request`,
        { privateKeyPem: key.privateKeyPem, subject },
        { parent: this },
      );
      const cross = new tls.LocallySignedCert(
        `${name}-cross`,
        {
          certRequestPem: request.certRequestPem,
          caPrivateKeyPem: pulumi.secret(args.previous.keyPem),
          caCertPem: args.previous.certPem,
          isCaCertificate: true,
          setSubjectKeyId: true,
          allowedUses: authorityUses,
          validityPeriodHours: args.validityHours,
        },
        { parent: this },
      );
      this.crossPem = cross.certPem;
    }
    this.registerOutputs({});
  }
}

const authorityUses = ["cert_signing", "crl_signing", "digital_signature"];

/** Arguments of `tls.PrivateKey` for an algorithm. */
export const keyArgs: Readonly<Record<KeyAlgorithm, tls.PrivateKeyArgs>> = {
  "ECDSA-P256": { algorithm: "ECDSA", ecdsaCurve: "P256" },
  "ECDSA-P384": { algorithm: "ECDSA", ecdsaCurve: "P384" },
  "RSA-2048": { algorithm: "RSA", rsaBits: 2048 },
  "RSA-3072": { algorithm: "RSA", rsaBits: 3072 },
  "RSA-4096": { algorithm: "RSA", rsaBits: 4096 },
};
