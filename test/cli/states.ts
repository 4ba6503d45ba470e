import { createHash, createPublicKey } from "node:crypto";
import { type Issued, makeAuthority, makeLeaf } from "../model/openssl.ts";

/** What a made-up state is to hold. */
export interface MadeUp {
  readonly rotation?: string;
  readonly project?: string;
  readonly stack?: string;
  readonly cluster?: string;
  readonly rollout?: number;
  readonly authorities: Readonly<Record<string, Issued>>;
  readonly leaves: Readonly<Record<string, Issued>>;
  /** more resources, as the engine writes them */
  readonly more?: readonly object[];
  readonly pendingOperations?: readonly object[];
  readonly provider?: string;
}

export const authority = makeAuthority("/CN=etcd-ca 2026-11", 3650);
export const peerAuthority = makeAuthority("/CN=etcd-peer-ca 2026-11", 3650);
/** the first to end */
export const server = makeLeaf(authority, { subject: "/CN=etcd-server", days: 365 });
export const peer = makeLeaf(peerAuthority, { subject: "/CN=10.0.0.1-name-1", days: 400 });
export const first: MadeUp = {
  authorities: { "etcd-ca": authority, "etcd-peer-ca": peerAuthority },
  leaves: { "master-1-etcd-server": server, "master-1-etcd-peer": peer },
};

const typeOf = (name: string, type: string) => `tls:index/${name}:${type}`;

/** The deployment of a state as the engine writes it, without what nobody reads. */
export function deploymentOf(made: MadeUp): Record<string, unknown> {
  const {
    rotation = "2026-11",
    project = "etcd-rotation",
    stack = "prod",
    cluster = "4242",
    rollout = 1,
  } = made;
  const urn = (type: string, name: string) => `urn:pulumi:${stack}::${project}::${type}::${name}`;
  const pair = (
    component: string,
    name: string,
    { certPem, keyPem }: Issued,
    type: string,
    inputs: object,
  ) => [
    {
      urn: urn(`etcd-rotation:index:${component}$${typeOf("privateKey", "PrivateKey")}`, `${name}-key`),
      custom: true,
      type: typeOf("privateKey", "PrivateKey"),
      inputs: { algorithm: "ECDSA", ecdsaCurve: "P256" },
      outputs: {
        publicKeyPem: createPublicKey(keyPem).export({ type: "spki", format: "pem" }),
        privateKeyPem: { ciphertext: "v1:secret" },
      },
      replacementTrigger: rotation,
    },
    {
      urn: urn(`etcd-rotation:index:${component}$${type}`, name),
      custom: true,
      type,
      inputs,
      outputs: { certPem },
    },
  ];
  return {
    manifest: {
      time: "2026-11-25T01:05:26.189117675Z",
      magic: createHash("sha256").update("v3.259.0").digest("hex"),
      version: "v3.259.0",
    },
    secrets_providers: {
      type: made.provider ?? "passphrase",
      state: { salt: "v1:7YiiHVjbKG0=:v1:kRYM/W37pDHxuIAW:Yi3jq8Ya2g880fYHcuQihHHkAPPn7g==" },
    },
    resources: [
      {
        urn: urn("pulumi:pulumi:Stack", `${project}-${stack}`),
        custom: false,
        type: "pulumi:pulumi:Stack",
        outputs: { cluster, rollout },
      },
      ...Object.entries(made.authorities).flatMap(([name, issued]) =>
        pair("CertificateAuthority", name, issued, typeOf("selfSignedCert", "SelfSignedCert"), {
          validityPeriodHours: 438_000,
        }),
      ),
      ...Object.entries(made.leaves).flatMap(([name, issued]) =>
        pair("LeafCertificate", name, issued, typeOf("locallySignedCert", "LocallySignedCert"), {}),
      ),
      ...(made.more ?? []),
    ],
    ...(made.pendingOperations === undefined ? {} : { pending_operations: made.pendingOperations }),
  };
}

/** As `pulumi stack export` prints it. */
export function exported(made: MadeUp): string {
  return JSON.stringify({ version: 3, deployment: deploymentOf(made) }, null, 4);
}

/** As a backend's history has it. */
export function checkpoint(made: MadeUp): string {
  return JSON.stringify({
    version: 3,
    checkpoint: { stack: "organization/etcd-rotation/prod", latest: deploymentOf(made) },
  });
}
